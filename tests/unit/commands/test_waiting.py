"""Waiting for a deployment."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.api.webservices import deployments
from mldeploy_jupyter.commands import WaitInterrupted
from mldeploy_jupyter.commands.waiting import finish, going_on, wait_for_earlier
from mldeploy_jupyter.core.errors import DeploymentCancelled
from tests.unit.commands.support import check_usage_error, make_context, notes, parse_line, run_line

WRONG = [
    "model deploy x -m m:1 --es score.py --wait --no-wait",
    "service update x --wait --no-wait",
    "service reload x --wait --no-wait",
    "service rollback x --wait --no-wait",
]


@pytest.mark.parametrize("line", WRONG)
def test_usage_errors(line: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    check_usage_error(line, folder, snapshot)


class Service:
    """The attributes of a service that the result of a command reads."""

    name, shown_state = "churn", "Live"

    def serialize(self) -> dict[str, str]:
        return {"computeType": "Local"}


@pytest.mark.parametrize(
    ("options", "default", "waits"),
    [("", True, True), ("", False, False), ("--wait", False, True), ("--no-wait", True, False)],
)
def test_the_front_end_shows_the_deployment_and_options_decide_about_waiting(
    options: str, default: bool, waits: bool
) -> None:
    shown: list[tuple[Any, bool, float | None]] = []
    context = make_context(show_deployment=lambda *given: shown.append(given))
    context.wait_by_default = default
    service = Service()
    args = parse_line("service reload", f"churn --timeout-sec 2 {options}")
    result = finish(context, args, service, "service.reload()")
    assert shown == [(service, waits, 2.0)]
    assert ("Live" in result.text) is waits and ("is being deployed" in result.text) is not waits


def test_the_service_is_asked_what_it_is_like_only_where_its_data_is_printed() -> None:
    args = parse_line("service reload", "churn --no-wait")
    context = make_context(show_deployment=lambda *given: None)
    assert finish(context, args, Service(), "").data is None
    context.json = True
    assert finish(context, args, Service(), "").data == {"computeType": "Local"}


class Deploying(Service):
    """A service with a deployment under way, whose end is `outcome`. `revision` is the one that serves."""

    def __init__(self, outcome: BaseException | None = None, revision: int = 0) -> None:
        self.record = SimpleNamespace(state="Deploying", revision=revision, deployment_id="d")
        self.last = SimpleNamespace(state="running")
        store = SimpleNamespace(get_deployment=lambda id: self.last)
        self.workspace = SimpleNamespace(folder=SimpleNamespace(open_store=lambda: store))
        self.outcome = outcome
        self.waits = 0

    def wait_for_deployment(self) -> None:
        self.waits += 1
        if self.outcome is not None:
            raise self.outcome


def test_a_change_waits_for_the_deployment_before_it() -> None:
    for service in (Deploying(), Deploying(DeploymentCancelled("it was cancelled"), revision=1)):
        context = make_context()
        wait_for_earlier(context, service)
        assert (service.waits, notes(context)) == (1, "waiting for the deployment of churn ...\n")
    with pytest.raises(DeploymentCancelled):  # there is nothing to change
        wait_for_earlier(make_context(), Deploying(DeploymentCancelled("it was cancelled")))
    live = Deploying()
    live.record.state = "Live"
    wait_for_earlier(make_context(), live)  # its deployment is about to end
    live.last.state = "live"
    wait_for_earlier(make_context(), live)
    assert live.waits == 1


INTERRUPTED = """\
error: stopped waiting; the deployment continues
cause: the wait was interrupted, and an interrupt cancels nothing
hint: attach again with: mldeploy service wait churn"""


def test_an_interrupt_says_the_same_whenever_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*given: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(WaitInterrupted) as caught:
        wait_for_earlier(make_context(), Deploying(KeyboardInterrupt()))
    assert str(caught.value) == INTERRUPTED
    monkeypatch.setattr("mldeploy_jupyter.commands.service.find_service_anywhere", interrupt)
    with pytest.raises(WaitInterrupted) as caught:
        run_line("service wait churn")
    assert str(caught.value) == INTERRUPTED


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("", "churn has no deployment under way"),
        ("cancelled", "Cancelled the deployment of churn"),
        ("live", "The deployment of churn had ended before it was cancelled: it is live"),
        (
            "running",
            "The deployment of churn was told to stop and has not ended yet. "
            "Follow it with: mldeploy service wait churn",
        ),
    ],
)
def test_a_cancel_says_how_the_deployment_ended(state: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SimpleNamespace(get_deployment=lambda id: SimpleNamespace(state=state or "live"))
    service = SimpleNamespace(
        name="churn",
        record=SimpleNamespace(deployment_id="d"),
        cancel=lambda: bool(state),
        workspace=SimpleNamespace(folder=SimpleNamespace(open_store=lambda: store)),
    )
    monkeypatch.setattr("mldeploy_jupyter.commands.service.find_service", lambda *given: service)
    result = run_line("service cancel churn")
    assert (result.text, result.value, result.data.get("state", "")) == (text, bool(state), state)


def test_an_interrupt_says_that_a_deployment_goes_on_once_it_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "begun", ["an earlier one"])
    with pytest.raises(KeyboardInterrupt), going_on(make_context(), "churn"):
        raise KeyboardInterrupt
    with pytest.raises(WaitInterrupted, match="the deployment continues") as caught, going_on(make_context(), "churn"):
        deployments.begun.append("this one")
        raise KeyboardInterrupt
    assert caught.value.hint == "attach again with: mldeploy service wait churn"
