"""Starts the supervisor, which holds a service's port and keeps its workers running.

    python -m mldeploy_serving.supervisor --folder DIR [--host 127.0.0.1] [--port N] [--resume] [--prewarm]

With `--prewarm` the standard input is a JSON object about the zygote of the first deployment. It is spawned before
anything else is done, and imports while the supervisor itself still does. Where the input is empty, the deployment
spawns it.

Exit codes: 97 when the folder has a supervisor already, 98 when the port cannot be listened on, 99 when `DIR/live.json`
is damaged; for 98 and 99 `DIR/failure.json` says why.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ..system.child_process import SpawnedProcess, start_process

PREWARM = "--prewarm"


def main(argv: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    settings, zygote = spawn_early_zygote(sys.stdin.buffer.read()) if PREWARM in arguments else (None, None)
    from .service_process import run  # takes longer than all of the above

    return run(arguments, settings, zygote)


def spawn_early_zygote(order: bytes) -> tuple[dict[str, Any] | None, SpawnedProcess | None]:
    """The zygote that the order describes, by `command`, `environment` and `mark`, and the `settings` that it is for.

    It dies with this process, so it may be there before the service's folder is claimed.
    """
    try:
        told = json.loads(order)
        return told["settings"], start_process(told["command"], told["environment"], told["mark"])
    except (OSError, ValueError):  # the caller has ended; or the deployment will report the reason
        return None, None


if __name__ == "__main__":
    sys.exit(main())
