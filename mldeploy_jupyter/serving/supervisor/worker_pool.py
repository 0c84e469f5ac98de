"""The worker processes of a service: which ones there are, which generation serves, and what every worker is sent."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..ipc.failure import failure
from ..ipc.scoreboard import STUCK, Scoreboard
from ..log.service_log import ServiceLog
from ..settings import Settings
from ..system.child_process import RunInMain
from ..system.json_file import read_json
from .generation import Aborted, Deployment, Emit, Generation
from .orphans import record_processes
from .unavailable import UnavailableResponder
from .worker_process import ORDER_WAIT, WorkerProcess, request_all
from .zygote_pool import ZygotePool

# Seconds between a switch and the first question which modules a worker has loaded, then between questions: the first
# requests are served before, and `run()` may import more modules.
LEARN_PAUSES = (0.3, 2.0, 30.0)

KILL_GRACE = 2.0  # seconds after its drain timeout in which a worker may still end by itself

EXIT_WAIT = 10.0  # seconds for a worker that closed its channel to exit; see `WorkerProcess._read_messages`

# Seconds for a worker to take new keys: a call that keeps Python's global lock delays it, and so does a busy machine.
KEYS_WAIT = 60.0

WorkerCallback = Callable[[WorkerProcess], None]


class WorkerPool:
    """Spawns, drains and removes workers, and knows the generation that serves (`live`).

    Every public method may be called from any thread. `on_spawn` is called with each new worker, `on_lost` with one
    that was live and has died, `on_stuck`, in a thread of its own, with one whose `run()` does not end.

    `shared` says that other supervisors have the listening socket, too. With `standby` one of them serves: nothing is
    accepted before `switch_to`.
    """

    def __init__(
        self,
        folder: Path,
        listener: socket.socket,
        log: ServiceLog,
        zygotes: ZygotePool,
        in_main: RunInMain,
        *,
        on_spawn: WorkerCallback,
        on_lost: WorkerCallback,
        on_stuck: WorkerCallback,
        shared: bool = False,
        standby: bool = False,
        create_worker: Callable[[Settings, ServiceLog, Scoreboard], WorkerProcess] = WorkerProcess,
    ) -> None:
        self.folder = folder
        self.keys_path = folder / "keys.json"
        self.listener = listener
        self.log = log
        self.zygotes = zygotes
        self.scoreboard = Scoreboard()
        self.live: Generation | None = None
        self.stopping = False
        self.standby = standby
        self._shared = shared
        self._listener_changes = 0
        self._forward: Callable[[list[int]], bool] | None = None
        self._in_main = in_main
        self._on_spawn, self._on_lost, self._on_stuck = on_spawn, on_lost, on_stuck
        self._create_worker = create_worker
        self._workers: set[WorkerProcess] = set()
        self._checks: set[WorkerProcess] = set()
        self._connections: list[int] = []  # descriptors of connections that wait for a worker
        self._lock = threading.RLock()
        self._keys_lock = threading.Lock()
        self._unavailable = UnavailableResponder()
        self._answer_unavailable()

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def list_workers(self) -> list[WorkerProcess]:
        with self._lock:
            return list(self._workers)

    def list_watched(self) -> list[WorkerProcess]:
        """The workers, and the processes that check a script."""
        with self._lock:
            return [*self._workers, *self._checks]

    def list_pids(self) -> set[int]:
        """The processes for whose end a thread of the supervisor waits."""
        with self._lock:
            workers = {worker.pid for worker in (*self._workers, *self._checks)}
        return workers | {pid for pid, _ in self.zygotes.list_processes()}

    def record(self) -> None:
        """Writes down the processes that must be killed if the supervisor dies."""
        with self._lock:
            workers = [(worker.pid, worker.mark) for worker in (*self._workers, *self._checks) if worker.pid]
            found = workers + self.zygotes.list_processes()
            try:
                record_processes(self.folder, [pid for pid, _ in found], [mark for _, mark in found])
            except OSError as error:  # a full disk is not a reason to stop serving
                self.log.write(f"the workers cannot be recorded: {error}")

    # -- spawning and removing

    def spawn(
        self,
        generation: Generation,
        events: queue.SimpleQueue[dict[str, Any]],
        emit: Emit,
        *,
        answer_early: bool,
        new_interpreter: bool = False,
        deployment: Deployment | None = None,
        restarts: int = 0,
    ) -> WorkerProcess:
        """Starts a worker. It is forked where that is possible, unless it must be a `new_interpreter`.

        `events` gets the messages about its start, `emit` its lines of output; `restarts` counts the workers before it
        in its place. Raises `Aborted` when the service stops, `deployment` is cancelled, or the process cannot start.
        """

        def is_unwanted() -> bool:
            return self.stopping or (deployment is not None and deployment.cancelled)

        process = None
        if not new_interpreter:
            # A worker that replaces a dead one does not wait until a zygote has imported its modules.
            process = self.zygotes.acquire(generation.settings, is_unwanted, wait=not generation.was_live)
        worker = self._create_worker(generation.settings, self.log, self.scoreboard)
        worker.events = events
        worker.restarts = restarts
        worker.on_exit = self.remove
        worker.on_message = self._handle_message
        worker.on_line = lambda text, level: emit({"event": "log", "text": text, "level": level})
        with self._lock:
            unwanted = is_unwanted()
            if not unwanted:
                self._workers.add(worker)
                self._unavailable.pause()
        if unwanted:
            if process is not None:
                process.discard()
            text = "the service is stopping" if self.stopping else "cancelled"
            raise Aborted(failure("cancelled", "rollout", text))
        keys, changes = self._read_keys(), self._listener_changes
        try:
            worker.start(
                generation.listener, keys=keys, answer_early=answer_early, in_main=self._in_main, process=process
            )
        except OSError as error:
            self.remove(worker)
            text = f"{generation.settings.python or 'python'} could not be started: {error}"
            raise Aborted(failure("spawn-failed", "rollout", text)) from error
        with self._keys_lock:
            worker.send("keys", keys=self._read_keys())  # they may have changed while it was started
        if changes != self._listener_changes:
            worker.send("listen", (self.listener.fileno(),))
        with self._lock:
            if answer_early and generation.is_serving:  # it was not yet when this worker was chosen to answer
                worker.send("pause")
        self._on_spawn(worker)
        self.record()
        return worker

    def remove(self, worker: WorkerProcess) -> None:
        with self._lock:
            self._workers.discard(worker)
            if not self._workers:
                self._answer_unavailable()
        self.record()

    @contextlib.contextmanager
    def checking(self, worker: WorkerProcess) -> Iterator[None]:
        """While this is open, `worker`, which checks a script and is not in the pool, is recorded like a worker."""
        with self._lock:
            self._checks.add(worker)
        try:
            yield
        finally:
            with self._lock:
                self._checks.discard(worker)
            self.record()

    # -- the generation that serves

    def is_live(self, generation: Generation) -> bool:
        return self.live is generation and not self.stopping

    def switch_to(self, generation: Generation) -> Generation | None:
        """Makes `generation` the one that serves; returns the one that did."""
        with self._lock:
            previous, self.live = self.live, generation
            self.listener = generation.listener
            self.standby = False
            generation.was_live = True
            for worker in generation.workers:
                self._mark_live(worker)
            if not self._workers:
                self._answer_unavailable()
        return previous

    def leave_standby(self) -> None:
        """Lets this supervisor accept connections."""
        with self._lock:
            self.standby = False
            if not self._workers:
                self._answer_unavailable()

    def add_live(self, worker: WorkerProcess, generation: Generation) -> bool:
        """Adds a ready worker to the generation that serves; returns False when `generation` no longer serves."""
        with self._lock:
            if not self.is_live(generation):
                return False
            generation.workers.append(worker)
            generation.was_live, generation.failure = True, None
            self._mark_live(worker)
            self._pause_starting(generation)
            worker.send("accept")  # it may have been paused until now
            return True

    def replace_live(self, old: WorkerProcess, new: WorkerProcess, generation: Generation) -> bool:
        """Puts `new` in the place of `old`; returns False when `old` is no longer in the generation that serves."""
        with self._lock:
            if self.live is not generation or old not in generation.workers:
                return False
            generation.workers[generation.workers.index(old)] = new
            self._mark_live(new)
            return True

    def remove_live(self, worker: WorkerProcess) -> Generation | None:
        """Removes a dead worker; returns its generation when this serves and needs another worker."""
        with self._lock:
            self.remove(worker)
            generation = self.find_live(worker)
            if generation is None or self.stopping:
                return None
            generation.workers.remove(worker)
            return generation

    def find_live(self, worker: WorkerProcess) -> Generation | None:
        """The generation that serves, if `worker` is in it."""
        with self._lock:
            return self.live if self.live is not None and worker in self.live.workers else None

    def _answer_unavailable(self) -> None:
        if not self.standby and not self.stopping:
            self._unavailable.answer_on(self.listener)

    def _pause_starting(self, generation: Generation) -> None:
        """Has workers that are still starting accept nothing: they would answer 503, and another one serves now."""
        for worker in self._workers:
            if worker.state == "starting" and worker.settings is generation.settings and worker.pid:
                worker.send("pause")

    def _mark_live(self, worker: WorkerProcess) -> None:
        worker.state = "live"
        worker.on_exit = self._on_lost
        worker.on_line = None

    # -- what workers are sent, and send

    def drain(self, workers: list[WorkerProcess], timeout: float) -> None:
        """Makes workers stop accepting and hand over their idle connections; returns when they have.

        They exit when their requests are answered, at the latest after `timeout` seconds.
        """
        for worker in workers:
            worker.state = "draining"
            worker.on_exit = self.remove
        # A worker that is held up in C code cannot answer yet, but its request may still be answered.
        answers = request_all(workers, "drain", max(ORDER_WAIT, timeout), timeout=timeout)
        for worker, answer in zip(workers, answers, strict=True):
            if answer is None:
                worker.kill()
            timer = threading.Timer(timeout + KILL_GRACE, worker.kill)
            timer.daemon = True
            timer.start()

    def listen_on(self, listener: socket.socket) -> None:
        """Has everybody accept on another socket, because nothing arrives on the one before. Closes `listener`.

        The descriptor of the socket before comes to mean the new one, so a generation that is loading has it, too.
        """
        os.dup2(listener.fileno(), self.listener.fileno(), inheritable=False)
        listener.close()
        self._listener_changes += 1
        workers = [worker for worker in self.list_workers() if worker.pid and not worker.exited.is_set()]
        answers = request_all(workers, "listen", fds=(self.listener.fileno(),))
        for worker, answer in zip(workers, answers, strict=True):
            if answer is None and not worker.exited.wait(EXIT_WAIT):
                self.log.write(f"worker {worker.pid} did not take the new socket; ending it", level="warning")
                worker.kill()

    def adopt_connections(self, fds: list[int]) -> None:
        """Takes connections, as descriptors, for the live workers."""
        with self._lock:
            self._connections += fds
        self.deliver_connections()

    def retire(self, forward: Callable[[list[int]], bool], timeout: float) -> None:
        """As `drain`, for all workers, when another supervisor serves. `forward` gives it their idle connections.

        Nothing is spawned afterwards. `forward` returns False when the connections cannot be taken.
        """
        self.refuse_spawns()
        with self._lock:
            self._forward = forward
            live = self.live.workers if self.live is not None else []
            starting = [worker for worker in self._workers if worker not in live and worker.state != "draining"]
        self._unavailable.pause()
        for worker in starting:
            worker.kill()
        self.deliver_connections()
        self.drain(list(live), timeout)

    def deliver_connections(self) -> None:
        """Hands connections that lost their worker to the live workers, in turn, or to another supervisor."""
        with self._lock:
            if self._forward is not None:
                fds, self._connections = self._connections, []
                if fds:
                    self._forward(fds)
                for fd in fds:
                    os.close(fd)
                return
            takers = [worker for worker in self.live.workers if worker.state == "live"] if self.live else []
            while takers and self._connections:
                fd = self._connections.pop()
                worker = takers[len(self._connections) % len(takers)]
                if worker.send("adopt", (fd,)):
                    os.close(fd)
                else:
                    takers.remove(worker)
                    self._connections.append(fd)

    def send_keys(self) -> tuple[int, list[int]]:
        """Sends the keys of `keys.json` to all workers; returns how many, and the pids of those that did not answer."""
        with self._keys_lock:  # or an older key set that another thread has read could overwrite a newer one
            keys = self._read_keys()
            # A worker that has no pid yet reads the keys itself.
            workers = [worker for worker in self.list_workers() if worker.pid and not worker.exited.is_set()]
            answers = request_all(workers, "keys", KEYS_WAIT, keys=keys)
        silent = [worker for worker, answer in zip(workers, answers, strict=True) if answer is None]
        # A worker that closed its channel is exiting and needs no keys.
        return len(workers), [worker.pid for worker in silent if not worker.exited.wait(EXIT_WAIT)]

    def learn_modules(self, generation: Generation) -> None:
        """In the background, has the zygote import what a worker has loaded, and forks a spare for the next start."""

        def learn() -> None:
            for pause in LEARN_PAUSES:
                time.sleep(pause)
                worker = next((w for w in list(generation.workers) if w.state == "live"), None)
                answer = worker.request("modules") if worker is not None else None
                if not self.is_live(generation):
                    return
                if answer is not None:
                    self.zygotes.learn(generation.settings, answer["modules"])
                    self.zygotes.prepare_spare(generation.settings)

        threading.Thread(target=learn, daemon=True).start()

    def _handle_message(self, worker: WorkerProcess, message: dict[str, Any], fds: list[int]) -> None:
        if message["event"] == "handover":
            self.adopt_connections(fds)
        elif message["event"] == "stuck":
            self.scoreboard.service_fields[STUCK] += 1
            reason = message.get("reason") or "run() passed its deadline and did not end"
            self.log.write(f"worker {worker.pid}: {reason}; replacing the worker", level="warning")
            threading.Thread(target=self._on_stuck, args=(worker,), daemon=True).start()

    def _read_keys(self) -> dict[str, str]:
        return read_json(self.keys_path) or {}

    # -- stopping

    def refuse_spawns(self) -> None:
        """From now on, no worker is spawned or replaced."""
        with self._lock:
            self.stopping = True

    def stop(self, timeout: float) -> None:
        """Lets workers answer the requests in flight for up to `timeout` seconds, then ends them all."""
        with self._lock:
            workers, self._connections = list(self._workers), []
        for worker in workers:
            worker.on_exit = self.remove
            if worker.state in ("live", "draining"):
                worker.send("stop", timeout=timeout)
            else:
                worker.kill()
        deadline = time.monotonic() + timeout + 1
        for worker in workers:
            if not worker.exited.wait(max(0.0, deadline - time.monotonic())):
                worker.kill()
                worker.exited.wait(5)
        if not self._shared:
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)  # also for processes that inherited it and got away
        self.listener.close()
