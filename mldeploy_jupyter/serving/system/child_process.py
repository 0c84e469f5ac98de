"""Spawns the processes of a service, each with a channel and a pipe for its output.

A supervisor spawns its first one before it does anything else, so this module imports little.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

SEND_TIMEOUT = 5  # seconds for a process to read an order; they normally do so at once

RunInMain = Callable[[Callable[[], Any]], Any]


class SpawnedProcess:
    """A process that waits for its first order.

    `channel` carries orders and messages, `output` is the end of a pipe from which its output is read. `reap` waits
    for its end and returns its exit code, or the negative number of the signal. `mark` is in the environment of the
    process and its descendants. `find_changed_file` names a file that was changed after the process imported it.
    """

    def __init__(
        self, pid: int, channel: socket.socket, output: int, reap: Callable[[], int], mark: str, forked: bool = False
    ) -> None:
        self.pid = pid
        self.channel = channel
        self.output = output
        self.reap = reap
        self.mark = mark
        self.forked = forked
        self.find_changed_file: Callable[[], str] = lambda: ""

    def discard(self) -> None:
        """Ends a process that is not needed."""
        kill_group(self.pid)
        self.channel.close()
        os.close(self.output)
        self.reap()


def start_process(
    command: Sequence[str],
    environment: Mapping[str, str],
    mark: str,
    folder: str = "",
    in_main: RunInMain | None = None,
) -> SpawnedProcess:
    """Starts a program of the server with the two arguments that each takes, `--channel` and `--parent`.

    `in_main` forks in the main thread: the kernel kills a process when the thread that forked it ends, so this
    must be the thread that lives as long as the supervisor. Raises `OSError` when the process cannot start.
    """
    ours, theirs = socket.socketpair()
    read, write = os.pipe()

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command, f"--channel={theirs.fileno()}", f"--parent={os.getpid()}"],
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=write,
            pass_fds=(theirs.fileno(),),
            cwd=folder or None,
            env=environment,
            start_new_session=True,
        )

    try:
        process = in_main(start) if in_main is not None else start()
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
