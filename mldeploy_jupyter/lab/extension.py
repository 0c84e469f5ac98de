"""How a Jupyter server loads the extension, and which handler has which address."""

from __future__ import annotations

from typing import Any

from jupyter_server.utils import url_path_join

from mldeploy_jupyter.lab.app import MldeployApp
from mldeploy_jupyter.lab.handlers import MldeployHandler, OpenApiHandler, RequestHandler, UnknownHandler
from mldeploy_jupyter.lab.routes import API, path_pattern, routes_by_path
from mldeploy_jupyter.lab.stream import ChangeHandler, StreamHandler


def load(server: Any) -> None:
    """Adds the routes to a Jupyter server that starts."""
    app = MldeployApp(parent=server)
    page = server.web_app.settings.setdefault("page_config_data", {})
    if not app.enabled:
        page["mldeployOff"] = "true"
        server.log.info("mldeploy is switched off: c.MldeployApp.enabled is False")
        return
    # Pages know files by their path below the file browser's folder; services and models need it on the disk.
    page["mldeployRoot"] = str(app.root)
    server.web_app.add_handlers(".*$", make_handlers(app, server.web_app.settings["base_url"]))


def make_handlers(app: MldeployApp, base_url: str) -> list[tuple[str, type[MldeployHandler], dict[str, Any]]]:
    """The handlers for tornado, below the server's base URL."""

    def at(pattern: str) -> str:
        return url_path_join(base_url, API, pattern)

    found: list[tuple[str, type[MldeployHandler], dict[str, Any]]] = [
        (at(path_pattern(path)), RequestHandler, {"app": app, "routes": routes})
        for path, routes in routes_by_path().items()
    ]
    found += [
        (at("stream"), StreamHandler, {"app": app}),
        (at("stream/([0-9a-f]{32})"), ChangeHandler, {"app": app}),
        (at("openapi.json"), OpenApiHandler, {"app": app}),
        (at(".*"), UnknownHandler, {"app": app}),
    ]
    return found
