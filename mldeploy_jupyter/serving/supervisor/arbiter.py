"""Decides what a service does: answers the operations of the control protocol and switches between revisions."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ..ipc.failure import failure
from ..log.service_log import ServiceLog
from ..settings import Settings
from ..system import caller_environment
from ..system.background import run_in_background
from ..system.child_process import RunInMain, SpawnedProcess
from ..system.removal import remove_tree
from .generation import Aborted, Emit, Generation
from .predecessor import PAUSE_WAIT, LivePredecessor, Predecessor
from .respawn import Respawner
from .rollout import Rollouts
from .script_check import check_script
from .watchdog import find_hang, hang_failure, start_watchdog
from .worker_limits import Limits
from .worker_pool import WorkerPool
from .worker_process import WorkerProcess, request_all
from .zygote_pool import ZygotePool


class Arbiter:
    """One service. Every public method may be called from any thread.

    `on_port` is called after a switch to another port, `check_folder` every few seconds. `in_main` runs a task in the
    main thread. `shared` and `standby` are those of `WorkerPool`.
    """

    def __init__(
        self,
        folder: Path,
        listener: socket.socket,
        host: str,
        log: ServiceLog,
        in_main: RunInMain,
        on_port: Callable[[], None] = lambda: None,
        check_folder: Callable[[], None] = lambda: None,
        *,
        shared: bool = False,
        standby: bool = False,
    ) -> None:
        self._log = log
        self._on_port = on_port
        self._zygotes = ZygotePool(folder, log, in_main, on_change=lambda: self.pool.record())
        self.pool = WorkerPool(
            folder,
            listener,
            log,
            self._zygotes,
            in_main,
            on_spawn=lambda worker: self._limits.watch(worker),
            on_lost=lambda worker: self._respawner.replace_lost(worker),
            on_stuck=lambda worker: self._respawner.replace_stuck(worker),
            shared=shared,
            standby=standby,
        )
        self._respawner = Respawner(self.pool)
        self.rollouts = Rollouts(self.pool, host, self.switch)
        self._limits = Limits(log, self._respawner.recycle)
        start_watchdog(self.pool.list_watched, (self._zygotes.check, check_folder), log)

    def handle(self, op: str, request: dict[str, Any], emit: Emit) -> dict[str, Any]:
        """The answer to an operation of the control protocol; `emit` sends the events before it."""
        match op:
            case "status":
                return self.status(ask_workers=bool(request.get("ask_workers")))
            case "deploy":
                return self.rollouts.deploy(request, emit)
            case "cancel":
                return self.rollouts.cancel(request.get("deployment_id", ""))
            case "keys":
                return self.reload_keys()
            case "restart":
                return self.restart(emit)
            case "flush":
                return self.flush_log()
            case "check":
                return check_script(self.pool, request, emit)
        return {"ok": False, "failure": failure("bad-request", "", f"no such op: {op}")}

    def status(self, ask_workers: bool = False) -> dict[str, Any]:
        """With `ask_workers`, the state is Live only when a live worker answers; `failure` says why none does."""
        last = self.rollouts.last  # read first: when it says that a revision is live, `live` is that one
        live, workers = self.pool.live, self.pool.list_workers()
        state, hang = live.state if live else "Empty", None
        if live is not None and state == "Live" and ask_workers:
            hang = _find_hang([worker for worker in live.workers if worker.state == "live"])
        return {
            "ok": True,
            "pid": os.getpid(),
            "port": self.pool.port,
            "state": "Unhealthy" if hang else state,
            "revision": live.settings.revision if live else None,
            "deployment_id": live.deployment_id if live else None,
            "workers": [worker.describe() for worker in workers],
            "last_deploy": last,
            "failure": hang or (live.failure if live else None),
            "last_exit": self._respawner.last_exit,
            "settings": live.settings.to_dict() if live else None,
            "environment": caller_environment.digest((live and live.settings.inherited) or os.environ),
            "forking": self._zygotes.describe(),
        }

    def begin_imports(self, settings: Settings, zygote: SpawnedProcess) -> None:
        """Lets a zygote that was just spawned import the modules of a deployment that will come. Does not wait."""
        self._zygotes.begin_imports(settings, zygote)

    def switch(
        self,
        new: Generation,
        new_port: bool,
        save: Callable[[], None],
        predecessor: Predecessor | None = None,
    ) -> None:
        """Gives the traffic to the workers of `new` and drains those that have it. `save` records the switch.

        `predecessor` has the traffic now: by default the live generation of this supervisor.

        The old workers stop accepting first. For a moment new connections wait in the kernel's queue, so no client is
        answered by the new revision and then, on its next connection, by the old one. With `new_port`, the old workers
        continue accepting at the old port until they drain. Raises `Aborted` when a new worker is lost.
        """
        pool = self.pool
        old = predecessor or LivePredecessor(pool, self._remove_working_folder, pausing=not new_port)
        old.pause()
        for number, worker in enumerate(new.workers):
            if worker.request("accept") is None:
                old.resume()
                pool.drain(new.workers[:number], new.settings.drain_timeout)  # they may have requests already
                text = "a new worker was lost before it got traffic"
                raise Aborted(worker.complete_failure(failure("worker-lost", "switch", text)))
        old_listener = pool.listener
        pool.switch_to(new)
        save()
        if new_port:
            self._announce_port()
        pool.deliver_connections()
        old.retire()
        if new_port:
            old_listener.close()
        for worker in list(new.workers):
            if worker.exited.is_set():  # it died after its probe and before the pool knew that it was live
                self._respawner.replace_lost(worker)

    def resume(self, settings: Settings, deployment_id: str) -> None:
        """Starts the workers of a revision that served before. Does not wait for them."""
        generation = self.pool.live = Generation(settings, deployment_id, self.pool.listener)
        for _ in range(max(1, settings.workers)):
            threading.Thread(target=self._respawner.refill, args=(generation, 0), daemon=True).start()

    def restart(self, emit: Emit) -> dict[str, Any]:
        """Replaces the live workers one by one. When one cannot be replaced, it and the rest keep serving."""
        workers = list(self.pool.live.workers) if self.pool.live else []
        for worker in workers:
            try:
                self._respawner.replace(worker)
            except Aborted as aborted:
                return {"ok": False, "failure": aborted.failure}
            emit({"event": "progress", "text": f"worker {worker.pid} replaced"})
        return {"ok": True, "restarted": len(workers)}

    def flush_log(self) -> dict[str, Any]:
        """What the workers have written until now is in the log when this returns."""
        for worker in self.pool.list_watched():
            worker.flush_output()
        return {"ok": True}

    def reload_keys(self) -> dict[str, Any]:
        """Every worker has the keys of `keys.json` when this returns."""
        count, missed = self.pool.send_keys()
        if missed:
            text = f"workers {missed} did not take the new keys"
            return {"ok": False, "failure": failure("worker-lost", "keys", text)}
        return {"ok": True, "workers": count}

    def withdraw(self) -> None:
        """Lets `/ready` say that the service is about to stop, so that a load balancer sends requests elsewhere."""
        self.pool.refuse_spawns()
        request_all(self.pool.list_workers(), "withdraw", PAUSE_WAIT)

    def retire(self, forward: Callable[[list[int]], bool], timeout: float) -> None:
        """Hands what is here over to another supervisor; see `WorkerPool.retire`. Nothing is deployed afterwards."""
        self.pool.refuse_spawns()
        self.rollouts.abandon()
        self.pool.retire(forward, timeout)
        self._zygotes.close()

    def stop(self, timeout: float) -> None:
        """Lets workers answer the requests in flight for up to `timeout` seconds, then ends every process."""
        self.pool.refuse_spawns()
        self.rollouts.abandon()
        self._zygotes.close()
        self.pool.stop(timeout)

    def _remove_working_folder(self, old: Generation) -> None:
        """Removes the folder that a drained revision ran in, when its last worker has ended. Does not wait for that.

        Earlier versions ran revisions in folders that are not below the service's own; these stay.
        """
        app, live = Path(old.settings.app_root), self.pool.live
        if not app.is_relative_to(self.pool.folder / "revisions") or (live and live.settings.app_root == str(app)):
            return
        workers = list(old.workers)

        def remove() -> None:
            for worker in workers:
                worker.exited.wait()
            remove_tree(app.parent)

        threading.Thread(target=remove, daemon=True).start()

    def _announce_port(self) -> None:
        try:
            self._on_port()
        except OSError as error:
            self._log.write(f"the new port could not be written down: {error}")


def _find_hang(workers: list[WorkerProcess]) -> dict[str, Any] | None:
    """The failure of the first of the workers when none of them answers; None as soon as one does."""
    results = [run_in_background(partial(find_hang, worker)) for worker in workers]
    reasons = [result() for result in results]
    return hang_failure(workers[0], reasons[0]) if reasons and all(reasons) else None
