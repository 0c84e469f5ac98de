"""What both targets of this machine raise."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import WebserviceException
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.targets import refusals

CHURN = ServiceRecord("churn")


def test_a_refused_request_says_why() -> None:
    refusals.require_ok(CHURN, {"ok": True})
    with pytest.raises(WebserviceException) as caught:
        refusals.require_ok(CHURN, {"ok": False, "failure": {"message": "the service is stopping"}})
    assert (caught.value.what, caught.value.why) == ("churn did not carry out the request", "the service is stopping")
    with pytest.raises(WebserviceException, match="no reason was given"):
        refusals.require_ok(CHURN, {})


def test_a_folder_is_removed_or_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "churn" / "below").mkdir(parents=True)
    refusals.remove_folder(CHURN, folder / "churn")
    assert not (folder / "churn").exists()
    refusals.remove_folder(CHURN, folder / "churn")
    monkeypatch.setattr(refusals, "remove_tree", lambda folder: [])  # another process writes in it meanwhile
    with pytest.raises(WebserviceException, match="another process created a file in it"):
        refusals.remove_folder(CHURN, folder)


def test_the_hints_name_the_service() -> None:
    assert "mldeploy service delete -n second" in refusals.port_in_use(8890, "second").hint
    assert refusals.cannot_start(CHURN, "x").hint.endswith("mldeploy service delete churn")
    assert refusals.not_running(CHURN, "x").hint == "start it with `mldeploy service start -n churn`"
