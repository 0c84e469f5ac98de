"""Spawns the processes of a service as new interpreters. (Forks of a zygote: `zygote_process.py`.)"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from ..settings import Settings
from ..system import caller_environment, process_mark, server_package
from ..system.child_process import RunInMain, SpawnedProcess, start_process

_FROM_ARGUMENT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from mldeploy_serving.{module} import main; main()"


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

    `in_main` is that of `start_process`. Raises `OSError` when the process cannot start.
    """
    # A zygote outlives the folder of the revision that it was started for; its forks change theirs.
    folder = settings.app_root if module == "worker" else ""
    return start_process(server_command(module, settings), process_environment(settings, mark), mark, folder, in_main)


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


def server_command(module: str, settings: Settings) -> list[str]:
    """What runs `module` of the server in a new interpreter."""
    package = "mldeploy_serving" if settings.server_path else server_package.NAME
    python = settings.python or sys.executable
    if os.pathsep in settings.server_path:  # a folder that PYTHONPATH cannot name
        return [python, "-P", "-c", _FROM_ARGUMENT.format(module=module), settings.server_path]
    return [python, "-P", "-m", f"{package}.{module}"]
