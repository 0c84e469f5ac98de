"""The lease of a service, which lets one operation at a time change it.

It is a row in the store that names its holder: a deployment's id, or a name for a short operation. A heartbeat renews
it. A holder on this machine counts as dead as soon as its process is; one on another machine when its lease expires,
by the database's clock, so the clocks of the machines need not agree. On this machine leases are measured with the
monotonic clock, which cannot be set. A holder that a signal has stopped is found when it misses a renewal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import DeploymentInProgress, StorageError
from mldeploy_jupyter.core.records import LeaseRecord

if TYPE_CHECKING:
    from mldeploy_jupyter.core.store.store import Store


# Seconds until a lease expires. Long enough to survive a laptop's short suspend or a busy disk; short enough that
# another machine, which cannot see that the process is dead, need not wait long.
LEASE_SECONDS = 30.0

LATE_SECONDS = 1.0  # by which a renewal may be late on a busy machine

RENEWAL_SECONDS = LEASE_SECONDS / 4  # between two renewals: three in a row may fail before the lease expires

RETRY_SECONDS = 0.2  # between two attempts to renew while the store is unavailable

PATIENCE_SECONDS = 5.0  # how long to wait for a short operation of another process, such as a stop


def acquire_lease(
    store: Store,
    service: str,
    holder: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], Any] = time.sleep,
) -> None:
    """Acquires the lease for `holder`, in the name of this process.

    Takes it over from a holder that is dead, or whose deployment has ended but has not released it yet.

    Raises:
        DeploymentInProgress: another operation is under way.
    """
    end = clock() + PATIENCE_SECONDS
    while True:
        try:
            store.leases.acquire(service, holder, LEASE_SECONDS, process_identity.identify_process())
            return
        except DeploymentInProgress:
            lease = store.leases.get(service)
            if lease is None:  # released since
                continue
            deployment = store.get_deployment(lease.holder)
            dead = process_identity.is_alive(lease.runner) is False
            if dead or (deployment is not None and deployment.state != "running"):
                store.leases.release(service, lease.holder)
            elif deployment is not None or clock() > end:
                if process_identity.is_stopped(lease.runner):
                    raise _stopped_holder(service, lease) from None
                raise
            else:
                wait(0.02)


def has_live_holder(store: Store, service: str) -> bool:
    """Whether a process that may still live holds the lease, and not for a deployment that has ended."""
    lease = store.leases.get(service)
    if lease is None or process_identity.is_alive(lease.runner) is False:
        return False
    deployment = store.get_deployment(lease.holder)
    has_ended = deployment is not None and deployment.state != "running"
    return not has_ended and store.leases.remaining(lease) > 0


def is_overdue(store: Store, lease: LeaseRecord) -> bool:
    """Whether a signal has stopped the holder's process, and it has missed a renewal."""
    if not process_identity.is_stopped(lease.runner):
        return False
    return LEASE_SECONDS - store.leases.remaining(lease) > RENEWAL_SECONDS + LATE_SECONDS


def _stopped_holder(service: str, lease: LeaseRecord) -> DeploymentInProgress:
    pid = lease.runner["pid"]
    return DeploymentInProgress(
        f"service {service} is being changed by {lease.holder}",
        deployment_id=lease.holder,
        why=f"its process {pid} is stopped by a signal (SIGSTOP, or Ctrl+Z in a terminal)",
        hint=f"resume it with `kill -CONT {pid}`, or end it with `kill -9 {pid}`",
    )


class Heartbeat:
    """Renews a lease from a thread of its own while its block runs, then releases it.

    `lost` is set when another holder has taken the lease, as after this machine slept for longer than it was valid:
    the operation must stop. `cancelled` is set when a cancel was requested through the store, from any machine.
    """

    def __init__(self, store: Store, service: str, holder: str, *, ttl: float = LEASE_SECONDS) -> None:
        self._store = store
        self._service = service
        self._holder = holder
        self._ttl = ttl
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_done, name="mldeploy-lease", daemon=True)
        self.lost = threading.Event()
        self.cancelled = threading.Event()

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._done.set()
        self._thread.join()
        with suppress(StorageError):  # the disk has filled up meanwhile; the lease ends with this process
            self._store.leases.release(self._service, self._holder)

    def _renew_until_done(self) -> None:
        usual = pause = self._ttl * RENEWAL_SECONDS / LEASE_SECONDS
        while not self._done.wait(pause):
            try:
                if not self._store.leases.renew(self._service, self._holder, self._ttl):
                    self.lost.set()
                    return
                deployment = self._store.get_deployment(self._holder)
                if deployment is not None and deployment.cancel:
                    self.cancelled.set()
                pause = usual
            except Exception:
                # The store is unavailable. The lease may expire meanwhile, so it is renewed before others look at it.
                pause = min(usual, RETRY_SECONDS)
