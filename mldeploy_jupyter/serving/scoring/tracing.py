"""OpenTelemetry spans of a worker's requests, when the settings ask for them; else nothing of it is imported.

A request is a span `POST /score` with the children `queue`, `parse`, `run` and `serialise`. It continues the trace of
the request's `traceparent`, whose sampled flag is obeyed. While `run()` executes, the request's span is the current
one, so spans that the script makes itself are its children. Spans are sent in batches by a thread of their own: an
exporter that fails writes a line into the log and fails no request. The usual OTEL_ variables are obeyed, such as
OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_TRACES_SAMPLER.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..log import writer
from ..requirements import TRACING
from ..settings import Settings

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span


KINDS = ("otlp", "console")

_PARTS = ("queue", "parse", "run", "serialise")


class RequestSpan:
    """One request under way: its span, and when `run()` began and ended, in nanoseconds since 1970 (0: it did not)."""

    __slots__ = ("began", "context", "run_began", "run_ended", "span")

    def __init__(self, span: Span, context: Context, began: int) -> None:
        self.span = span
        self.context = context
        self.began = began
        self.run_began = 0
        self.run_ended = 0


def make_tracer(settings: Settings) -> Tracer | None:
    """The tracer that the settings ask for; None without one. After a fork, never before: it starts a thread.

    Raises `ModuleNotFoundError` when its packages are not in the environment, and `ValueError` for another word than
    those of `KINDS`.
    """
    if not settings.tracing:
        return None
    if settings.tracing not in KINDS:
        raise ValueError(f"tracing must be {' or '.join(map(repr, KINDS))}, not {settings.tracing!r}")
    try:
        return Tracer(settings, _exporter(settings.tracing))
    except ModuleNotFoundError as error:
        text = f"tracing={settings.tracing!r} needs {' and '.join(TRACING)}, and {error.name} is not there"
        name = "opentelemetry.exporter" if settings.tracing == "otlp" else "opentelemetry"
        raise ModuleNotFoundError(text, name=name) from None


class Tracer:
    """Makes the spans. `start_span` and `end_span` may be called on different threads."""

    def __init__(self, settings: Settings, exporter: SpanExporter) -> None:
        from opentelemetry import context, propagate, trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        about = {
            "service.name": os.environ.get("OTEL_SERVICE_NAME") or settings.service or "mldeploy",
            "service.version": settings.label,
            "service.instance.id": str(os.getpid()),
        }
        self._provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(self._provider)  # the script's own spans go the same way
        self._tracer = self._provider.get_tracer("mldeploy")
        self._common = {"mldeploy.service": settings.service, "mldeploy.revision": settings.label}
        self._trace, self._context, self._propagate = trace, context, propagate

    def start_span(self, method: str, path: str, headers: Mapping[str, str], request_id: str) -> RequestSpan:
        """A request has arrived. `headers` by lower-case name."""
        parent = self._propagate.extract(headers, context=self._context.Context())
        began = time.time_ns()
        attributes = {
            **self._common,
            "http.request.method": method,
            "http.route": path,
            "url.path": path,
            "url.scheme": "http",
            "mldeploy.request_id": request_id,
        }
        span = self._tracer.start_span(
            f"{method} {path}", parent, self._trace.SpanKind.SERVER, attributes, start_time=began
        )
        return RequestSpan(span, self._trace.set_span_in_context(span, parent), began)

    @contextlib.contextmanager
    def activate(self, call: RequestSpan, *others: RequestSpan) -> Iterator[None]:
        """Around `run()`, in its thread or task. In a micro-batch the first request's span is the current one."""
        token = self._context.attach(call.context)
        began = time.time_ns()
        try:
            yield
        finally:
            self._context.detach(token)
            ended = time.time_ns()
            for one in (call, *others):
                one.run_began, one.run_ended = began, ended

    def end_span(
        self,
        call: RequestSpan,
        status: int,
        timings: Mapping[str, float],
        batch: int = 1,
        error: BaseException | None = None,
    ) -> None:
        """The request is answered. `timings` are milliseconds by part, `batch` how many requests `run()` had."""
        span = call.span
        if span.is_recording():
            self._parts(call, timings)
            span.set_attribute("http.response.status_code", status)
            span.set_attribute("mldeploy.batch_size", batch)
            if error is not None:
                span.record_exception(error)
            if status >= 500:
                span.set_attribute("error.type", type(error).__name__ if error is not None else str(status))
                span.set_status(self._trace.StatusCode.ERROR)
        span.end()

    def abandon_span(self, call: RequestSpan) -> None:
        """The client went away. Whatever `run()` still does belongs to the span all the same."""
        call.span.set_attribute("error.type", "client-left")
        call.span.end()

    def stop(self, seconds: float = 0.8) -> None:
        """Sends what is left, for at most so long."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(seconds)

    def _parts(self, call: RequestSpan, timings: Mapping[str, float]) -> None:
        """The children, one after the other, so that `run` lies where it was."""
        took = {name: int(timings[name] * 1e6) for name in _PARTS if name in timings}
        at = call.began
        if call.run_began:
            took["run"] = call.run_ended - call.run_began
            at = call.run_began - took.get("queue", 0) - took.get("parse", 0)
        for name, nanoseconds in took.items():
            self._tracer.start_span(name, call.context, start_time=at).end(at + nanoseconds)
            at += nanoseconds


def _exporter(kind: str) -> SpanExporter:
    if kind == "console":
        return _console()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _console() -> SpanExporter:
    """An exporter whose spans are entries of the log."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Console(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            for span in spans:
                _log(span)
            return SpanExportResult.SUCCESS

    return Console()


def _log(span: ReadableSpan) -> None:
    context, parent = span.get_span_context(), span.parent
    attributes = dict(span.attributes or {})
    writer.log(
        span.name,
        logger="trace",
        request_id=str(attributes.get("mldeploy.request_id", "")),
        trace_id=f"{context.trace_id:032x}" if context is not None else "",
        span_id=f"{context.span_id:016x}" if context is not None else "",
        parent_id=f"{parent.span_id:016x}" if parent is not None else "",
        ms=((span.end_time or 0) - (span.start_time or 0)) / 1e6,
        attributes=[f"{name}={item}" for name, item in attributes.items()],
    )
