"""The routes of the API: who may ask, how much, and the panel's answer as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from mldeploy_jupyter.lab.routes import API, Route
from mldeploy_jupyter.lab.workers import TooBusy, Workers

if TYPE_CHECKING:
    from mldeploy_jupyter.lab.app import MldeployApp

Failure = dict[str, Any]

OPENAPI = Path(__file__).with_name("openapi.json")

# The status of a failure by its code. Any other is 422: the request was understood, and cannot be carried out.
STATUSES = {
    "bad-request": 400,
    "forbidden": 403,
    "not-found": 404,
    "in-progress": 409,
    "model-in-use": 409,
    "too-large": 413,
    "internal": 500,
    "busy": 503,
}

# Requests that wait for a service or a deployment, with threads of their own: they must keep no list waiting.
SLOW = frozenset(
    {"service.score", "service.delete", "service.restart", "service.stop", "service.start", "service.scale",
     "service.rollback", "service.reload", "service.keys", "service.regenKey", "service.openapi", "service.samples",
     "service.code", "deployment.retry", "form.check", "form.submit"}
)  # fmt: skip


def failure(code: str, error: str, cause: str, hint: str) -> Failure:
    """A failure that is not the panel's own."""
    return {"code": code, "error": error, "cause": cause, "hint": hint}


@web.stream_request_body
class MldeployHandler(APIHandler):
    """Common to all routes: only authenticated requests are answered, and a body is read up to its limit.

    The body of an unauthenticated request is not read at all.
    """

    auth_resource = "mldeploy"

    def initialize(self, app: MldeployApp) -> None:
        self.mldeploy = app
        self.received: list[bytes] = []
        self.received_bytes = 0

    @property
    def max_body_bytes(self) -> int:
        return self.mldeploy.max_body_bytes

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    async def prepare(self) -> None:  # type: ignore[override]
        await super().prepare()
        if self.request.method == "OPTIONS":
            return
        if not self.current_user:  # also on a server that allows unauthenticated access by default
            raise web.HTTPError(403)
        size = self.request.headers.get("Content-Length", "0")
        if self.request.connection is not None:
            self.request.connection.set_max_body_size(self.max_body_bytes)  # type: ignore[attr-defined]
        if not size.isdecimal() or int(size) > self.max_body_bytes:
            self.refuse_body()

    def data_received(self, chunk: bytes) -> None:
        self.received_bytes += len(chunk)
        if self.received_bytes <= self.max_body_bytes:
            self.received.append(chunk)

    def refuse_body(self) -> None:
        limit = f"{self.max_body_bytes:,}"
        self.set_header("Connection", "close")  # the rest of the body is not read
        self.send_failure(
            failure("too-large", "the request is too large", f"its body may have {limit} bytes", "send less at once")
        )

    def read_json(self) -> dict[str, Any]:
        """The body as an object; {} without one. Raises `ValueError`."""
        content = b"".join(self.received)
        if not content:
            return {}
        if self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            raise ValueError("its body must be application/json")
        try:
            data = json.loads(content, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"its body is not JSON: {str(error)[:100]}") from None
        if not isinstance(data, dict):
            raise ValueError("its body must be a JSON object")
        return data

    def send_json(self, data: Any) -> None:
        from mldeploy_jupyter.panel.json_text import to_json_text

        self.finish(to_json_text(data))

    def send_failure(self, found: Failure, status: int = 0) -> None:
        """Ends the request with a failure."""
        self.set_status(status or STATUSES.get(str(found["code"]), 422))
        if found["code"] == "busy":
            self.set_header("Retry-After", "1")
        self.finish(json.dumps(found))

    def refuse(self, cause: str) -> None:
        """Ends a request that no page of ours sends."""
        self.send_failure(
            failure("bad-request", "the request cannot be answered", cause, "see mldeploy/api/openapi.json")
        )

    async def run(self, workers: Workers, function: Callable[[], Any]) -> Any:
        """The result of the function, from one of the threads. Ends the request when too many wait for one."""
        try:
            return await workers.run(function)
        except TooBusy:
            cause = "as many requests wait as may: c.MldeployApp.max_waiting"
            self.send_failure(failure("busy", "the Jupyter server is busy", cause, "try again in a moment"))
            raise web.Finish from None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """An error of the server as a failure. Nothing of an exception gets out."""
        words = HTTPStatus(status_code).phrase if status_code in HTTPStatus._value2member_map_ else "Error"
        codes = {401: "forbidden", 403: "forbidden", 404: "not-found", 405: "bad-request", 400: "bad-request"}
        causes = {
            403: "you are not signed in, may not do this, or the page has no token against forged requests",
            404: "there is no such address, or it is asked from another site",
            405: "the address does not take this method",
        }
        hints = {403: "reload the page and sign in", 404: "see mldeploy/api/openapi.json"}
        cause = causes.get(status_code, words)
        hint = hints.get(status_code, "try again; the server's log may say more")
        self.set_header("Content-Type", "application/json")
        code = codes.get(status_code, "internal")
        self.finish(json.dumps(failure(code, "the Jupyter server refused the request", cause, hint)))


class RequestHandler(MldeployHandler):
    """Answers the requests of one path. `routes` has them by method."""

    def initialize(self, app: MldeployApp, routes: dict[str, Route]) -> None:  # type: ignore[override]
        super().initialize(app)
        self.routes = routes

    @property
    def max_body_bytes(self) -> int:
        route = self.routes.get(self.request.method or "")
        is_test = route is not None and route.request in ("service.score", "service.code")
        return self.mldeploy.max_test_bytes if is_test else self.mldeploy.max_body_bytes

    @web.authenticated
    @authorized
    async def get(self, *parts: str) -> None:
        await self.answer(parts)

    @web.authenticated
    @authorized
    async def post(self, *parts: str) -> None:
        await self.answer(parts)

    @web.authenticated
    @authorized
    async def delete(self, *parts: str) -> None:
        await self.answer(parts)

    async def answer(self, parts: tuple[str, ...]) -> None:
        route = self.routes.get(self.request.method or "")
        if route is None:
            raise web.HTTPError(405)
        try:
            given = self.read_json() if route.method == "POST" else self.read_query()
        except ValueError as error:
            self.refuse(str(error))
            return
        named = {name: part for name, part in zip(route.parts, parts, strict=True) if part != "-"}
        if twice := sorted(set(given) & set(named)):
            self.refuse(f"{twice[0]} is in its path already")
            return
        workers = self.mldeploy.slow if route.request in SLOW else self.mldeploy.quick
        from_text = route.method != "POST"
        found = await self.run(workers, lambda: _answer(self.mldeploy, route.request, {**given, **named}, from_text))
        if found["ok"]:
            self.send_json(found["result"])
        else:
            self.send_failure(found["failure"])

    def read_query(self) -> dict[str, Any]:
        """The parameters of the query. Raises `ValueError` for one that is given twice."""
        found = {}
        for name in self.request.query_arguments:
            values = self.get_query_arguments(name, strip=False)
            if name == "token":  # of the server's, not of ours
                continue
            if len(values) > 1:
                raise ValueError(f"the parameter {name[:60]} is given {len(values)} times")
            found[name] = values[0]
        return found


class OpenApiHandler(MldeployHandler):
    """The description of all routes."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        document = json.loads(await self.run(self.mldeploy.quick, OPENAPI.read_bytes))
        document["servers"] = [{"url": url_path_join(self.base_url, API)}]
        self.finish(json.dumps(document))


class UnknownHandler(MldeployHandler):
    """Every other address below ours: it says so as JSON, to who is signed in."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        raise web.HTTPError(404)

    @web.authenticated
    @authorized
    async def post(self) -> None:
        raise web.HTTPError(404)

    @web.authenticated
    @authorized
    async def delete(self) -> None:
        raise web.HTTPError(404)


def _answer(app: MldeployApp, name: str, params: dict[str, Any], from_text: bool) -> dict[str, Any]:
    context = app.context  # before the other imports: it makes them in one thread

    from mldeploy_jupyter.panel import REQUESTS, handle

    if from_text:
        parameters = REQUESTS[name].parameters
        params = {
            key: _from_text(value, parameters[key].check) if key in parameters else value
            for key, value in params.items()
        }
    return handle(name, params, context)


def _from_text(text: str, check: Callable[[Any], str]) -> Any:
    """The value that a query's text stands for: itself, or a number or truth value where the parameter takes that."""
    if not check(text):
        return text
    value: Any = {"true": True, "false": False}.get(text)
    if value is None and text.isascii() and text.isdecimal() and len(text) < 20:
        value = int(text)
    return text if value is None else value


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
