"""One call of `run()`: bytes and headers in, status, headers and bytes out. Knows no server.

The server, `check.py` and batch scoring call the same `Scorer`. Authentication, request ids, limits of size
and time belong to whoever calls it.
"""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from traceback import extract_tb, format_exception
from typing import Any

import orjson

from ..ipc.failure import describe, traceback_text
from ..log import writer
from .arguments import parse_arguments
from .content_encoding import decompress
from .json_encoder import NotJson
from .messages import DeadlineExceeded, Refused, Request, Response, error_response
from .results import ReportedMismatches, encode_result, output_mismatch
from .script import Script
from .tracing import Tracer


class Scorer:
    """Calls a script's `run()`. What fails is logged with its traceback; `debug` puts it in answers too.

    With a `tracer`, the span of a request that has one is current while `run()` executes.
    """

    def __init__(self, script: Script, *, debug: bool = False, max_bytes: int = 100 * 1024 * 1024) -> None:
        self.script = script
        self._debug = debug
        self._max_bytes = max_bytes
        self._misfits = ReportedMismatches()
        self.tracer: Tracer | None = None
        self._warned = False
        self.warnings: list[str] = []

    def score(self, request: Request) -> Response:
        """Runs to the end in this thread. Raises nothing: a failing script is a response of status 500."""
        began = perf_counter()
        try:
            arguments = self.parse_arguments(request)
        except Refused as refused:
            refused.response.timings = {"queue": 0.0, "parse": (perf_counter() - began) * 1000}
            return refused.response
        return self.call_run(request, arguments, (perf_counter() - began) * 1000)

    async def score_async(self, request: Request) -> Response:
        """As `score`, for a script with `async def run`; runs on the caller's loop."""
        began = perf_counter()
        try:
            arguments = self.parse_arguments(request)
        except Refused as refused:
            refused.response.timings = {"queue": 0.0, "parse": (perf_counter() - began) * 1000}
            return refused.response
        parsed = perf_counter()
        try:
            if self.tracer is None or request.span is None:
                result = await self.script.run(**arguments)
            else:
                with self.tracer.activate(request.span):
                    result = await self.script.run(**arguments)
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            response = self.failure_response(error, request)
            response.timings = _timings((parsed - began) * 1000, parsed, perf_counter())
            return response
        ran = perf_counter()
        response = self.build_response(result, request)
        response.timings = _timings((parsed - began) * 1000, parsed, ran, perf_counter())
        return response

    def parse_arguments(self, request: Request) -> dict[str, Any]:
        """What `run()` gets. Raises `Refused`, also for a defect: a body must not end the worker."""
        try:
            return self._arguments(request)
        except Refused:
            raise
        except Exception as error:
            if self._is_own(error):  # a validator of a hint, or such
                raise Refused(self.failure_response(error, request)) from error
            text = f"internal error of the server: {describe(error)}"
            writer.log(text, level="error", request_id=request.id, traceback="".join(format_exception(error)))
            text = "the server failed; the entry script is not at fault"
            raise Refused(error_response(500, "server-failed", text)) from error

    def _is_own(self, error: BaseException) -> bool:
        """Whether the script's own code raised it."""
        file = getattr(self.script.module, "__file__", None)
        return any(frame.filename == file for frame in extract_tb(error.__traceback__))

    def _arguments(self, request: Request) -> dict[str, Any]:
        if "content-encoding" in request.headers and self.script.mode != "raw":
            body = decompress(request.body, request.headers["content-encoding"], self._max_bytes)
            if isinstance(body, Response):
                raise Refused(body)
            request = replace(request, body=body)  # the caller's stays: it may be scored again
        return parse_arguments(self.script, request)

    def call_run(self, request: Request, arguments: dict[str, Any], parse: float = 0.0) -> Response:
        """Calls `run()` and makes its answer. `parse` is what parsing took, in milliseconds.

        Nothing is raised but what ends a call from outside.
        """
        began = perf_counter()
        try:
            if self.tracer is None or request.span is None:
                result = self.script.run(**arguments)
            else:
                with self.tracer.activate(request.span):
                    result = self.script.run(**arguments)
        except DeadlineExceeded:
            raise
        except BaseException as error:  # sys.exit() in run() fails one request, it does not end the service
            response = self.failure_response(error, request)
            response.timings = _timings(parse, began, perf_counter())
            return response
        ran = perf_counter()
        response = self.build_response(result, request)
        response.timings = _timings(parse, began, ran, perf_counter())
        return response

    # -- out ------------------------------------------------------------------------------------------

    def build_response(self, result: Any, request: Request) -> Response:
        try:
            if isinstance(result, str):
                self._note_string(result)
            answer = encode_result(result)
            if self.script.output is not None:
                self._compare(result, answer, request)
            return answer
        except NotJson as error:
            text = f"run() returned something that cannot be sent: {error}"
            writer.log(text, level="error", request_id=request.id)
            response = error_response(500, "output-not-json", text, error.where, error.hint)
            response.failed, response.error = True, error
            return response
        except Exception as error:
            # Objects of the script's own that fail while they are read: its fault, not ours.
            return self.failure_response(error, request)

    def _compare(self, result: Any, answer: Response, request: Request) -> None:
        """A result that is not what the script says it returns is sent, marked, and told once for each place."""
        misfit = output_mismatch(self.script, result)
        if misfit is not None:
            answer.failed = True
            if self._misfits.is_new(misfit):
                text = f"run() returned something that does not fit its output schema: {misfit}"
                writer.log(text, level="warning", request_id=request.id)

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
            writer.log(text, level="warning")

    def failure_response(self, error: BaseException, request: Request) -> Response:
        traceback = traceback_text(error)
        writer.log(f"run() raised {describe(error)}", level="error", request_id=request.id, traceback=traceback)
        more = {"traceback": traceback} if self._debug else {}
        hint = f"The log has the traceback, at request {request.id}." if request.id else "The log has the traceback."
        response = error_response(500, "script-failed", "the entry script's run() failed", "run()", hint, **more)
        response.failed, response.error = True, error
        return response


def _timings(parse: float, began: float, ran: float, ended: float = 0.0) -> dict[str, float]:
    """In the order of time; whoever knows how long the request had waited fills that in."""
    timings = {"queue": 0.0, "parse": parse, "run": (ran - began) * 1000}
    if ended:
        timings["serialise"] = (ended - ran) * 1000
    return timings
