"""One operation per service at a time: a lease in the store, kept alive by whoever carries the operation out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import DeploymentInProgress

if TYPE_CHECKING:
    from mldeploy_jupyter.core.store.store import Store


# Long enough that a laptop's short suspend or a busy disk does not lose it, short enough that another machine, which
# cannot see the dead process, need not wait long. On the same machine a dead holder is seen at once.
TTL = 30.0

PATIENCE = 5.0  # seconds to wait for a short operation of another process (a stop, a look) to let go


def take(
    store: Store,
    service: str,
    holder: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], Any] = time.sleep,
) -> None:
    """Gets the lease for `holder`, in the name of this process.

    A holder that is dead, or whose deployment has ended but not let go yet, is no hindrance.

    Raises:
        DeploymentInProgress: another operation is under way.
    """
    end = clock() + PATIENCE
    while True:
        try:
            store.leases.acquire(service, holder, TTL, process_identity.identify_process())
            return
        except DeploymentInProgress:
            lease = store.leases.get(service)
            if lease is None:
                continue
            deployment = store.get_deployment(lease.holder)
            dead = process_identity.is_alive(lease.runner) is False
            if dead or (deployment is not None and deployment.state != "running"):
                store.leases.release(service, lease.holder)
            elif deployment is not None or clock() > end:
                raise
            else:
                wait(0.02)


class Heartbeat:
    """Renews a lease from a thread of its own while the block runs, then releases it.

    `lost` is set when another holder has taken the lease (this machine slept past the deadline); the work must stop.
    `cancelled` is set when someone on another machine has asked for that.
    """

    def __init__(self, store: Store, service: str, holder: str, *, ttl: float = TTL) -> None:
        self._store = store
        self._service = service
        self._holder = holder
        self._ttl = ttl
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="mldeploy-lease", daemon=True)
        self.lost = threading.Event()
        self.cancelled = threading.Event()

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._done.set()
        self._thread.join()
        self._store.leases.release(self._service, self._holder)

    def _beat(self) -> None:
        while not self._done.wait(self._ttl / 4):
            try:
                if not self._store.leases.renew(self._service, self._holder, self._ttl):
                    self.lost.set()
                    return
                deployment = self._store.get_deployment(self._holder)
                if deployment is not None and deployment.cancel:
                    self.cancelled.set()
            except Exception:
                continue  # the store is away for a moment; the next beat tries again, the lease's end decides
