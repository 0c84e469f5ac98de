"""One call of `run()`: bytes and headers in, status, headers and bytes out. Knows no server.

The server, `check.py` and batch scoring call the same `Scorer`. Authentication, request ids, limits of size
and time belong to whoever calls it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import orjson

from . import output
from .arguments import arguments_of
from .encode import NotJson
from .failure import describe, traceback_text
from .messages import Refused, Request, Response, problem
from .results import answer_of
from .script import Script

_NOTHING = nullcontext()


class Scorer:
    """Calls a script's `run()`. What fails is logged with its traceback; `debug` puts it in answers too."""

    def __init__(self, script: Script, *, debug: bool = False) -> None:
        self.script = script
        self._debug = debug
        self._warned = False
        self.warnings: list[str] = []

    def score(self, request: Request, around: AbstractContextManager[None] = _NOTHING) -> Response:
        """Runs to the end in this thread. Raises nothing: a failing script is a response of status 500.

        `around` is entered while `run()` itself runs.
        """
        timings: dict[str, float] = {}
        try:
            arguments = self._timed(timings, "parse", lambda: arguments_of(self.script, request))
            result = self._timed(
                timings, "run", lambda: self._guard(lambda: self.script.run(**arguments), request, around)
            )
            response: Response = self._timed(timings, "serialise", lambda: self._respond(result, request))
        except Refused as refused:
            response = refused.response
        response.timings = timings
        return response

    async def score_async(self, request: Request, around: AbstractContextManager[None] = _NOTHING) -> Response:
        """As `score`, for a script with `async def run`; runs on the caller's loop."""
        timings: dict[str, float] = {}
        try:
            arguments = self._timed(timings, "parse", lambda: arguments_of(self.script, request))
            began = time.perf_counter()
            try:
                with around:
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

    def _guard(self, call: Callable[[], Any], request: Request, around: AbstractContextManager[None]) -> Any:
        try:
            with around:
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
            text = f"run() returned something that cannot be sent: {error}"
            output.log(text, level="error", request_id=request.id)
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
            output.log(text, level="warning")

    def _failed(self, error: BaseException, request: Request) -> Response:
        traceback = traceback_text(error)
        output.log(f"run() raised {describe(error)}", level="error", request_id=request.id, traceback=traceback)
        more = {"traceback": traceback} if self._debug else {}
        hint = f"The log has the traceback, at request {request.id}." if request.id else "The log has the traceback."
        response = problem(500, "script-failed", "the entry script's run() failed", "run()", hint, **more)
        response.failed, response.error = True, error
        return response
