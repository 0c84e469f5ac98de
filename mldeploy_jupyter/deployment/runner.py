"""The detached process of one deployment: `python -m mldeploy_jupyter.deployment.runner WORKSPACE ID`.

It has a session of its own, so neither the end of the kernel nor an interrupt of the terminal reaches it. What is
secret comes through its standard input as one JSON document. It begins when that is closed; a caller that died
before it had written everything down leaves a document that does not parse, and nothing is begun.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    root, deployment_id = arguments
    try:
        secrets = json.loads(sys.stdin.buffer.read())
    except ValueError:
        return 3
    from mldeploy_jupyter.core.workspace import folder
    from mldeploy_jupyter.deployment.execute import run_deployment

    return 0 if run_deployment(folder.load_workspace(Path(root)), deployment_id, secrets=secrets) == "live" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
