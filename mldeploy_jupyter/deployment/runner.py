"""The detached process of one deployment: `python -m mldeploy_jupyter.deployment.runner WORKSPACE ID`.

It runs in its own session, so that neither the end of the kernel nor Ctrl+C in the terminal reaches it. Secrets come
through standard input as one JSON document, and the deployment begins when that is closed. If the caller dies before it
has recorded the runner, the document is incomplete and nothing begins.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Returns 0 when the deployment became live, 1 when it did not, 3 when it never began."""
    root, deployment_id = arguments
    try:
        secrets = json.loads(sys.stdin.buffer.read())
    except ValueError:
        return 3
    # Imported late, so that the interpreter waits for its input while the caller still writes its records.
    from mldeploy_jupyter.core.imports import without_collections

    with without_collections():
        from mldeploy_jupyter.core.patience import patience, retry
        from mldeploy_jupyter.core.workspace import folder
        from mldeploy_jupyter.deployment.execution.execute import run_deployment

    path = Path(root)
    with patience():  # the workspace's disk may be away
        workspace = retry(lambda: folder.load_workspace(path), lambda _: not path.is_dir(), "the workspace's folder")
    return 0 if run_deployment(workspace, deployment_id, secrets=secrets) == "live" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
