"""Arguments of `measure_latency` that cannot be used: said before anything is asked, sent or written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter import Webservice, Workspace, measure_latency
from mldeploy_jupyter.api.webservices.details import count_requests
from mldeploy_jupyter.api.webservices.latency.preparation import NoSample
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.serving.scoring.openapi import describe_service
from mldeploy_jupyter.serving.settings import Settings
from tests.fuzz.wire import script_of


def test_wrong_arguments(folder: Path, snapshot: SnapshotAssertion) -> None:
    ws = Workspace.create(path=".")
    service = Webservice(ws, "churn", must_exist=False)
    calls: dict[str, tuple[Any, dict[str, Any]]] = {
        "no service": ([], {}),
        "a name": ("churn", {}),
        "a number": (5, {}),
        "an address": ("http://127.0.0.1:1/score", {}),
        "twice": ([service, Webservice(ws, "churn", must_exist=False)], {}),
        "rate and users": (service, {"rate": 5, "users": 2}),
        "users and ramp": (service, {"users": 2, "ramp": [1, 2]}),
        "rate": (service, {"rate": "fast"}),
        "rate of zero": (service, {"rate": 0}),
        "duration": (service, {"duration": -1}),
        "arrivals": (service, {"arrivals": "even"}),
        "ramp": (service, {"ramp": "steep"}),
        "empty ramp": (service, {"ramp": []}),
        "seed": (service, {"seed": -1}),
        "users": (service, {"users": 1.5}),
        "too many requests": (service, {"rate": 1000, "duration": 600}),
        "key": (service, {"key": 5, "rate": 5}),
    }
    texts = {}
    for name, (services, options) in calls.items():
        with pytest.raises(UserErrorException) as caught:
            measure_latency(services, **options)
        texts[name] = str(caught.value)
    assert texts == snapshot
    assert not (ws.folder.root / "latency").exists()


def test_the_method_has_the_arguments_of_the_function() -> None:
    import inspect

    method, function = inspect.signature(Webservice.latency), inspect.signature(measure_latency)
    of_services = {"services", "allow_foreign", "key", "workspace"}
    assert [*function.parameters.keys() - of_services] and {*function.parameters} - of_services == (
        {*method.parameters} - {"self", "with_"}
    )
    for name, parameter in function.parameters.items():
        if name not in of_services:
            assert method.parameters[name].default == parameter.default, name


def test_requests_are_counted_from_the_metrics() -> None:
    text = '# TYPE mldeploy_requests_total counter\nmldeploy_requests_total{service="a",code="200"} 3\n'
    assert count_requests(text + 'mldeploy_requests_total{service="a",code="500"} 2\n') == 5
    assert count_requests("# TYPE mldeploy_requests_total counter\n") == 0
    assert count_requests("") is None


@pytest.mark.parametrize(
    ("hint", "example"),
    [("list[float]", {"data": [1.5]}), ("dict", {"data": {"name": 1.5}}), ("int", {"data": 1})],
)
def test_a_service_without_a_sample_gets_an_example_that_fits_its_type(hint: str, example: Any) -> None:
    script = script_of(f"""
        def init(): pass
        def run(data: {hint}): return 1
    """)
    document = describe_service(script, Settings(), "3.1")
    error = NoSample("echo has no sample to send", document)
    assert error.example == example and error.hint.startswith(f"pass payload={example}, or a file")
    assert error.why == "its script declares no sample, as @input_schema would"


def test_a_service_that_describes_no_input_gets_any_example() -> None:
    for document in (None, {"paths": {}}):
        assert NoSample("echo has no sample to send", document).example == [[1.0, 2.0]]
