"""A process that runs the entry script and answers requests. Started by a supervisor.

The main thread belongs to the script (`runner.py`), a second one runs the loop that answers, a third
listens to the supervisor. When the supervisor dies the worker dies with it.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import socket
import sys
import threading
from typing import Any

from . import output
from .channel import Channel
from .failure import describe, failure, from_exception, stack_of
from .settings import Settings

EXIT_FAILED = 3  # the script could not be started; the supervisor has been told why


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="worker")
    for name in ("channel", "listen", "board", "slot", "parent"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args(argv)
    _die_with(options.parent)
    faulthandler.enable()
    if hasattr(signal, "SIGUSR2"):
        faulthandler.register(signal.SIGUSR2, all_threads=True)
    for fd in (options.channel, options.listen, options.board):
        os.set_inheritable(fd, False)
    channel = Channel(socket.socket(fileno=options.channel))
    received = channel.receive()
    if received is None:
        os._exit(0)
    start = received[0]
    settings = Settings.from_dict(start["settings"])
    if "mark" in start:  # a supervisor of an older version keeps lines of text
        output.install(str(settings.revision), start["mark"])
    try:
        from .board import Board
        from .service import Service
    except ImportError as error:
        data = failure(
            "module-missing", "import", f"the scoring server's own requirements are missing: {describe(error)}"
        )
        _fail(channel, {**data, "exception": from_exception(error, "import")["exception"], "server": True})
    board = Board(options.board)
    service = Service(settings, channel, socket.socket(fileno=options.listen), board, options.slot)
    service.app.auth.set_keys(start["keys"])
    service.start(early=start["early"])
    threading.Thread(target=_obey, args=(channel, service), daemon=True, name="supervisor").start()
    try:
        ready = service.load()
    except BaseException as error:
        _fail(channel, from_exception(error, service.stage_name()))
    if ready.get("event") == "failed":
        _fail(channel, ready["failure"])
    output.flush()
    channel.send(ready)
    service.runner.serve()
    service.finished.wait()
    if service.app.tracer is not None:
        service.app.tracer.stop()
    output.flush()
    os._exit(0)


def _obey(channel: Channel, service: Any) -> None:
    while (received := channel.receive()) is not None:
        message, fds = received
        if message["op"] == "stack":
            frame = sys._current_frames().get(threading.main_thread().ident or 0)
            channel.send({"event": "answer", "id": message["id"], "frames": stack_of(frame)})
        else:
            service.obey(message, fds)
    os._exit(0)  # the supervisor is gone


def _fail(channel: Channel, data: dict[str, Any]) -> Any:
    exception = data.get("exception")
    if exception:
        frames = [f"  {f['file']}:{f['line']} in {f['function']}: {f['text']}" for f in exception["frames"]]
        output.log(f"{data['stage']} failed: {data['message']}", level="error", traceback="\n".join(frames))
    output.flush()
    channel.send({"event": "failed", "failure": data})
    os._exit(EXIT_FAILED)


def _die_with(parent: int) -> None:
    """Linux ends this process when its parent dies, however that dies."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it died before we asked
        os._exit(0)


if __name__ == "__main__":
    main()
