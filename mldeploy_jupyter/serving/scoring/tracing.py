"""OpenTelemetry spans for a worker's requests, if the settings ask for them. Otherwise nothing of it is imported.

A request is a span `POST /score` with the children `queue`, `parse`, `run` and `serialise`. It continues the trace in
the request's `traceparent`, and respects its sampled flag. While `run()` executes, the request's span is the current
one, so that spans made by the script become its children. A thread exports spans in batches; an exporter that fails is
logged and fails no request. The usual environment variables apply, such as OTEL_EXPORTER_OTLP_ENDPOINT and
OTEL_TRACES_SAMPLER.
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


EXPORTERS = ("otlp", "console")

_PARTS = ("queue", "parse", "run", "serialise")


class RequestSpan:
    """The span of a request. `began`, `run_began` and `run_ended` are nanoseconds since 1970; 0: not yet."""

    __slots__ = ("began", "context", "run_began", "run_ended", "span")

    def __init__(self, span: Span, context: Context, began: int) -> None:
        self.span = span
        self.context = context
        self.began = began
        self.run_began = 0
        self.run_ended = 0


def make_tracer(settings: Settings) -> Tracer | None:
    """The tracer that the settings ask for, or None. Call it after a fork, never before: it starts a thread.

    Raises `ValueError` when `settings.tracing` is not one of `EXPORTERS`, and `ModuleNotFoundError` when the packages
    that it needs are not installed.
    """
    if not settings.tracing:
        return None
    if settings.tracing not in EXPORTERS:
        raise ValueError(f"tracing must be {' or '.join(map(repr, EXPORTERS))}, not {settings.tracing!r}")
    try:
        return Tracer(settings, _exporter(settings.tracing))
    except ModuleNotFoundError as error:
        text = f"tracing={settings.tracing!r} needs {' and '.join(TRACING)}, and {error.name} is not there"
        name = "opentelemetry.exporter" if settings.tracing == "otlp" else "opentelemetry"
        raise ModuleNotFoundError(text, name=name) from None


class Tracer:
    """Makes the spans of requests. Its methods may be called from any thread."""

    def __init__(self, settings: Settings, exporter: SpanExporter) -> None:
        from opentelemetry import context, propagate, trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = {
            "service.name": os.environ.get("OTEL_SERVICE_NAME") or settings.service or "mldeploy",
            "service.version": settings.label,
            "service.instance.id": str(os.getpid()),
        }
        self._provider = TracerProvider(resource=Resource.create(resource), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(self._provider)  # so that the script's own spans are exported too
        self._tracer = self._provider.get_tracer("mldeploy")
        self._common = {"mldeploy.service": settings.service, "mldeploy.revision": settings.label}
        self._trace, self._context, self._propagate = trace, context, propagate

    def start_span(self, method: str, path: str, headers: Mapping[str, str], request_id: str) -> RequestSpan:
        """The span of a request that has arrived. `headers` have names in lower case."""
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
    def activate(self, request_span: RequestSpan, *others: RequestSpan) -> Iterator[None]:
        """Makes the request's span the current one around `run()`, in its thread or task.

        `others` are those of the other requests in a batch; their `run` takes the same time.
        """
        token = self._context.attach(request_span.context)
        began = time.time_ns()
        try:
            yield
        finally:
            self._context.detach(token)
            ended = time.time_ns()
            for each in (request_span, *others):
                each.run_began, each.run_ended = began, ended

    def end_span(
        self,
        request_span: RequestSpan,
        status: int,
        timings: Mapping[str, float],
        batch: int = 1,
        error: BaseException | None = None,
    ) -> None:
        """Ends the span of an answered request.

        `timings` are milliseconds by part, `batch` is the number of requests that shared the call of `run()`.
        """
        span = request_span.span
        if span.is_recording():
            self._add_children(request_span, timings)
            span.set_attribute("http.response.status_code", status)
            span.set_attribute("mldeploy.batch_size", batch)
            if error is not None:
                span.record_exception(error)
            if status >= 500:
                span.set_attribute("error.type", type(error).__name__ if error is not None else str(status))
                span.set_status(self._trace.StatusCode.ERROR)
        span.end()

    def abandon_span(self, request_span: RequestSpan) -> None:
        """Ends the span of a request whose client disconnected. Spans that `run()` still makes remain its children."""
        request_span.span.set_attribute("error.type", "client-left")
        request_span.span.end()

    def stop(self, timeout: float = 0.8) -> None:
        """Exports the remaining spans, for at most `timeout` seconds; later ones are lost."""
        exporting = threading.Thread(target=self._provider.shutdown, daemon=True)
        exporting.start()
        exporting.join(timeout)

    def _add_children(self, request_span: RequestSpan, timings: Mapping[str, float]) -> None:
        """Adds the children one after the other, aligned with the time at which `run()` was called."""
        durations = {name: int(timings[name] * 1e6) for name in _PARTS if name in timings}
        at = request_span.began
        if request_span.run_began:
            durations["run"] = request_span.run_ended - request_span.run_began
            at = request_span.run_began - durations.get("queue", 0) - durations.get("parse", 0)
        for name, nanoseconds in durations.items():
            self._tracer.start_span(name, request_span.context, start_time=at).end(at + nanoseconds)
            at += nanoseconds


def _exporter(name: str) -> SpanExporter:
    if name == "console":
        return _log_exporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _log_exporter() -> SpanExporter:
    """An exporter that writes spans as entries of the log."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class LogExporter(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            for span in spans:
                _log_span(span)
            return SpanExportResult.SUCCESS

    return LogExporter()


def _log_span(span: ReadableSpan) -> None:
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
