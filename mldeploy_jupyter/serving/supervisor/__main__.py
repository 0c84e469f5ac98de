"""Starts the supervisor, which holds a service's port and keeps its workers running.

    python -m mldeploy_serving.supervisor --folder DIR [--host 127.0.0.1] [--port N] [--resume]

Exit codes: 97 when the folder has a supervisor already, 98 when the port cannot be listened on, 99 when `DIR/live.json`
is damaged; for 98 and 99 `DIR/failure.json` says why.
"""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

from ..ipc.failure import failure
from ..log.service_log import ServiceLog
from ..settings import Settings
from ..system.json_file import read_json, write_json
from ..system.listening_socket import open_listener
from . import EXIT_LOCKED
from .rollout import bind_failure
from .service_process import STOP_SECONDS, ServiceProcess, claim_folder

EXIT_PORT_IN_USE = 98

EXIT_LIVE_DAMAGED = 99

EXIT_FOLDER_ABSENT = 100


def main(argv: list[str] | None = None) -> int:
    options = _parse(argv)
    folder: Path = options.folder
    try:
        lock = claim_folder(folder)
    except FileNotFoundError as error:
        print(f"there is nothing to serve from: {error}", file=sys.stderr)
        return EXIT_FOLDER_ABSENT
    if lock is None:
        return EXIT_LOCKED
    live = read_json(folder / "live.json") if options.resume else None
    try:
        settings = Settings.from_dict((live or {}).get("settings", {}))
    except TypeError as error:
        write_json(folder / "failure.json", failure("live-damaged", "rollout", f"{folder / 'live.json'}: {error}"))
        return EXIT_LIVE_DAMAGED
    port = options.port if options.port is not None else (live or {}).get("port", 0)
    port = port if isinstance(port, int) else 0
    (folder / "failure.json").unlink(missing_ok=True)
    try:
        listener = open_listener(options.host, port)
    except OSError as error:
        write_json(folder / "failure.json", bind_failure(port, error))
        return EXIT_PORT_IN_USE

    process = ServiceProcess(folder, listener, options.host, ServiceLog(folder / "logs" / "service.log"))
    arbiter = process.arbiter

    def stop_if_unused() -> None:
        if arbiter.rollouts.last is None:
            process.stop(STOP_SECONDS)

    if live is None:
        timer = threading.Timer(options.patience, stop_if_unused)
        timer.daemon = True
        timer.start()
    else:
        arbiter.resume(settings, str(live.get("deployment_id", "")))
    process.serve()
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="supervisor", description="Holds a service's port and its workers.")
    parser.add_argument("--folder", type=lambda text: Path(text).absolute(), required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, help="0: a free one; without it the one of live.json, else a free one")
    parser.add_argument("--resume", action="store_true", help="bring back what live.json says")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds until it ends if no deployment comes")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
