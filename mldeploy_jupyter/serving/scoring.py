"""One call of `run()`: bytes and headers in, status, headers and bytes out. Knows no server.

The server, `check.py` and batch scoring call the same `Scorer`. Authentication, request ids, limits of size
and time belong to whoever calls it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import orjson

from .arguments import arguments_of
from .encode import NotJson
from .failure import describe, traceback_text
from .messages import Refused, Request, Response, problem
from .results import answer_of
from .script import Script


def _to_stderr(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except Exception:
        pass  # user code may close or replace stderr; the request is answered all the same


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
            arguments = self._timed(timings, "parse", lambda: arguments_of(self.script, request))
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
            arguments = self._timed(timings, "parse", lambda: arguments_of(self.script, request))
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

    # -- out ------------------------------------------------------------------------------------------

    def _respond(self, result: Any, request: Request) -> Response:
        try:
            if isinstance(result, str):
                self._note_string(result)
            return answer_of(result)
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
