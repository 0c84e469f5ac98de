"""A worker from its birth until it is ready; one that was forked gets a second chance in a new interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .generation import Deploy, Emit, Generation, Stopped, await_ready
from .workers import Worker

if TYPE_CHECKING:
    from .fleet import Fleet


def make_ready(
    fleet: Fleet, generation: Generation, worker: Worker, deploy: Deploy | None, emit: Emit, *, early: bool
) -> Worker:
    """The worker, or the one that took its place, once it is ready. Raises `Stopped`.

    A forked worker that dies or hangs may do so only because it was forked. Then a new interpreter must show it.
    """
    while True:
        try:
            await_ready(worker, generation.settings, deploy, emit)
        except Stopped as stopped:
            failed = stopped.worker or worker
            if not may_be_the_fork(failed, stopped.failure):
                worker.kill()
                raise
            again = _again(fleet, generation, failed, str(stopped), emit, early=early)
            worker = again if failed is worker else worker
            continue
        changed = worker.outdated()
        if changed:
            worker = _again(fleet, generation, worker, f"{changed} has changed", emit, early=early, fresh=False)
            continue
        if worker.instead_of:
            fleet.nursery.distrust(f"{worker.instead_of}, and not in a new interpreter")
        return worker


def _again(
    fleet: Fleet, generation: Generation, failed: Worker, reason: str, emit: Emit, *, early: bool, fresh: bool = True
) -> Worker:
    failed.given_up, failed.on_exit = True, fleet.forget
    failed.kill()
    failed.exited.wait(5)
    if fresh:
        fleet.log.write(f"worker {failed.pid} was forked and failed: {reason}; trying a new interpreter")
        emit({"event": "progress", "text": f"{reason}; once more in a new interpreter"})
    again = fleet.spawn(generation, failed.events, emit, early=early, fresh=fresh)
    again.restarts, again.instead_of = failed.restarts, reason if fresh else ""
    if failed in generation.workers:
        generation.workers[generation.workers.index(failed)] = again
    return again


def may_be_the_fork(worker: Worker, data: dict[str, Any]) -> bool:
    """Whether a failure could come from forking: an end or a hang without a word, or words about it."""
    if not worker.forked or (data.get("memory") or {}).get("oom_kill"):
        return False
    silent = data["code"] in ("killed", "exited", "worker-lost") or data.get("locked", False)
    return silent or "fork" in str(data.get("message", "")).lower()
