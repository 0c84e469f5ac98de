"""A rollout's events go into the journal, and a cancel reaches the supervisor; here a fake one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from mldeploy_jupyter.core.errors import DeploymentCancelled, WebserviceException
from mldeploy_jupyter.core.records import DeploymentRequest, RevisionRecord, ServiceRecord
from mldeploy_jupyter.serving.system.caller_environment import inherited
from mldeploy_jupyter.targets import Plan, Strategy, TargetFailure
from mldeploy_jupyter.targets.process_rollout import MAX_LINES, CancelForwarder, await_outcome, roll_out

PLAN = Plan(
    DeploymentRequest("svc", "local"),
    ServiceRecord("svc", "local", "Local"),
    RevisionRecord("svc", 2, deployment_id="d2"),
    settings={"workers": 1},
)
LOST = TargetFailure({"code": "supervisor-lost"})


class FakeSupervisor:
    """Answers `deploy` with `answer` (an exception is raised) after `events`, and `status` with `statuses` in turn."""

    def __init__(self, answer: Any = None, events: tuple[dict[str, Any], ...] = (), statuses: tuple[Any, ...] = ()):
        self.answer, self.events, self.statuses = answer, events, iter(statuses)
        self.requests: list[dict[str, Any]] = []

    def find_process(self) -> dict[str, Any]:
        return {"pid": 1, "port": 8000}

    def call(self, op: str, on_event: Callable[[Any], None] | None = None, **arguments: Any) -> dict[str, Any]:
        self.requests.append({"op": op, **arguments})
        answer = next(self.statuses) if op == "status" else self.answer
        for event in self.events:
            assert on_event is not None
            on_event(event)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, dict)
        return answer


def run(supervisor: FakeSupervisor, port: int = 0, plan: Plan = PLAN) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    events: list[tuple[Any, ...]] = []

    def emit(stage: str, kind: str, text: str = "", **data: Any) -> None:
        events.append((stage, kind, text, data))

    answer = roll_out(supervisor, plan, Strategy(probes=2), port, emit, lambda _: None)  # type: ignore[arg-type]
    return answer, events


def test_events_are_written_under_the_stage_that_is_open() -> None:
    supervisor = FakeSupervisor(
        {"ok": True},
        (
            {"event": "stage", "kind": "started", "stage": "rollout"},
            {"event": "log", "text": "loading", "level": "info"},
            {"event": "log", "text": "init failed", "level": "error"},
            {"event": "log", "text": "of an earlier version"},
            {"event": "stage", "kind": "finished", "stage": "rollout", "seconds": 0.5},
            {"event": "stage", "kind": "started", "stage": "probe"},
            {"event": "progress", "text": "1 of 2"},
            {"event": "stage", "kind": "failed", "stage": "probe"},
        ),
    )
    _, events = run(supervisor)
    assert events == [
        ("rollout", "log", "loading", {}),
        ("rollout", "log", "init failed", {"level": "error"}),
        ("rollout", "log", "of an earlier version", {}),
        ("rollout", "finished", "", {"seconds": 0.5}),
        ("probe", "started", "", {}),
        ("probe", "progress", "1 of 2", {}),
    ]
    (request,) = supervisor.requests
    assert request["settings"].pop("inherited") == inherited(os.environ)
    assert request == {"op": "deploy", "settings": {"workers": 1, "probes": 2}, "deployment_id": "d2"}


@pytest.mark.parametrize(("port", "sent"), [(0, None), (8000, None), (9000, 9000)])
def test_a_port_is_sent_only_if_it_changes(port: int, sent: int | None) -> None:
    supervisor = FakeSupervisor({"ok": True})
    run(supervisor, port)
    assert supervisor.requests[0].get("port") == sent


def test_a_supervisor_of_an_earlier_version_that_replays_nothing_is_named() -> None:
    plan = replace(PLAN, request=replace(PLAN.request, replay=True))
    _, events = run(FakeSupervisor({"ok": True}), plan=plan)
    ((stage, kind, text, data),) = events
    assert (stage, kind, data) == ("probe", "log", {"level": "warning"}) and "mldeploy service stop svc" in text
    assert run(FakeSupervisor({"ok": True, "replayed": False}), plan=plan)[1] == []


def test_a_flood_of_lines_is_cut_once() -> None:
    supervisor = FakeSupervisor({"ok": True}, tuple({"event": "log", "text": str(n)} for n in range(MAX_LINES + 10)))
    _, events = run(supervisor)
    assert len(events) == MAX_LINES + 1 and "the rest is in the service's log" in events[-1][2]


def test_a_failure_names_the_stage_it_happened_in() -> None:
    events = ({"event": "stage", "kind": "started", "stage": "probe"},)
    with pytest.raises(TargetFailure) as failure:
        run(FakeSupervisor({"ok": False, "failure": {"code": "probe-failed"}}, events))
    assert (failure.value.failure, failure.value.stage) == ({"code": "probe-failed"}, "probe")


def test_a_cancelled_rollout_is_a_cancelled_deployment() -> None:
    with pytest.raises(DeploymentCancelled):
        run(FakeSupervisor({"ok": False, "failure": {"code": "cancelled"}}))


def test_after_a_lost_connection_the_outcome_is_asked_for() -> None:
    running = {"last_deploy": {"deployment_id": "d2", "outcome": "running"}}
    live = {"last_deploy": {"deployment_id": "d2", "outcome": "live", "revision": 2}, "port": 8000}
    answer, _ = run(FakeSupervisor(LOST, statuses=(running, live)))
    assert answer == {"ok": True, "port": 8000, "revision": 2}


def test_a_lost_connection_before_the_rollout_began_is_a_failure() -> None:
    with pytest.raises(TargetFailure) as failure:
        run(FakeSupervisor(LOST, statuses=({"last_deploy": {"deployment_id": "d1", "outcome": "live"}},)))
    assert failure.value is LOST


def test_a_failed_outcome_has_its_failure() -> None:
    failed = {"last_deploy": {"deployment_id": "d2", "outcome": "failed", "failure": {"code": "x"}}}
    supervisor = FakeSupervisor(statuses=(failed,))
    outcome = await_outcome(supervisor, "d2", lambda _: None)  # type: ignore[arg-type]
    assert outcome == {"ok": False, "failure": {"code": "x"}}


def forward(reason: Exception, answers: Iterator[Any], raised: type[Exception]) -> int:
    """Cancels a rollout for `reason` with a supervisor that gives these answers. Returns how many were needed."""
    reached, sent = threading.Event(), 0

    def cancel() -> None:
        raise reason

    def cancel_rollout() -> dict[str, Any]:
        nonlocal sent
        sent += 1
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        if answer == {"ok": True}:
            reached.set()
        return dict(answer)

    with pytest.raises(raised) as error, CancelForwarder(cancel, cancel_rollout):
        assert reached.wait(10)
        raise DeploymentCancelled("the supervisor was told to")
    assert error.value is reason
    return sent


def test_a_cancel_is_sent_until_the_supervisor_has_read_the_rollout() -> None:
    too_early = {"ok": False, "failure": {"code": "not-running"}}
    reason = DeploymentCancelled("by the user")
    assert forward(reason, iter([LOST, too_early, {"ok": True}]), DeploymentCancelled) == 3


def test_a_lost_lease_ends_the_rollout_with_its_own_error() -> None:
    reason = WebserviceException("the lease was lost")
    assert forward(reason, iter([{"ok": True}]), WebserviceException) == 1


def test_a_rollout_that_ends_by_itself_raises_nothing_else() -> None:
    with CancelForwarder(lambda: None, lambda: {"ok": True}):
        pass
