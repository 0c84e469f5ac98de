"""One call of `run()`: bytes and headers in, status, headers and bytes out. Knows no server.

The server, `check.py` and batch scoring call the same `Scorer`. Authentication, request ids, limits of size
and time belong to whoever calls it.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from .encode import NotJson, encode
from .failure import describe, traceback_text
from .rawhttp import AMLRequest, AMLResponse, Headers, is_json
from .schema.base import Misfit, kind_of
from .script import HEADERS, Script

JSON = (b"content-type", b"application/json")


@dataclass
class Request:
    """A call. `headers` are (name, value) pairs or a dict; `query` is the text after `?`."""

    method: str = "POST"
    headers: Any = ()
    body: bytes = b""
    query: str = ""
    path: str = "/score"
    remote_addr: str | None = None
    id: str = ""


@dataclass
class Response:
    """An answer. `timings` are milliseconds of parse, run and serialise. `failed`: the script is at fault.

    `error` is what `run()` raised, for whoever wants more than the answer says.
    """

    status: int
    body: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=lambda: [JSON])
    timings: dict[str, float] = field(default_factory=dict)
    failed: bool = False
    error: BaseException | None = None


class Refused(Exception):
    """A request that `run()` never sees, or a result that no client can."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def _to_stderr(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except Exception:
        pass  # user code may close or replace stderr; the request is answered all the same


def problem(status: int, code: str, message: str, where: str = "", hint: str = "", **more: Any) -> Response:
    """An error in the form that every error of the service has."""
    error = {"code": code, "where": where, "hint": hint, **more}
    return Response(status, orjson.dumps({"message": message, "error": error}))


class Scorer:
    """Calls a script's `run()`. `log(text)` gets tracebacks and warnings; `debug` puts tracebacks in answers."""

    def __init__(self, script: Script, *, debug: bool = False, log: Callable[[str], None] | None = None) -> None:
        self.script = script
        self._debug = debug
        self._log = log or _to_stderr
        self._warned = False
        self.warnings: list[str] = []

    def score(self, request: Request) -> Response:
        """Runs to the end in this thread. Raises nothing: a failing script is a response of status 500."""
        timings: dict[str, float] = {}
        try:
            arguments = self._timed(timings, "parse", lambda: self._arguments(request))
            result = self._timed(timings, "run", lambda: self._guard(lambda: self.script.run(**arguments), request))
            response: Response = self._timed(timings, "serialise", lambda: self._respond(result, request))
        except Refused as refused:
            response = refused.response
        response.timings = timings
        return response

    async def score_async(self, request: Request) -> Response:
        """As `score`, for a script with `async def run`; runs on the caller's loop."""
        timings: dict[str, float] = {}
        try:
            arguments = self._timed(timings, "parse", lambda: self._arguments(request))
            began = time.perf_counter()
            try:
                result = await self.script.run(**arguments)
            except Exception as error:
                raise Refused(self._failed(error, request)) from error
            except (SystemExit, KeyboardInterrupt) as error:
                raise Refused(self._failed(error, request)) from error
            timings["run"] = (time.perf_counter() - began) * 1000
            response: Response = self._timed(timings, "serialise", lambda: self._respond(result, request))
        except Refused as refused:
            response = refused.response
        response.timings = timings
        return response

    def _timed(self, timings: dict[str, float], name: str, step: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        try:
            return step()
        finally:
            timings[name] = (time.perf_counter() - began) * 1000

    def _guard(self, call: Callable[[], Any], request: Request) -> Any:
        try:
            return call()
        except BaseException as error:  # sys.exit() in run() fails one request, it does not end the service
            raise Refused(self._failed(error, request)) from error

    # -- in -------------------------------------------------------------------------------------------

    def _arguments(self, request: Request) -> dict[str, Any]:
        script = self.script
        headers = request.headers if isinstance(request.headers, Headers) else Headers(request.headers)
        arguments: dict[str, Any] = {HEADERS: headers} if script.wants_headers else {}
        first = script.parameters[0].name
        if script.mode == "raw":
            arguments[first] = AMLRequest(
                request.method, request.path, request.query, headers, request.body, request.remote_addr
            )
        elif script.mode == "text":
            arguments[first] = self._text(request, headers)
        else:
            arguments.update(self._object(request, headers))
        return arguments

    def _text(self, request: Request, headers: Headers) -> str:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            hint = "Send the header Content-Type: application/json."
            raise Refused(problem(415, "wrong-content-type", f"a form ({kind}) cannot be scored", "content-type", hint))
        try:
            return request.body.decode("utf-8")
        except UnicodeDecodeError as error:
            text = f"the body is not UTF-8: byte {error.start} cannot be decoded"
            raise Refused(problem(400, "not-utf8", text, f"byte {error.start}")) from error

    def _object(self, request: Request, headers: Headers) -> dict[str, Any]:
        kind = headers.get("content-type", "")
        names = ", ".join(p.name for p in self.script.parameters)
        if not is_json(kind):
            said = f"the content type is {kind!r}" if kind else "the request has no content type"
            hint = "Send the header Content-Type: application/json."
            raise Refused(
                problem(415, "wrong-content-type", f"{said}, expected application/json", "content-type", hint)
            )
        if not request.body.strip():
            hint = f"Send a JSON object with: {names}."
            raise Refused(problem(400, "empty-body", "the body is empty", "", hint))
        try:
            data = orjson.loads(request.body)
        except ValueError as error:
            text = str(error)
            where = text[text.rfind("line ") :] if "line " in text else ""
            hint = ""
            if b"NaN" in request.body or b"Infinity" in request.body:
                hint = "JSON has no NaN and no infinity: send null for a value that is missing."
            raise Refused(problem(400, "bad-json", f"the body is not JSON: {text}", where, hint)) from error
        if not isinstance(data, dict):
            hint = f"Send a JSON object with: {names}."
            text = f"the body must be a JSON object, not {kind_of(data)}"
            raise Refused(problem(422, "not-an-object", text, "", hint))
        arguments: dict[str, Any] = {}
        for parameter in self.script.parameters:
            name, declared = parameter.name, parameter.declared
            if name not in data:
                if parameter.required:
                    got = ", ".join(map(str, data)) or "nothing"
                    hint = f"The body has: {got}."
                    raise Refused(problem(422, "missing-parameter", f"the body has no {name!r}", name, hint))
                continue
            if declared is None or not declared.convert:
                arguments[name] = data[name]
                continue
            try:
                arguments[name] = declared.kind.parse(data[name], name)
            except Misfit as misfit:
                response = problem(422, "does-not-fit", str(misfit), misfit.where, misfit.hint)
                raise Refused(response) from misfit
        return arguments

    # -- out ------------------------------------------------------------------------------------------

    def _respond(self, result: Any, request: Request) -> Response:
        try:
            if isinstance(result, AMLResponse):
                return _from_aml(result)
            if result is None:
                return Response(200, b"{}")
            if isinstance(result, str):
                self._note_string(result)
            return Response(200, encode(result))
        except NotJson as error:
            self._log(f"[{request.id}] run() returned something that cannot be sent: {error}")
            text = f"run() returned something that cannot be sent: {error}"
            response = problem(500, "output-not-json", text, error.where, error.hint)
            response.failed, response.error = True, error
            return response
        except Exception as error:
            # Objects of the script's own that fail while they are read: its fault, not ours.
            return self._failed(error, request)

    def _note_string(self, result: str) -> None:
        if self._warned:
            return
        try:
            encoded = isinstance(orjson.loads(result), (dict, list))
        except ValueError:
            encoded = False
        if encoded:
            self._warned = True
            text = "run() returned a JSON string, which is encoded twice: return the object instead of json.dumps(...)"
            self.warnings.append(text)
            self._log(f"warning: {text}")

    def _failed(self, error: BaseException, request: Request) -> Response:
        lines = [f"run() raised {describe(error)}", *traceback_text(error).splitlines()]
        self._log("\n".join(f"[{request.id}] {line}" for line in lines))
        more = {"traceback": traceback_text(error)} if self._debug else {}
        hint = f"The log has the traceback, at request {request.id}." if request.id else "The log has the traceback."
        response = problem(500, "script-failed", "the entry script's run() failed", "run()", hint, **more)
        response.failed, response.error = True, error
        return response


# What would break the connection: control characters, and separators in a header's name.
_BAD_NAME = re.compile(rb'[\x00-\x20\x7f()<>@,;:\\"/\[\]?={}]')
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def _from_aml(result: AMLResponse) -> Response:
    message = result.message
    if not 200 <= result.status_code <= 599:
        text = f"the status {result.status_code} cannot be sent"
        raise NotJson("status_code", text, "Use a status from 200 to 599.")
    headers = [
        (name.lower().encode("latin-1"), part.strip().encode("latin-1"))
        for name, value in result.response_headers.items()
        for part in str(value).split(",")
    ]
    if result.json_str:
        body, kind = encode(message), b"application/json"
    elif isinstance(message, (bytes, bytearray, memoryview)):
        body, kind = bytes(message), b"application/octet-stream"
    elif isinstance(message, str):
        body, kind = message.encode(), b"text/html; charset=utf-8"
    else:
        body, kind = encode(message), b"application/json"
    for name, part in headers:
        if not name or _BAD_NAME.search(name) or _BAD_VALUE.search(part):
            shown = name.decode("latin-1")
            raise NotJson(shown, "the header has characters that cannot be sent", "Leave line breaks out.")
    if result.status_code in (204, 205, 304):  # these have no body; one would be read as the next answer
        body = b""
    headers = [pair for pair in headers if pair[0] not in (b"content-length", b"transfer-encoding", b"connection")]
    if not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", kind))
    failed = result.run_function_failed or result.status_code >= 500
    return Response(result.status_code, body, headers, failed=failed)
