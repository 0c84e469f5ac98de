"""One rollout by a local service's supervisor: its events are passed on to the journal, a cancel to the supervisor."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from mldeploy_jupyter.core.errors import DeploymentCancelled
from mldeploy_jupyter.serving.system.caller_environment import inherited
from mldeploy_jupyter.targets.base import Cancel, Emit, Plan, Strategy, TargetFailure
from mldeploy_jupyter.targets.supervisor_client import STATUS_SECONDS, SupervisorClient

MAX_LINES = 5000  # lines of a script's output in a journal: every viewer reads all of them


def roll_out(
    supervisor: SupervisorClient, plan: Plan, strategy: Strategy, port: int, emit: Emit, wait: Callable[[float], Any]
) -> dict[str, Any]:
    """Makes the supervisor load the revision, probe it and switch traffic; returns its answer.

    `port` is the one that was requested, 0 for any. `wait` sleeps for seconds.

    Raises:
        TargetFailure: the revision could not be brought up, or the supervisor is gone.
        DeploymentCancelled: the supervisor was told to cancel.
    """
    events = EventForwarder(emit)
    process = supervisor.find_process() or {}
    try:
        answer = supervisor.call(
            "deploy",
            events,
            settings={**plan.settings, "probes": strategy.probes, "inherited": inherited(os.environ)},
            deployment_id=plan.revision.deployment_id,
            **({"replay": True} if plan.request.replay else {}),
            **({"port": port} if port and port != process.get("port") else {}),
        )
    except TargetFailure:
        # The connection broke, as after this machine slept or when the journal's disk is full. The supervisor
        # completes what it has begun.
        outcome = await_outcome(supervisor, plan.revision.deployment_id, wait) if supervisor.find_process() else None
        if outcome is None:
            raise
        answer = outcome
    if answer.get("ok"):
        if plan.request.replay and "replayed" not in answer:
            text = "the service's supervisor is of an earlier version and has scored no request before the switch; "
            text += f"renew it: mldeploy service stop {plan.service.name}, then start"
            emit("probe", "log", text, level="warning")
        return answer
    failure = answer.get("failure") or {"code": "unknown", "message": "the supervisor gave no reason"}
    if failure.get("code") == "cancelled":
        raise DeploymentCancelled("the deployment was cancelled")
    raise TargetFailure(failure, events.stage)


def await_outcome(
    supervisor: SupervisorClient, deployment_id: str, wait: Callable[[float], Any]
) -> dict[str, Any] | None:
    """Waits for the end of a rollout that has begun and returns its answer; None when it never began.

    Raises:
        TargetFailure: the supervisor is gone, or does not answer.
    """
    while True:
        status = supervisor.call("status", timeout=STATUS_SECONDS)
        last = status.get("last_deploy") or {}
        if last.get("deployment_id") != deployment_id:
            return None
        if last["outcome"] == "live":
            return {"ok": True, "port": status["port"], "revision": last["revision"]}
        if last["outcome"] != "running":
            return {"ok": False, "failure": last.get("failure")}
        wait(0.05)


class CancelForwarder:
    """While its block runs, calls `cancel` ten times a second and, once that raises, cancels the rollout.

    `cancel_rollout` sends the request. When the block then ends with `DeploymentCancelled`, the error that `cancel`
    raised is raised instead: a lost lease ends the rollout in the same way.
    """

    def __init__(self, cancel: Cancel, cancel_rollout: Callable[[], dict[str, Any]]) -> None:
        self._cancel = cancel
        self._cancel_rollout = cancel_rollout
        self._reason: Exception | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="mldeploy-cancel", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._done.set()
        self._thread.join()
        if isinstance(error, DeploymentCancelled) and self._reason is not None:
            raise self._reason from None

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            try:
                self._cancel()
                continue
            except Exception as reason:
                self._reason = reason
            try:
                answer = self._cancel_rollout()
            except TargetFailure:
                continue
            # "not-running": the supervisor has not read the deploy request yet, so try again.
            if answer.get("ok") or (answer.get("failure") or {}).get("code") != "not-running":
                return


class EventForwarder:
    """Writes a supervisor's events to the journal. `stage` is the stage that is open."""

    def __init__(self, emit: Emit) -> None:
        self.stage = "rollout"
        self._emit = emit
        self._lines = 0

    def __call__(self, event: dict[str, Any]) -> None:
        kind = event.get("event")
        if kind == "stage":
            self._forward_stage(event)
        elif kind == "log":
            self._forward_line(event.get("text", ""), event.get("level", ""))
        elif kind == "progress":
            self._emit(self.stage, "progress", event.get("text", ""))

    def _forward_stage(self, event: dict[str, Any]) -> None:
        stage, kind = event["stage"], event["kind"]
        if (stage, kind) == ("rollout", "started"):  # written already, before the supervisor was started
            return
        self.stage = stage
        if kind != "failed":  # that event is written with its cause, once the cause is known
            self._emit(stage, kind, **({"seconds": event["seconds"]} if "seconds" in event else {}))

    def _forward_line(self, text: str, level: str) -> None:
        self._lines += 1
        if self._lines <= MAX_LINES:
            self._emit(self.stage, "log", text, **({"level": level} if level in ("warning", "error") else {}))
        elif self._lines == MAX_LINES + 1:
            self._emit(self.stage, "log", f"more than {MAX_LINES} lines: the rest is in the service's log only")
