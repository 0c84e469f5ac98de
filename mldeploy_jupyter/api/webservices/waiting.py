"""Waits for a deployment: shows its stages, ends at a time limit, and raises the error if it failed."""

from __future__ import annotations

import math
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.webservices.deployments import unreported
from mldeploy_jupyter.core.errors import (
    DeploymentCancelled,
    DeploymentInterrupted,
    DeploymentTimeout,
    WebserviceException,
)
from mldeploy_jupyter.core.journal.journal import STAGES, read_last_event
from mldeploy_jupyter.core.journal.terminal import Clock, Screen, follow_deployment
from mldeploy_jupyter.core.journal.timeline import END_STATES
from mldeploy_jupyter.core.patience import patience
from mldeploy_jupyter.core.records import DeploymentRecord, ServiceRecord

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

STATUS_CHECK_SECONDS = 0.5  # between two checks of a service that also detect a dead runner
POLL_SECONDS = 0.1  # between two reads of the store, while the journal does not tell of the end
LOOK_SECONDS = 0.002  # between two checks of the size of the journal, each 10 us, and two reads of the store at the end


def wait_for_deployment(
    folder: WorkspaceFolder,
    name: str,
    deployment_id: str,
    *,
    show: bool = False,
    timeout: float | None = None,
    out: TextIO | None = None,
    clock: Clock | None = None,
) -> DeploymentRecord:
    """Waits until the deployment has ended and returns its record; interrupting ends the waiting only.

    `show` prints the stages to `out`, by default standard output. `timeout` is in seconds.

    Raises:
        DeploymentFailed, DeploymentCancelled, DeploymentInterrupted: how it ended.
        DeploymentTimeout: `timeout` seconds have passed; the deployment continues.
        WebserviceException: the service was deleted meanwhile.
    """
    clock = clock or Clock()
    wait = _Wait(folder, name, deployment_id, timeout, clock)
    try:
        if show:
            journal = deployment.journal_path(folder, deployment_id)
            follow_deployment(journal, Screen(out), stop=wait.is_over, errors=False, clock=clock)
        wait.until_over()
    except KeyboardInterrupt:
        print(
            f"waiting ended, the deployment continues. Attach again: "
            f"Webservice(ws, {name!r}).wait_for_deployment(show_output=True)",
            file=out or sys.stdout,
        )
        raise
    record = folder.open_store().get_deployment(deployment_id)
    if record is None:
        raise WebserviceException(
            f"the last deployment of {name} is not known",
            why=f"there is no record of {deployment_id}" if deployment_id else "the service's record names none",
            hint=f"see what it does now: mldeploy service show {name}",
        )
    if record.state == "running":
        raise DeploymentTimeout(
            f"{name} was not live within {timeout:g} s",
            why="the deployment continues; nothing was cancelled",
            hint=f"wait again, or end it with `mldeploy service cancel -n {name}`",
        )
    service = folder.open_store().get_service(name)
    raise_outcome(record, serving=service.revision if service else 0)
    return record


def wait_until_ready(folder: WorkspaceFolder, record: ServiceRecord) -> bool:
    """Waits until no deployment of the service is under way. True when there was one, so that `record` is outdated.

    Raises:
        WebserviceException: the service belongs to another machine or folder.
        DeploymentFailed, DeploymentCancelled, DeploymentInterrupted: how the last deployment ended, if no call of
            this process has raised it yet or no revision serves.
    """
    deployment.require_local(folder, record)
    last = folder.open_store().get_deployment(record.deployment_id)
    # At its end the service is Live a moment before the deployment's own record says so.
    if record.state in ("Deploying", "Updating") or (last is not None and last.state == "running"):
        print(f"waiting for the deployment of {record.name} ...", flush=True)
        wait_for_deployment(folder, record.name, record.deployment_id)
        return True
    if last is not None and (not record.revision or last.id in unreported):
        raise_outcome(last, serving=record.revision)
    return False


def raise_outcome(record: DeploymentRecord, *, serving: int) -> None:
    """Raises the error of an ended deployment unless it became live, and counts it as reported.

    `serving` is the number of the revision that still serves, 0 for none.

    Raises:
        DeploymentFailed, DeploymentCancelled, DeploymentInterrupted: how it ended.
    """
    unreported.discard(record.id)
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

    cause = Cause.from_stored(record.cause or {})
    if not cause.what:  # its record is damaged
        cause = replace(cause, what=f"the deployment of {record.service} failed", why="its record does not say why")
    raise cause.to_error(record.service, record.id)


class _Wait:
    """One wait for a deployment, with its deadline."""

    def __init__(
        self, folder: WorkspaceFolder, name: str, deployment_id: str, timeout: float | None, clock: Clock
    ) -> None:
        self._folder, self._name, self._id, self._clock = folder, name, deployment_id, clock
        self._deadline = clock.monotonic() + (math.inf if timeout is None else timeout)
        self._checked = -math.inf
        self._journal = deployment.journal_path(folder, deployment_id)
        self._journal_size = 0
        self._journal_ended = False
        # Set by the thread of this process that runs the deployment; None when a runner does.
        self._done: threading.Event | None = deployment.completion_events.get(deployment_id)

    def is_over(self) -> bool:
        """True once the deployment has ended or the time is up."""
        with patience():  # the deployment outlives a store that is unavailable, and so must the wait for it
            return self._is_over()

    def _is_over(self) -> bool:
        if self._clock.monotonic() - self._checked >= STATUS_CHECK_SECONDS:
            deployment.refresh_service(self._folder, self._name)
            self._checked = self._clock.monotonic()
        record = self._folder.open_store().get_deployment(self._id)
        ended = record is None or record.state != "running"
        return ended or self._clock.monotonic() >= self._deadline

    def until_over(self) -> None:
        """Returns once `is_over`. The journal's last event comes a moment before the store records the end."""
        self._pause_for_thread()
        while not self.is_over():
            if self._done is None or self._done.is_set():
                self._pause_for_journal()
            else:
                self._pause_for_thread()

    def _pause_for_journal(self) -> None:
        """Waits until the journal has told of the end, so that the store, which takes 1 ms, is read when it is time."""
        end = min(self._clock.monotonic() + POLL_SECONDS, self._deadline)
        while True:
            self._clock.sleep(LOOK_SECONDS)
            if self._has_journal_ended() or self._clock.monotonic() >= end:
                return

    def _has_journal_ended(self) -> bool:
        with suppress(OSError):
            size = self._journal.stat().st_size
            if size != self._journal_size and not self._journal_ended:
                self._journal_size, last = size, read_last_event(self._journal)
                self._journal_ended = last is not None and last.kind == "state" and last.data.get("state") in END_STATES
        return self._journal_ended

    def _pause_for_thread(self) -> None:
        """Waits for the thread of this process that runs the deployment, because polling would slow it down."""
        if self._done is not None:
            left = max(0.0, self._deadline - self._clock.monotonic())
            self._done.wait(min(left, STATUS_CHECK_SECONDS))
