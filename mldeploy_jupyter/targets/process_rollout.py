"""One deployment as the supervisor carries it out: what it says is passed on, a cancel is passed in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from mldeploy_jupyter.core.errors import DeploymentCancelled
from mldeploy_jupyter.targets.base import Cancel, Emit, Plan, Strategy, TargetFailure
from mldeploy_jupyter.targets.supervisor_client import SupervisorClient

MAX_LINES = 5000  # of a script's output that a journal takes: every viewer reads all of it


def deploy(
    supervisor: SupervisorClient, plan: Plan, strategy: Strategy, asked: int, emit: Emit, wait: Callable[[float], Any]
) -> dict[str, Any]:
    """Has the supervisor load, probe and switch; passes on what it says meanwhile."""
    stage = "rollout"
    lines = 0

    def on_event(event: dict[str, Any]) -> None:
        nonlocal stage, lines
        kind = event.get("event")
        if kind == "stage":
            if event["kind"] == "started" and event["stage"] == "rollout":
                return  # opened before the supervisor was there
            stage = event["stage"]
            if event["kind"] == "failed":
                return  # written with its cause by whoever carries the deployment out
            emit(stage, event["kind"], **({"seconds": event["seconds"]} if "seconds" in event else {}))
        elif kind == "log":
            lines += 1
            if lines <= MAX_LINES:
                emit(stage, kind, event.get("text", ""))
            elif lines == MAX_LINES + 1:
                emit(stage, kind, f"more than {MAX_LINES} lines: the rest is in the service's log only")
        elif kind == "progress":
            emit(stage, kind, event.get("text", ""))

    running = supervisor.running() or {}
    try:
        answer = supervisor.call(
            "deploy",
            on_event,
            settings={**plan.settings, "probes": strategy.probes},
            deployment_id=plan.revision.deployment_id,
            **({"port": asked} if asked and asked != running.get("port") else {}),
        )
    except TargetFailure:
        # The connection broke (we were held up, or could not write its events). It finishes what it has begun.
        found = outcome(supervisor, plan.revision.deployment_id, wait) if supervisor.running() else None
        if found is None:
            raise
        answer = found
    if answer.get("ok"):
        return answer
    failure = answer.get("failure") or {"code": "unknown", "message": "the supervisor gave no reason"}
    if failure.get("code") == "cancelled":
        raise DeploymentCancelled("the deployment was cancelled")
    raise TargetFailure(failure, stage)


def outcome(supervisor: SupervisorClient, deployment_id: str, wait: Callable[[float], Any]) -> dict[str, Any] | None:
    """What came of a deployment, as its answer would have said; waits for its end. None when it never began.

    Raises:
        TargetFailure: the supervisor is gone, or does not answer.
    """
    while True:
        status = supervisor.call("status", timeout=5.0)
        last = status.get("last_deploy") or {}
        if last.get("deployment_id") != deployment_id:
            return None
        if last["outcome"] == "live":
            return {"ok": True, "port": status["port"], "revision": last["revision"]}
        if last["outcome"] != "running":
            return {"ok": False, "failure": last.get("failure")}
        wait(0.05)


class CancelWatch:
    """Asks for the durable mark while a call to the supervisor is under way, and passes it on until it is heard.

    Any other reason to stop (the lease was lost) is passed on too, and raised at the end of the block.
    """

    def __init__(self, cancel: Cancel, pass_on: Callable[[], dict[str, Any]]) -> None:
        self._cancel = cancel
        self._pass_on = pass_on
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
                answer = self._pass_on()
            except TargetFailure:
                continue
            # The supervisor may not have read the deployment yet.
            if answer.get("ok") or (answer.get("failure") or {}).get("code") != "not-running":
                return
