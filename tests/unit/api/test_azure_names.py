"""Names of v1 that need Azure say so."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.api.azure_names import EXPERIMENT, RUN, WORKSPACE, AzureNames, AzureOnlyAttribute


class Thing(AzureNames):
    _azure_owner, _azure_names = "thing", WORKSPACE


def test_a_name_of_azure_says_why_and_what_to_do() -> None:
    with pytest.raises(AzureOnlyAttribute) as caught:
        Thing().sync_keys  # type: ignore[attr-defined]  # noqa: B018
    assert str(caught.value).splitlines()[:2] == [
        "error: thing.sync_keys needs Azure",
        "cause: a workspace here is a folder, there is nothing to sign in to",
    ]
    assert not hasattr(Thing(), "sync_keys")


def test_any_other_name_is_pythons_own_error_with_its_suggestion() -> None:
    with pytest.raises(AttributeError, match="'Thing' object has no attribute 'sync_key'") as caught:
        Thing().sync_key  # type: ignore[attr-defined]  # noqa: B018
    assert not isinstance(caught.value, AzureOnlyAttribute) and caught.value.name == "sync_key"


def test_each_has_a_cause_and_a_hint() -> None:
    assert all(reason.why and reason.hint for table in (EXPERIMENT, RUN, WORKSPACE) for reason in table.values())
