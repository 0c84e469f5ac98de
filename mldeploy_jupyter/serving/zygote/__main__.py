"""Imports what the workers of a service need, and then only forks.

Started by a supervisor. It imports modules but calls nothing in them, neither user code nor `init()` nor the sample,
and has one thread, so nothing is in progress when it forks. A child becomes a worker (`worker/__main__.py`). Its
parent is the supervisor, not this process, which may therefore die without harm to the workers.

Orders come on a channel (`ipc/channel.py`). `import` (modules) and `look` are answered with `unsafe`, `culprit`,
`failed`, `changed` and `modules`, as far as they apply; `ping` with nothing; `fork` (with the descriptors of a worker's
channel and of its output) with `pid`.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import socket
import sys
import warnings
from typing import Any

from ..ipc.channel import Channel
from ..ipc.failure import describe
from ..system import process_mark, process_state, server_package
from ..worker import preload
from .fork_safety import why_unsafe

FORK_WAIT = 0.05  # seconds after imports in which a fork is ordered, if one waits for them


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="zygote")
    for name in ("channel", "parent"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args(argv)
    process_state.die_with_parent(options.parent)
    os.set_inheritable(options.channel, False)
    zygote = Zygote(Channel(socket.socket(fileno=options.channel)), options.parent)
    worker_channel = zygote.serve()
    if worker_channel is not None:
        from ..worker.__main__ import serve

        serve(worker_channel)


class Zygote:
    """The state of this process: what it has imported, and whether it may still be forked."""

    def __init__(self, channel: Channel, supervisor: int) -> None:
        self._channel = channel
        self._supervisor = supervisor  # its pid
        self._mark = os.environ.get(process_mark.VARIABLE, "")
        self._files = preload.ImportedFiles()
        self._unsafe_answer: dict[str, Any] = {}  # to every import order, once a module has made forking unsafe
        self._entry_points_cached = False

    def serve(self) -> Channel | None:
        """Carries out orders until the supervisor closes the channel. In a fork, returns the new worker's channel."""
        gc.disable()  # imported objects stay; looking for garbage would take a fifth of the time
        try:
            from ..worker import __main__, script_check, service  # noqa: F401  imported for the workers
        except ImportError as error:
            self._channel.send({"event": "hello", "unsafe": f"the server cannot be imported: {describe(error)}"})
            return None
        self._server_modules = set(sys.modules)
        self._freeze_imports()
        self._channel.send({"event": "hello", "unsafe": why_unsafe()})
        while (received := self._channel.receive()) is not None:
            order, fds = received
            if order["op"] == "fork":
                worker_channel = self._fork(order, fds)
                if worker_channel is not None:
                    return worker_channel
                self._files.look()
            elif order["op"] == "import":
                self._answer(order, **self._import(order["modules"]))
                if not self._channel.wait(FORK_WAIT):
                    self._files.look()
            elif order["op"] == "ping":
                self._answer(order)
            else:
                self._answer(order, changed=self._files.find_changed())
                self._cache_entry_points()
        return None

    def _import(self, names: list[str]) -> dict[str, Any]:
        """Imports modules of installed packages; skips others. Stops at the first that makes forking unsafe.

        A package is imported before its modules, so that it is the culprit when its own code is the reason.
        """
        if self._unsafe_answer:
            return self._unsafe_answer
        folders = preload.library_folders()
        failed: dict[str, str] = {}
        gc.disable()
        for name in preload.with_packages(names):
            if name in sys.modules or not preload.is_library(name, folders):
                continue
            self._channel.send({"event": "importing", "module": name})
            try:
                importlib.import_module(name)
            except BaseException as error:  # the script's own import of it will give a better message
                failed[name] = describe(error)
            reason = why_unsafe()
            if reason:
                self._unsafe_answer = {"unsafe": reason, "culprit": name, "failed": failed}
                return self._unsafe_answer
        self._freeze_imports()
        return {"unsafe": "", "culprit": "", "failed": failed, "modules": len(sys.modules)}

    def _freeze_imports(self) -> None:
        """Exempts everything that is loaded from garbage collection, and notes which modules that is.

        A collection in a child would write to, and so copy, every shared page. There is none before the freeze either:
        it would look at half a million objects after imports of scikit-learn and pandas, to collect a thousand.
        """
        gc.freeze()
        gc.enable()
        self._files.update()
        preload.record_imports(self._server_modules, server_package.NAME)

    def _cache_entry_points(self) -> None:
        """Caches them for later forks. Now, when nothing waits: the supervisor sends `look` after it has its fork."""
        if not self._entry_points_cached:
            from .entry_points import cache_entry_points  # it imports `importlib.metadata`, a fifth of a zygote's start

            self._entry_points_cached = True
            cache_entry_points()

    def _answer(self, order: dict[str, Any], **data: Any) -> None:
        self._channel.send({"event": "answer", "id": order["id"], **data})

    def _fork(self, order: dict[str, Any], fds: list[int]) -> Channel | None:
        """Forks twice. The intermediate process exits at once, so the supervisor adopts the second one."""
        read, write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about threads, which `why_unsafe` has checked
            intermediate = os.fork()
            if intermediate == 0:
                intermediate = os.getpid()
                if os.fork():
                    os._exit(0)
                return self._become_worker(order, fds, write, intermediate)
        os.close(write)
        pid = os.read(read, 32)
        os.close(read)
        os.waitpid(intermediate, 0)  # from now on the fork is the supervisor's child, which may wait for it
        for fd in fds:
            os.close(fd)
        self._answer(order, pid=int(pid or 0))
        return None

    def _become_worker(self, order: dict[str, Any], fds: list[int], write: int, intermediate: int) -> Channel:
        """Gives the fork its own session, output, name and parent; returns its channel."""
        os.setsid()
        os.write(write, b"%d" % os.getpid())
        os.close(write)
        self._channel.close_descriptor()
        channel, output = fds
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        # `ps` and `process_mark.kill_marked` read the command line and the environment with which a process started.
        process_state.rename(self._mark.encode(), order["mark"].encode())
        process_state.rename(b".zygote\0", b".worker\0")
        process_state.await_parent(self._supervisor, intermediate)
        process_state.reseed_random()
        return Channel(socket.socket(fileno=channel))


if __name__ == "__main__":
    main()
