"""The supervisor that serves gives its traffic to the supervisor of another container.

The other one connects to `handover.sock` in this one's state folder and gives it the orders that a worker gets: `ping`,
`pause`, `accept`, `drain`. Idle connections come back as `handover` events with their descriptors, before the answer to
`drain` and until this supervisor ends. If the other one ends before it has ordered `drain`, this one keeps serving.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..ipc.channel import MAX_DESCRIPTORS, Channel
from ..ipc.failure import failure
from ..log.service_log import ServiceLog
from ..supervisor.arbiter import Arbiter
from ..supervisor.predecessor import LivePredecessor
from ..supervisor.worker_pool import KILL_GRACE
from ..system import unix_socket
from ..system.json_file import write_json

SOCKET = "handover.sock"

RETIRED_FILE = "retired.json"  # in the state folder of a supervisor that never serves again

NEXT_FILE = f".{RETIRED_FILE}.next"  # written before the switch, so that a full disk cannot undo it


class HandOverServer:
    """Takes orders of one supervisor at a time. `on_retired` is called when the last worker has ended."""

    def __init__(self, folder: Path, arbiter: Arbiter, log: ServiceLog, on_retired: Callable[[], None]) -> None:
        self.retired = False
        self._folder = folder
        self._arbiter = arbiter
        self._log = log
        self._on_retired = on_retired
        self._socket = unix_socket.listen(folder / SOCKET)
        threading.Thread(target=self._run, daemon=True, name="handover").start()

    def _run(self) -> None:
        while not self.retired:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # too many open files
                time.sleep(0.1)
                continue
            try:
                self._serve(Channel(connection))
            except Exception as error:
                self._log.write(f"internal error in the handover: {type(error).__name__}: {error}", level="error")
                connection.close()
        self._socket.close()

    def _serve(self, channel: Channel) -> None:
        """Carries out the orders of one connection, until it ends or this supervisor has retired."""
        live: LivePredecessor | None = None  # while it is paused
        while (received := channel.receive()) is not None:
            order, _ = received
            op, problem = order.get("op"), None
            if op == "pause":
                problem = self._prepare(str(order.get("to", "")))
                if problem is None:
                    live = LivePredecessor(self._arbiter.pool, lambda _: None, pausing=True)
                    live.pause()
            elif op == "accept" and live is not None:
                live.resume()
                live = None
            elif op == "drain" and live is not None:
                self._retire(channel, order)
                return
            elif op != "ping":
                problem = failure("bad-request", "switch", f"no such order: {op}")
            with contextlib.suppress(OSError):
                answer = {"failure": problem} if problem else {"revision": self._revision()}
                channel.send({"event": "answer", "id": order.get("id"), **answer})
        channel.close()
        if live is not None:
            self._log.write("the container that was to take over has ended; this one keeps serving", level="warning")
            live.resume()
        with contextlib.suppress(OSError):
            (self._folder / NEXT_FILE).unlink(missing_ok=True)

    def _prepare(self, successor: str) -> dict[str, Any] | None:
        """Writes, under a temporary name, the file that keeps this container from serving when it is started again."""
        if self._arbiter.pool.standby or self._arbiter.pool.stopping:
            return failure("not-serving", "switch", "the other container does not serve")
        try:
            write_json(self._folder / NEXT_FILE, {"to": successor})
        except OSError as error:
            return failure("spawn-failed", "switch", f"its retirement cannot be recorded: {error}")
        return None

    def _retire(self, channel: Channel, order: dict[str, Any]) -> None:
        pool = self._arbiter.pool
        timeout = pool.live.settings.drain_timeout if pool.live is not None else 0.0
        self.retired = True
        with contextlib.suppress(OSError):
            (self._folder / NEXT_FILE).replace(self._folder / RETIRED_FILE)
        self._log.write("another container has taken over; finishing the requests that are here")
        workers = pool.list_workers()

        def forward(fds: list[int]) -> bool:
            try:
                for start in range(0, len(fds), MAX_DESCRIPTORS):
                    channel.send({"event": "handover"}, fds[start : start + MAX_DESCRIPTORS])
            except OSError:
                return False
            return True

        self._arbiter.retire(forward, timeout)
        with contextlib.suppress(OSError):
            channel.send({"event": "answer", "id": order.get("id")})
        deadline = time.monotonic() + timeout + KILL_GRACE + 1
        for worker in workers:
            worker.exited.wait(max(0.0, deadline - time.monotonic()))
        channel.close()
        self._on_retired()

    def _revision(self) -> int | None:
        live = self._arbiter.pool.live
        return live.settings.revision if live is not None else None
