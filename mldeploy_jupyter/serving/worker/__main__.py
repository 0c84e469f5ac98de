"""A process that runs the entry script and answers requests. Started by a supervisor.

The main thread belongs to the script (`script_thread`), a second one runs the loop that answers (`service`), a third
listens to the supervisor. When the supervisor dies, the worker dies with it.
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

from ..ipc.channel import Channel
from ..ipc.failure import describe, failure, from_exception, stack_of
from ..log import capture, writer
from ..settings import Settings
from ..system import process_state
from . import preload

EXIT_FAILED = 3  # the script could not be started; the supervisor has been told why


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="worker")
    for name in ("channel", "parent"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args(argv)
    process_state.die_with_parent(options.parent)
    os.set_inheritable(options.channel, False)
    serve(Channel(socket.socket(fileno=options.channel)))


def serve(channel: Channel) -> None:
    """Carries out the first order; never returns. A process that a zygote forked begins here, too.

    `start` comes with two descriptors, the listening socket and the scoreboard, and makes this process a worker.
    `check` runs a script once (`script_check`).
    """
    received = channel.receive()
    if received is None:
        os._exit(0)
    start, fds = received
    settings = Settings.from_dict(start["settings"])
    if "environment" in start:  # this process was forked
        _take_over(start, settings, channel)
    if "lines" in start:  # missing for a check and from older supervisors, which keep plain text
        capture.install(str(settings.revision), start["lines"])
    faulthandler.enable()
    if hasattr(signal, "SIGUSR2"):
        faulthandler.register(signal.SIGUSR2, all_threads=True)
    if start["op"] == "check":
        from .script_check import serve_check

        serve_check(settings, channel)
    try:
        from ..ipc.scoreboard import Scoreboard
        from .service import Service
    except ImportError as error:
        data = failure(
            "module-missing", "import", f"the scoring server's own requirements are missing: {describe(error)}"
        )
        _fail(channel, {**data, "exception": from_exception(error, "import")["exception"], "server": True})
    service = Service(settings, channel, socket.socket(fileno=fds[0]), Scoreboard(fds[1]), start["slot"])
    service.app.auth.set_keys(start["keys"])
    service.start(early=start["early"])
    threading.Thread(target=_handle_orders, args=(channel, service), daemon=True, name="supervisor").start()
    try:
        ready = service.load()
    except BaseException as error:
        _fail(channel, from_exception(error, service.stage_name()))
    if ready.get("event") == "failed":
        _fail(channel, ready["failure"])
    capture.flush()
    channel.send(ready)
    service.script_thread.serve()
    service.finished.wait()
    if service.app.tracer is not None:
        service.app.tracer.stop()
    capture.flush()
    os._exit(0)


def _handle_orders(channel: Channel, service: Any) -> None:
    while (received := channel.receive()) is not None:
        message, fds = received
        if message["op"] == "stack":
            frame = sys._current_frames().get(threading.main_thread().ident or 0)
            channel.send({"event": "answer", "id": message["id"], "frames": stack_of(frame)})
        elif message["op"] == "modules":
            found = preload.libraries_since(set())
            channel.send({"event": "answer", "id": message["id"], "modules": found})
        else:
            service.handle_order(message, fds)
    os._exit(0)  # the supervisor is gone


def _fail(channel: Channel, data: dict[str, Any]) -> Any:
    exception = data.get("exception")
    if exception:
        frames = [f"  {f['file']}:{f['line']} in {f['function']}: {f['text']}" for f in exception["frames"]]
        writer.log(f"{data['stage']} failed: {data['message']}", level="error", traceback="\n".join(frames))
    capture.flush()
    channel.send({"event": "failed", "failure": data})
    os._exit(EXIT_FAILED)


def _take_over(start: dict[str, Any], settings: Settings, channel: Channel) -> None:
    """Sets what a worker that was not forked gets from its command: environment, folder, name, the server's folder."""
    preload.relocate_server(os.environ.get("PYTHONPATH", ""), start["environment"]["PYTHONPATH"])
    process_state.set_environment(start["environment"])
    process_state.become_main(str(__package__), [f"--channel={channel.fileno()}", f"--parent={os.getppid()}"])
    if settings.app_root:
        os.chdir(settings.app_root)


if __name__ == "__main__":
    main()
