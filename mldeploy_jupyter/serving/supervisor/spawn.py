"""How a worker's process comes to be: a new interpreter, or (`nursery.py`) a fork of one."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..settings import Settings
from ..system import process_mark, server_package

# Names of the caller's environment that would change how a worker starts.
DROPPED_VARIABLES = ("PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONHOME", "PYTHONPATH", "MPLBACKEND", "JPY_PARENT_PID")

_FROM_ARGUMENT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from mldeploy_serving.{module} import main; main()"

Run = Callable[[Callable[[], Any]], Any]


@dataclass
class SpawnedProcess:
    """A process that waits for its first order on `channel`. `output` is what it writes, `reap` gives its exit code

    (negative: the signal) and waits for it. `mark` is in the environment of whatever it starts. `changed` names a file
    of its imported modules that is not any more what was imported.
    """

    pid: int
    channel: socket.socket
    output: int
    reap: Callable[[], int]
    mark: str
    forked: bool = False
    changed: Callable[[], str] = lambda: ""

    def discard(self) -> None:
        """Ends a process that nobody uses."""
        end_group(self.pid)
        self.channel.close()
        os.close(self.output)
        self.reap()


def end_group(pid: int) -> None:
    """Kills a process and its group; one that is gone is no error."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass


def start(module: str, settings: Settings, mark: str, in_main: Run) -> SpawnedProcess:
    """Starts `module` of the server in an interpreter of its own, with `settings`' environment.

    `in_main` runs the fork in the main thread: the kernel's "die with my parent" means the thread that
    forked, so that thread must live as long as the supervisor. Raises `OSError` when it cannot start.
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
                cwd=settings.app_root or None,
                env=environment(settings, mark),
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
    patient(ours)
    return SpawnedProcess(process.pid, ours, read, process.wait, mark)


def patient(channel: socket.socket) -> None:
    """A process reads its orders at once; one that does not for five seconds is given up."""
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 5, 0))


def environment(settings: Settings, mark: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in DROPPED_VARIABLES}
    return {
        **kept,
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
