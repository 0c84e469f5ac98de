"""Spawns the processes of a service as new interpreters. (Forks of a zygote: `zygote_process.py`.)"""

from __future__ import annotations

import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..settings import Settings
from ..system import caller_environment, process_mark, server_package

_FROM_ARGUMENT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from mldeploy_serving.{module} import main; main()"

SEND_TIMEOUT = 5  # seconds for a process to read an order; they normally do so at once

RunInMain = Callable[[Callable[[], Any]], Any]


@dataclass
class SpawnedProcess:
    """A process that waits for its first order.

    `channel` carries orders and messages, `output` is the end of a pipe from which its output is read. `reap` waits
    for its end and returns its exit code, or the negative number of the signal. `mark` is in the environment of the
    process and its descendants. `find_changed_file` names a file that was changed after the process imported it.
    """

    pid: int
    channel: socket.socket
    output: int
    reap: Callable[[], int]
    mark: str
    forked: bool = False
    find_changed_file: Callable[[], str] = lambda: ""

    def discard(self) -> None:
        """Ends a process that is not needed."""
        kill_group(self.pid)
        self.channel.close()
        os.close(self.output)
        self.reap()


class MainThread:
    """Runs tasks of other threads in the main thread, one after another, until it is stopped."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run(self, task: Callable[[], Any]) -> Any:
        """Runs `task` in the main thread and returns its result, or raises its exception."""
        if threading.current_thread() is threading.main_thread():
            return task()
        answer: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._tasks.put((task, answer))
        result, error = answer.get()
        if error is not None:
            raise error
        return result

    def stop(self) -> None:
        self._tasks.put(None)

    def serve(self) -> None:
        """Runs tasks until `stop` is called. To be called from the main thread."""
        while (item := self._tasks.get()) is not None:
            task, answer = item
            try:
                answer.put((task(), None))
            except BaseException as error:
                answer.put((None, error))


def spawn_process(module: str, settings: Settings, mark: str, in_main: RunInMain) -> SpawnedProcess:
    """Starts `module` of the server in a new interpreter, with the environment of `settings`.

    `in_main` forks in the main thread: the kernel kills a process when the thread that forked it ends, so this
    must be the thread that lives as long as the supervisor. Raises `OSError` when the process cannot start.
    """
    ours, theirs = socket.socketpair()
    read, write = os.pipe()
    try:
        process = in_main(
            lambda: subprocess.Popen(
                [*_command(module, settings), f"--channel={theirs.fileno()}", f"--parent={os.getpid()}"],
                stdin=subprocess.DEVNULL,
                stdout=write,
                stderr=write,
                pass_fds=(theirs.fileno(),),
                # A zygote outlives the folder of the revision that it was started for; its forks change theirs.
                cwd=(settings.app_root if module == "worker" else "") or None,
                env=process_environment(settings, mark),
                start_new_session=True,
            )
        )
    except BaseException:
        ours.close()
        os.close(read)
        raise
    finally:
        theirs.close()
        os.close(write)
    set_send_timeout(ours)
    return SpawnedProcess(process.pid, ours, read, process.wait, mark)


def set_send_timeout(channel: socket.socket) -> None:
    """Makes sending fail when the process at the other end does not read for `SEND_TIMEOUT` seconds."""
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_TIMEOUT, 0))


def kill_group(pid: int) -> None:
    """Kills a process and its group; does nothing when they are gone."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass


def process_environment(settings: Settings, mark: str) -> dict[str, str]:
    """The environment of a worker or zygote: the caller's or supervisor's, the user's variables, the server's own."""
    return {
        **caller_environment.inherited(settings.inherited or os.environ),
        **settings.env,
        "PYTHONPATH": settings.server_path or str(server_package.import_root()),
        process_mark.VARIABLE: mark,
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
        "AZUREML_MODEL_DIR": settings.model_dir,
        "AZUREML_SOURCE_DIRECTORY": settings.source_directory,
        "AZUREML_ENTRY_SCRIPT": settings.entry_script,
        "AML_APP_ROOT": settings.app_root,
    }


def _command(module: str, settings: Settings) -> list[str]:
    package = "mldeploy_serving" if settings.server_path else server_package.NAME
    python = settings.python or sys.executable
    if os.pathsep in settings.server_path:  # a folder that PYTHONPATH cannot name
        return [python, "-P", "-c", _FROM_ARGUMENT.format(module=module), settings.server_path]
    return [python, "-P", "-m", f"{package}.{module}"]
