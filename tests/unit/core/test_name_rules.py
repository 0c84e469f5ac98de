"""Names of services and models: the rule, its message, and names made from other names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.name_rules import check_model_name, check_service_name, make_model_name, make_service_name


@pytest.mark.parametrize("name", ["abc", "a-b", "a" * 32, "myservice", "a1--2"])
def test_good_service_names(name: str) -> None:
    check_service_name(name)


@pytest.mark.parametrize("name", ["", "ab", "a" * 33, "Abc", "1abc", "abc-", "a_b", "a.b", "abc\n", "äbc", None, 3])
def test_bad_service_names(name: str, snapshot: SnapshotAssertion) -> None:
    with pytest.raises(UserErrorException) as caught:
        check_service_name(name)
    assert str(caught.value) == snapshot


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a" * 256, "ä", "a/b", "a\n"])
def test_bad_model_names(name: str, snapshot: SnapshotAssertion) -> None:
    with pytest.raises(UserErrorException) as caught:
        check_model_name(name)
    assert str(caught.value) == snapshot


@pytest.mark.parametrize(
    ("model", "service"),
    [
        ("churn", "churn"),
        ("sklearn_regression_model.pkl", "sklearn-regression-model-pkl"),
        ("My Model", "my-model"),
        ("1st", "model-1st"),
        ("m", "m-service"),
        ("___", "service"),
        ("a" * 40, "a" * 32),
        ("a" * 31 + "-b", "a" * 31),
        ("Größe", "groesse"),
        ("Modèle Ñandú", "modele-nandu"),
        ("模型", "service"),
    ],
)
def test_a_service_name_from_a_models(model: str, service: str) -> None:
    assert make_service_name(model) == service


@given(st.text())
def test_made_names_are_good(text: str) -> None:
    check_service_name(make_service_name(text))
    check_model_name(make_model_name(text))


@given(st.from_regex(re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z"), fullmatch=True))
def test_the_rule_is_v1s(name: str) -> None:
    if 3 <= len(name) <= 32:
        check_service_name(name)
    else:
        with pytest.raises(UserErrorException):
            check_service_name(name)
