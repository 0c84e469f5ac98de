"""Tracing without a service: what is refused, hostile headers, batches. A real worker has tests of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mldeploy_jupyter.serving.scoring import tracing
from mldeploy_jupyter.serving.settings import Settings

ROOT = Path(__file__).parents[4]


def test_opentelemetry_is_imported_only_if_the_settings_ask_for_it() -> None:
    source = (
        "import sys; from mldeploy_jupyter.serving.settings import Settings;"
        "from mldeploy_jupyter.serving.scoring import tracing;"
        "assert tracing.make_tracer(Settings()) is None;"
        "assert not [m for m in sys.modules if m.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", source], check=True, cwd=ROOT)


def test_an_unknown_exporter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tracing must be 'otlp' or 'console', not 'zipkin'"):
        tracing.make_tracer(Settings(tracing="zipkin"))


@pytest.fixture(scope="module")
def tracer() -> Iterator[tracing.Tracer]:
    made = tracing.Tracer(Settings(service="t"), InMemorySpanExporter())
    yield made
    made.stop(20)


HEADER = st.one_of(st.text(max_size=70), st.from_regex(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", fullmatch=True))


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(["traceparent", "tracestate", "baggage"]), HEADER), st.text(max_size=20))
def test_any_headers_are_accepted(tracer: tracing.Tracer, headers: dict[str, str], request_id: str) -> None:
    call = tracer.start_span("POST", "/score", headers, request_id)
    with tracer.activate(call):
        pass
    tracer.end_span(call, 200, {"queue": 0.1, "parse": 0.2, "run": 1.0, "serialise": 0.1})


def test_each_request_of_a_batch_has_its_own_run_span() -> None:
    exporter = InMemorySpanExporter()
    tracer = tracing.Tracer(Settings(service="t"), exporter)
    calls = [tracer.start_span("POST", "/score", {}, str(number)) for number in range(3)]
    with tracer.activate(*calls):
        pass
    for call in calls:
        tracer.end_span(call, 200, {"queue": 1.0, "run": 2.0}, batch=3)
    tracer.stop(20)
    spans = exporter.get_finished_spans()
    runs = [span for span in spans if span.name == "run"]
    assert len(runs) == 3 and len({(span.start_time, span.end_time) for span in runs}) == 1
    assert {span.parent.span_id for span in runs if span.parent} == {
        span.context.span_id for span in spans if span.name == "POST /score" and span.context
    }
    assert {dict(span.attributes or {})["mldeploy.batch_size"] for span in spans if span.name == "POST /score"} == {3}
