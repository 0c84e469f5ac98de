"""The contract of the views, `labextension/src/protocol.ts`, and what Python answers say the same.

Every answer, failure and event of the tests in this folder is compared with its type, too.
"""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.panel import REQUESTS, TOPICS
from mldeploy_jupyter.panel.parameters import Parameters

from . import protocol


def test_python_answers_the_requests_of_the_contract() -> None:
    assert set(REQUESTS) == set(protocol.requests())


def test_python_has_the_topics_of_the_contract() -> None:
    assert set(TOPICS) == set(protocol.topics())


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_a_request_takes_the_parameters_of_the_contract(name: str) -> None:
    assert described(REQUESTS[name].parameters) == optional_by_name(protocol.requests()[name][0])


@pytest.mark.parametrize("name", sorted(TOPICS))
def test_a_topic_takes_the_parameters_of_the_contract(name: str) -> None:
    assert described(TOPICS[name].parameters) == optional_by_name(protocol.topics()[name][0])


def described(parameters: Parameters) -> dict[str, bool]:
    return {name: not parameter.required for name, parameter in parameters.items()}


def optional_by_name(kind: protocol.Type) -> dict[str, bool]:
    return {name: optional for name, (optional, _) in protocol.fields_of(kind).items()}


WRONG: dict[str, tuple[str, Any, str]] = {
    "a missing key": ("Fact", {"label": "x"}, "Fact.value is missing"),
    "a key too many": ("Fact", {"label": "x", "value": "y", "z": 1}, "Fact.z is not in the contract"),
    "another type": ("Fact", {"label": "x", "value": 1}, "Fact.value: 1 is not a string"),
    "a truth value for a number": (
        "LogPage",
        {"lines": [], "total": True, "first": 0, "complete": True},
        "LogPage.total: True is not a number",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_the_comparison_finds(what: str) -> None:
    name, value, text = WRONG[what]
    assert protocol.mismatches(value, protocol.Type(name), name) == [text]


def test_the_comparison_finds_a_word_that_is_not_in_a_union() -> None:
    assert protocol.mismatches("vanished", protocol.Type("StageState"), "state") != []
    assert protocol.mismatches("not-reached", protocol.Type("StageState"), "state") == []
