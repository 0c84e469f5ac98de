"""Begins a latency run in a process of its own, which continues when the caller ends: a panel's kernel, for example."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.api.webservices.latency.preparation import prepare_run
from mldeploy_jupyter.core.files import open_private
from mldeploy_jupyter.core.workspace.folder import VARIABLE
from mldeploy_jupyter.latency.generator.messages import Order, pack_order
from mldeploy_jupyter.latency.saved import RUNNER_LOG, create_run, hand_over

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices.webservice import Webservice

# -P: modules in the user's working folder must not hide the library's.
RUNNER = ["-P", "-m", "mldeploy_jupyter.panel.latency.runner"]


def launch_latency(service: Webservice, **options: Any) -> str:
    """Begins a run of one service, with the arguments of `measure_latency`, and returns its id.

    The run is kept in the service's workspace, where any view can follow and stop it. Raises as
    `measure_latency` does, and `StorageError`.
    """
    prepared = prepare_run(service, **options)
    folder = service.workspace.folder
    run = create_run(folder, prepared.plan)
    with open_private(run.path / RUNNER_LOG, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, *RUNNER, run.id],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, VARIABLE: str(folder.root)},
            start_new_session=True,
        )
    threading.Thread(target=process.wait, name="mldeploy-reap", daemon=True).start()
    hand_over(run, process.pid)
    assert process.stdin is not None
    # The runner begins when it has the whole order: by then it is recorded.
    with suppress(BrokenPipeError), process.stdin:
        process.stdin.write(pack_order(Order(prepared.plan, str(run.samples_path), prepared.bodies)))
    return run.id
