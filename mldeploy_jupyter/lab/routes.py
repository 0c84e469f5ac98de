"""The table of routes: where each request of the panel's protocol goes over HTTP. A new request is one line here.

`openapi.json` and `labextension/src/lab/routes.ts` are made of it: `python -m tests.unit.lab.generate`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mldeploy_jupyter.core import name_rules

API = "mldeploy/api"  # below the server's base URL

# The form of each part of a path. A colon may be written as %3A.
PARTS = {
    "workspace": r"[A-Za-z0-9-]{1,64}",
    "service": name_rules.SERVICE_NAME.replace("(", "(?:"),
    "deployment": r"[A-Za-z0-9][A-Za-z0-9-]{0,63}",
    "model": rf"{name_rules.MODEL_NAME}(?::|%3[Aa])[1-9][0-9]{{0,9}}",
    "run": r"[0-9]{8}T[0-9]{6}-[0-9a-f]{6}",
    "form": r"deploy|update|register",
}


@dataclass(frozen=True)
class Route:
    """Where a request goes. Its other parameters are in the query of a GET or DELETE, in the JSON body of a POST."""

    request: str
    method: str
    path: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The parameters that are in the path, in its order."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))


SERVICE = "services/{workspace}/{service}"
DEPLOYMENT = "deployments/{workspace}/{deployment}"
RUN = "latency/{workspace}/{run}"
MODEL = "models/{workspace}/{model}"

ROUTES = [
    Route("service.list", "GET", "services"),
    Route("service.describe", "GET", SERVICE),
    Route("service.delete", "DELETE", SERVICE),
    Route("service.history", "GET", f"{SERVICE}/history"),
    Route("service.events", "GET", f"{SERVICE}/events"),
    Route("service.keys", "POST", f"{SERVICE}/keys"),  # may make a token
    Route("service.regenKey", "POST", f"{SERVICE}/keys/new"),
    Route("service.openapi", "GET", f"{SERVICE}/openapi"),
    Route("service.samples", "GET", f"{SERVICE}/samples"),
    Route("service.code", "POST", f"{SERVICE}/code"),
    Route("service.cell", "GET", f"{SERVICE}/cell"),
    Route("service.score", "POST", f"{SERVICE}/score"),
    Route("service.tests", "GET", f"{SERVICE}/tests"),
    Route("service.log", "GET", f"{SERVICE}/log"),
    Route("service.logText", "GET", f"{SERVICE}/log/text"),
    Route("service.scale", "POST", f"{SERVICE}/scale"),
    Route("service.rollback", "POST", f"{SERVICE}/rollback"),
    Route("service.reload", "POST", f"{SERVICE}/reload"),
    Route("service.restart", "POST", f"{SERVICE}/restart"),
    Route("service.stop", "POST", f"{SERVICE}/stop"),
    Route("service.start", "POST", f"{SERVICE}/start"),
    Route("deployment.timeline", "GET", DEPLOYMENT),
    Route("deployment.log", "GET", f"{DEPLOYMENT}/log"),
    Route("deployment.logText", "GET", f"{DEPLOYMENT}/log/text"),
    Route("deployment.report", "GET", f"{DEPLOYMENT}/report"),
    Route("deployment.cancel", "POST", f"{DEPLOYMENT}/cancel"),
    Route("deployment.retry", "POST", f"{DEPLOYMENT}/retry"),
    Route("model.list", "GET", "models"),
    Route("model.cell", "GET", f"{MODEL}/cell"),
    Route("model.delete", "DELETE", MODEL),
    Route("latency.start", "POST", f"{SERVICE}/latency"),
    Route("latency.runs", "GET", f"{SERVICE}/latency"),
    Route("latency.result", "GET", RUN),
    Route("latency.stop", "POST", f"{RUN}/stop"),
    Route("form.describe", "GET", "forms/{form}"),
    Route("form.check", "POST", "forms/{form}/check"),
    Route("form.submit", "POST", "forms/{form}/submit"),
]


def routes_by_path() -> dict[str, dict[str, Route]]:
    """The routes of each path, by method."""
    found: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        found.setdefault(route.path, {})[route.method] = route
    return found


def path_pattern(path: str) -> str:
    """A path as a regular expression with one group for each part, for tornado."""
    return re.sub(r"\{(\w+)\}", lambda match: f"({PARTS[match[1]]})", path)
