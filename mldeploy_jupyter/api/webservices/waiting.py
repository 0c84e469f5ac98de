"""Waiting for a deployment: live lines, time limits, interrupts, and the error if it failed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.webservices.deployments import unreported
from mldeploy_jupyter.core.errors import (
    DeploymentCancelled,
    DeploymentInterrupted,
    DeploymentTimeout,
    WebserviceException,
)
from mldeploy_jupyter.core.journal.journal import STAGES
from mldeploy_jupyter.core.records import DeploymentRecord

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


LOOK_EVERY = 0.5  # seconds between two looks whether the runner still lives

POLL = 0.02  # seconds between two looks whether the journal grew


def wait_for(
    folder: WorkspaceFolder,
    name: str,
    deployment_id: str,
    *,
    show: bool = False,
    timeout: float | None = None,
    out: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], Any] = time.sleep,
) -> DeploymentRecord:
    """Waits until the deployment has ended and returns its record; raises when it did not become live.

    Interrupting ends the waiting only. `show` prints the stages as they go, to `out` or standard output.

    Raises:
        DeploymentFailed, DeploymentCancelled, DeploymentInterrupted: how it ended.
        DeploymentTimeout: `timeout` seconds have passed; the deployment goes on.
    """
    store = folder.open_store()
    end = None if timeout is None else clock() + timeout
    here = deployment.completion_events.get(deployment_id)  # this process carries it out, and says so at once
    looked = -LOOK_EVERY

    def ended() -> bool:
        nonlocal looked
        if clock() - looked >= LOOK_EVERY:
            deployment.refresh_service(folder, name)
            looked = clock()
        record = store.get_deployment(deployment_id)
        return record is None or record.state != "running"

    def late() -> bool:
        return end is not None and clock() >= end

    try:
        if show:
            from mldeploy_jupyter.core.journal.terminal import Screen, follow_deployment

            journal = deployment.journal_path(folder, deployment_id)
            follow_deployment(journal, Screen(out), stop=lambda: ended() or late(), errors=False)
        elif here is not None:  # a look now would only keep the thread waiting that does the work
            here.wait(LOOK_EVERY if timeout is None else min(max(0.0, timeout), LOOK_EVERY))
        # The journal's last line comes a moment before the store says so.
        while not ended() and not late():
            if here is None or here.is_set():
                wait(POLL)
            else:
                left = LOOK_EVERY if end is None else max(0.0, end - clock())
                here.wait(min(left, LOOK_EVERY))
    except KeyboardInterrupt:
        print(
            f"waiting ended, the deployment goes on. Attach again: "
            f"Webservice(ws, {name!r}).wait_for_deployment(show_output=True)",
            file=out or sys.stdout,
        )
        raise
    record = store.get_deployment(deployment_id)
    if record is None or record.state == "running":
        if record is None:
            raise WebserviceException(f"the deployment {deployment_id} is gone", why="its service was deleted")
        raise DeploymentTimeout(
            f"{name} was not live within {timeout:g} s",
            why="the deployment goes on; nothing was cancelled",
            hint=f"wait again, or end it with `mldeploy service cancel -n {name}`",
        )
    unreported.discard(deployment_id)
    raise_for(record, serving=_serving(folder, name))
    return record


def raise_for(record: DeploymentRecord, *, serving: int = 0) -> None:
    """Raises what a deployment ended with, unless that is live. `serving` is the revision that still serves."""
    if record.state == "live":
        return
    still = f"revision {serving} still serves" if serving else "nothing serves"
    if record.state == "cancelled":
        raise DeploymentCancelled(
            f"the deployment of {record.service} was cancelled", why=still, hint="deploy again when you are ready"
        )
    if record.state == "interrupted":
        at = (record.cause or {}).get("at", "")
        stage = f" in the stage {STAGES[at]}" if at in STAGES else ""
        raise DeploymentInterrupted(
            f"the deployment of {record.service} was interrupted",
            why=f"its runner process died{stage}; {still}",
            hint="deploy again: what was made is used again",
        )
    from mldeploy_jupyter.core.diagnosis import Cause

    raise Cause.from_dict(record.cause or {}).to_error(record.service, record.id)


def _serving(folder: WorkspaceFolder, name: str) -> int:
    service = folder.open_store().get_service(name)
    return service.revision if service else 0
