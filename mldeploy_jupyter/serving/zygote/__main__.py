"""The pre-import parent: imports what the workers of a service need, and then only forks.

Started by a supervisor. It imports and never calls: no user code, no `init()`, no sample, so nothing runs in it
when it is forked. It has one thread. A child becomes a worker (`worker.py`), and the supervisor, not this process,
is its parent: this process may die without harm to those that serve.

Orders (`channel.py`): `import` (names) and `look` are answered with `{"unsafe", "culprit", "failed", "changed",
"modules"}`, `fork` (descriptors: a worker's channel and its output) with `{"pid"}`.
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
from . import entry_points
from .fork_safety import unsafe


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="zygote")
    for name in ("channel", "parent"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args(argv)
    process_state.die_with_parent(options.parent)
    os.set_inheritable(options.channel, False)
    zygote = Zygote(Channel(socket.socket(fileno=options.channel)), options.parent)
    child = zygote.serve()
    if child is not None:
        from ..worker.__main__ import serve

        serve(child)


class Zygote:
    """One process. `serve` returns in a child only, with the child's channel."""

    def __init__(self, channel: Channel, parent: int) -> None:
        self._channel = channel
        self._parent = parent
        self._mark = os.environ.get(process_mark.VARIABLE, "")
        self._files = preload.ImportedFiles()
        self._spoilt: dict[str, Any] = {}
        self._remembers = False

    def serve(self) -> Channel | None:
        gc.disable()  # what is imported stays; looking for garbage meanwhile takes a fifth of the time
        try:
            from ..worker import __main__, script_check, service  # noqa: F401  imported for the workers to come
        except ImportError as error:
            self._channel.send({"event": "hello", "unsafe": f"the server cannot be imported: {describe(error)}"})
            return None
        self._base = set(sys.modules)
        self._settle()
        self._channel.send({"event": "hello", "unsafe": unsafe()})
        while (received := self._channel.receive()) is not None:
            order, fds = received
            if order["op"] == "fork":
                child = self._fork(order, fds)
                if child is not None:
                    return child
            elif order["op"] == "import":
                self._answer(order, **self._import(order["modules"]))
            else:
                self._answer(order, changed=self._files.find_changed())
                self._remember()
        return None

    def _import(self, names: list[str]) -> dict[str, Any]:
        """Imports what is there and belongs to an installed package. Stops at the first that makes forking unsafe."""
        if self._spoilt:
            return self._spoilt
        folders = preload.library_folders()
        failed: dict[str, str] = {}
        gc.disable()
        for name in names:
            if name in sys.modules or not preload.is_library(name, folders):
                continue
            self._channel.send({"event": "importing", "module": name})
            try:
                importlib.import_module(name)
            except BaseException as error:  # the script will say it better
                failed[name] = describe(error)
            reason = unsafe()
            if reason:
                self._spoilt = {"unsafe": reason, "culprit": name, "failed": failed}
                return self._spoilt
        self._settle()
        return {"unsafe": "", "culprit": "", "failed": failed, "modules": len(sys.modules)}

    def _settle(self) -> None:
        """Makes what is loaded by now what every child shares.

        A collection in a child would write to, and so copy, every page that we share. None comes before it: the imports
        of scikit-learn and pandas leave a thousand objects to collect, and half a million to look at.
        """
        gc.freeze()
        gc.enable()
        self._files.update()
        preload.record_imports(self._base, server_package.NAME)

    def _remember(self) -> None:
        """For the forks to come. Now, because nobody waits: whoever asks for a look has its fork."""
        if not self._remembers:
            self._remembers = True
            entry_points.remember()

    def _answer(self, order: dict[str, Any], **data: Any) -> None:
        self._channel.send({"event": "answer", "id": order["id"], **data})

    def _fork(self, order: dict[str, Any], fds: list[int]) -> Channel | None:
        """Forks twice: the one between ends at once, so the supervisor becomes the parent of the worker."""
        read, write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads: `unsafe` has looked
            between = os.fork()
            if between == 0:
                between = os.getpid()
                if os.fork():
                    os._exit(0)
                return self._become_worker(order, fds, write, between)
        os.close(write)
        pid = os.read(read, 32)
        os.close(read)
        os.waitpid(between, 0)
        for fd in fds:
            os.close(fd)
        self._answer(order, pid=int(pid or 0))
        return None

    def _become_worker(self, order: dict[str, Any], fds: list[int], write: int, between: int) -> Channel:
        os.setsid()
        os.write(write, b"%d" % os.getpid())
        os.close(write)
        self._channel.close_descriptor()
        channel, output = fds
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        # `ps` and whoever looks for what a worker has left behind read the first environment.
        process_state.rename(self._mark.encode(), order["mark"].encode())
        process_state.rename(b".zygote\0", b".worker\0")
        process_state.await_parent(self._parent, between)
        process_state.reseed_random()
        return Channel(socket.socket(fileno=channel))


if __name__ == "__main__":
    main()
