"""One call of `run()`: a `Request` in, a `Response` out.

The server, the script check and batch scoring call the same `Scorer`. Authentication, request ids, and limits of size
and time are the caller's.
"""

from __future__ import annotations

from time import perf_counter
from traceback import extract_tb, format_exception
from typing import Any

import orjson

from ..ipc.failure import describe, traceback_text
from ..json_encoder import NotJson, encode_plain
from ..log import writer
from .arguments import parse_arguments, usual_parser
from .content_encoding import decompress
from .estimator_errors import client_fault
from .example_hint import ExampleHint
from .http_response import http_error_response
from .messages import JSON, DeadlineExceeded, Refused, Request, Response, error_response
from .results import ReportedMismatches, encode_result, output_mismatch
from .script import Script
from .tracing import Tracer


class Scorer:
    """Calls a script's `run()`. A failure is logged with its traceback, which `debug` also adds to the response.

    `max_bytes` limits a compressed body once it is decompressed. With a `tracer`, the span of a request that has one is
    current while `run()` executes. `warnings` are those of the calls so far.
    """

    def __init__(self, script: Script, *, debug: bool = False, max_bytes: int = 100 * 1024 * 1024) -> None:
        self.script = script
        self._parse_usual = usual_parser(script)
        self._debug = debug
        self._max_bytes = max_bytes
        self._reported = ReportedMismatches()
        self.tracer: Tracer | None = None
        self._warned_of_string = False
        self.warnings: list[str] = []
        self._example_hint = ExampleHint(script)

    def score(self, request: Request) -> Response:
        """Calls `run()` in this thread. A script that fails gives a response of status 500, and raises nothing."""
        began = perf_counter()
        arguments = self._parse_usual(request) if self._parse_usual is not None else None
        if arguments is None:
            try:
                arguments = self.parse_arguments(request, began)
            except Refused as refused:
                return refused.response
        return self.call_run(request, arguments, (perf_counter() - began) * 1000)

    async def score_async(self, request: Request) -> Response:
        """`score` for a script with `async def run`, on the caller's event loop. Raises when it is cancelled."""
        began = perf_counter()
        try:
            arguments = self.parse_arguments(request, began)
        except Refused as refused:
            return refused.response
        started = perf_counter()
        parse_ms = (started - began) * 1000
        try:
            if self.tracer is None or request.span is None:
                result = await self.script.run(**arguments)
            else:
                with self.tracer.activate(request.span):
                    result = await self.script.run(**arguments)
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            return self._timed_failure(error, request, arguments, parse_ms, started)
        return self._timed_response(result, request, parse_ms, started)

    def call_run(self, request: Request, arguments: dict[str, Any], parse_ms: float = 0.0) -> Response:
        """Calls `run()` and encodes its result. `parse_ms`: milliseconds that parsing took, for the timings.

        Raises `DeadlineExceeded` when the caller raised it in this thread, and nothing else.
        """
        started = perf_counter()
        try:
            if self.tracer is None or request.span is None:
                result = self.script.run(**arguments)
            else:
                with self.tracer.activate(request.span):
                    result = self.script.run(**arguments)
        except DeadlineExceeded:
            raise
        except BaseException as error:  # sys.exit() in run() fails one request; it does not end the service
            return self._timed_failure(error, request, arguments, parse_ms, started)
        return self._timed_response(result, request, parse_ms, started)

    def _timed_response(self, result: Any, request: Request, parse_ms: float, started: float) -> Response:
        ended = perf_counter()
        if type(result) is list and self.script.output is None and (body := encode_plain(result)) is not None:
            timings = {
                "queue": 0.0, "parse": parse_ms, "run": (ended - started) * 1000,
                "serialise": (perf_counter() - ended) * 1000,
            }  # fmt: skip
            return Response(200, body, JSON, timings)
        response = self.build_response(result, request)
        response.timings = {
            "queue": 0.0, "parse": parse_ms, "run": (ended - started) * 1000,
            "serialise": (perf_counter() - ended) * 1000,
        }  # fmt: skip
        return response

    def _timed_failure(
        self, error: BaseException, request: Request, arguments: dict[str, Any], parse_ms: float, started: float
    ) -> Response:
        if isinstance(error, NotJson):  # of an AMLResponse, which encodes what it is given
            response = self._unsendable(error, request)
        else:
            response = self._refusal(error, request, arguments) or self.failure_response(error, request)
        response.timings = {"queue": 0.0, "parse": parse_ms, "run": (perf_counter() - started) * 1000}
        return response

    def _refusal(self, error: BaseException, request: Request, arguments: dict[str, Any]) -> Response | None:
        """The response of status 422 when the client's data is certainly at fault for what `run()` raised.

        Also the response of an `HTTPException`, which the script raises to refuse a request.
        """
        try:
            if (refusal := http_error_response(error)) is not None:
                return refusal
        except Exception:  # its own response is broken
            return None
        if type(error) is not ValueError or self.script.mode != "object":
            return None
        try:
            found = client_fault(error, arguments, self.parse_arguments(request, 0.0))
        except Exception:  # an estimator or a value of the script's own, while it was looked at
            return None
        return None if found is None else error_response(422, "does-not-fit", str(found), found.where, found.hint)

    def parse_arguments(self, request: Request, began: float) -> dict[str, Any]:
        """The arguments of `run()`. `began`: `perf_counter()` before the call, for the timings of a refusal.

        Raises `Refused` for a request that does not fit, and for any exception while it is read: a body must not end
        the worker.
        """
        try:
            if "content-encoding" in request.headers and (
                self.script.mode != "raw" or self.script.contract is not None
            ):
                request = self._decompressed(request)
            return parse_arguments(self.script, request)
        except Refused as refused:
            self._example_hint.complete(refused.response)
            refused.response.timings = {"queue": 0.0, "parse": (perf_counter() - began) * 1000}
            raise
        except Exception as error:
            response = self._reading_failed(error, request)
            response.timings = {"queue": 0.0, "parse": (perf_counter() - began) * 1000}
            raise Refused(response) from error

    def _decompressed(self, request: Request) -> Request:
        body = decompress(request.body, request.headers["content-encoding"], self._max_bytes)
        if isinstance(body, Response):
            raise Refused(body)
        return request.with_body(body)  # the caller may score its request again

    def _reading_failed(self, error: Exception, request: Request) -> Response:
        file = getattr(self.script.module, "__file__", None)
        if any(frame.filename == file for frame in extract_tb(error.__traceback__)):  # a validator in the script
            return self.failure_response(error, request)
        text = f"internal error of the server: {describe(error)}"
        writer.log(text, level="error", request_id=request.id, traceback="".join(format_exception(error)))
        return error_response(500, "server-failed", "the server failed; the entry script is not at fault")

    def build_response(self, result: Any, request: Request) -> Response:
        """The response that carries `result`: of status 500 when it cannot be sent. Raises no `Exception`."""
        try:
            if isinstance(result, str):
                self._warn_of_json_string(result)
            response = encode_result(result, self.script.output is not None)
            if self.script.output is not None:
                self._check_output(result, response, request)
            return response
        except NotJson as error:
            return self._unsendable(error, request)
        except Exception as error:
            # Raised by an object of the script's own while it was read, such as its __iter__.
            return self.failure_response(error, request)

    def _unsendable(self, error: NotJson, request: Request) -> Response:
        text = f"run() returned something that cannot be sent: {error}"
        writer.log(text, level="error", request_id=request.id)
        response = error_response(500, "output-not-json", text, error.where, error.hint)
        response.failed, response.error = True, error
        return response

    def _check_output(self, result: Any, response: Response, request: Request) -> None:
        """Marks the response to a result that the script does not declare, and logs the first at each place."""
        mismatch = output_mismatch(self.script, result)
        if mismatch is not None:
            response.failed = True
            if self._reported.is_new(mismatch):
                text = f"run() returned something that does not fit its output schema: {mismatch}"
                writer.log(text, level="warning", request_id=request.id)

    def _warn_of_json_string(self, result: str) -> None:
        if self._warned_of_string:
            return
        try:
            is_json = isinstance(orjson.loads(result), (dict, list))
        except ValueError:
            is_json = False
        if is_json:
            self._warned_of_string = True
            text = "run() returned a JSON string, which is encoded twice: return the object instead of json.dumps(...)"
            self.warnings.append(text)
            writer.log(text, level="warning")

    def failure_response(self, error: BaseException, request: Request) -> Response:
        """Logs what `run()` raised, with its traceback. Returns the response of status 500."""
        traceback = traceback_text(error)
        writer.log(f"run() raised {describe(error)}", level="error", request_id=request.id, traceback=traceback)
        more = {"traceback": traceback} if self._debug else {}
        hint = f"The log has the traceback, at request {request.id}." if request.id else "The log has the traceback."
        response = error_response(500, "script-failed", "the entry script's run() failed", "run()", hint, **more)
        response.failed, response.error = True, error
        return response
