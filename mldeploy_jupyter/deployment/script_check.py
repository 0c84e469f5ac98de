"""Checks an entry script: runs `init()` and the sample in a clean interpreter, with the files laid out as in a service.

The kernel itself cannot tell: it has variables, imports and a working folder that a service lacks.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import ModelNotFoundException
from mldeploy_jupyter.core.files import open_private, write_json
from mldeploy_jupyter.deployment import working_folder
from mldeploy_jupyter.deployment.diagnose import find_other_models, source_namesakes
from mldeploy_jupyter.deployment.plan import bundle_settings, registered_model
from mldeploy_jupyter.serving.system.caller_environment import inherited
from mldeploy_jupyter.targets import TargetFailure
from mldeploy_jupyter.targets.supervisor_client import SupervisorClient

if TYPE_CHECKING:
    from mldeploy_jupyter.core.bundle.builder import Bundle
    from mldeploy_jupyter.core.diagnosis import Cause, ScriptInfo
    from mldeploy_jupyter.core.records import ModelRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


FOLDER_PREFIX = "check-"  # of the temporary folder in the workspace; the process id and a random part follow

OVERHEAD_SECONDS = 3.0  # allowed beyond init()'s own limit: the interpreter's start and end, the sample

PROGRESS_SECONDS = 0.25  # between two reports of what a check prints

OnProgress = Callable[[list[str]], object]

# A line of the stacks that faulthandler writes, innermost frame first.
_STACK_LINE = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<function>.*)$')


@dataclass(frozen=True)
class ScriptCheck:
    """What a check found.

    `result` is as documented in `serving/worker/script_check.py`: `ok`, and `failure` or the sample. `output` holds
    the lines that the script printed, `settings` the server settings it ran with, `seconds` the time of the whole
    check.
    """

    result: dict[str, Any]
    output: list[str]
    settings: dict[str, Any]
    seconds: float
    models: list[ModelRecord] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.result.get("ok"))

    def explain(self, script: ScriptInfo) -> Cause:
        """Why the script failed, with the line of the cell that `script` knows."""
        from mldeploy_jupyter.core.diagnosis import explain
        from mldeploy_jupyter.core.diagnosis.package_source import package_source

        settings = {**self.settings, "checking": True, "packages": package_source({}, self.settings["python"])}
        return explain(self.result.get("failure") or {}, script=script, settings=settings, models=self.models)


def find_models(folder: WorkspaceFolder, references: list[str]) -> list[ModelRecord]:
    """The records of models given as `name` (its newest version) or `name:version`.

    Raises:
        ModelNotFoundException: the workspace has no model of that name or version.
    """
    store = folder.open_store()
    records = []
    for reference in references:
        name, _, version = reference.partition(":")
        record = store.get_model(name, int(version)) if version.isdigit() else store.get_model(name) if name else None
        if record is None or (version and not version.isdigit()):
            raise ModelNotFoundException(
                f"there is no model {reference}",
                why="none of that name and version is in this workspace",
                hint="list the models with mldeploy model list, or register it with mldeploy model register",
            )
        records.append(record)
    return records


def check_script(
    folder: WorkspaceFolder,
    script: Path,
    models: list[ModelRecord],
    *,
    python: str,
    source_directory: Path | None = None,
    init_timeout: float = 300.0,
    variables: dict[str, str] | None = None,
    on_progress: OnProgress = lambda lines: None,
) -> ScriptCheck:
    """Builds a temporary bundle of the script, its helper modules and the models, and runs it with `python`.

    The check is a fork of a live service with the same interpreter and `variables`, whose imports are loaded
    already, or else a new process. `init_timeout` is in seconds. An interrupt ends the process; the bundle is removed
    in any case. With `source_directory`, all its files go along. `on_progress` is called about four times a second with
    the lines that the script has printed so far.

    Raises:
        UserErrorException: there is no such script in the folder, or its source is too large.
        StorageError: a file could not be read or written.
    """
    started = time.monotonic()
    with _temporary_folder(folder) as temporary:
        bundle = _build_bundle(script, source_directory, models, temporary)
        app = temporary / "app"
        working_folder.create(bundle, folder.open_artifacts(), app)
        settings = bundle_settings(bundle, python=python, variables=variables or {}, models=models, app=app)
        settings["init_timeout"] = init_timeout
        answer = _run_forked(folder, settings, on_progress)
        if answer is not None:
            result, output = answer
        else:
            result, output = _run_process(bundle, settings, temporary, on_progress)
        if not result.get("ok"):
            failure = result.setdefault("failure", {})
            failure["model_tree"] = _model_files(bundle)
            failure["source_tree"] = source_namesakes(bundle, failure)
            failure["other_models"] = find_other_models(folder, failure, {model.name for model in models})
    return ScriptCheck(result, output, settings, time.monotonic() - started, models)


def _run_forked(
    folder: WorkspaceFolder, settings: dict[str, Any], on_progress: OnProgress
) -> tuple[dict[str, Any], list[str]] | None:
    """The result and output of a check in a fork of a live service's zygote (`serving/supervisor/script_check.py`).

    None when no service of this workspace can fork it. Also None when the script ended its process or its error
    speaks of forking: the same in a new process shows whether the fork was at fault.
    """
    for service_folder in _service_folders(folder.services):
        supervisor = SupervisorClient(service_folder)
        served = supervisor.read_live().get("settings") or {}
        if any(served.get(name) != settings[name] for name in ("python", "env")) or supervisor.find_process() is None:
            continue
        output: list[str] = []

        def on_event(event: dict[str, Any], output: list[str] = output) -> None:
            if event.get("event") == "log":
                output.append(event.get("text", ""))
            on_progress(output)

        try:
            answer = supervisor.call("check", on_event, settings={**settings, "inherited": inherited(os.environ)})
        except TargetFailure:
            continue
        if not answer.get("ok"):  # it does not fork, or its imports do not fit
            continue
        if _may_be_fault_of_fork(answer):
            return None
        if answer["result"] is not None:
            return answer["result"], output
        return _failed_without_result(None, settings["init_timeout"], output)
    return None


def _may_be_fault_of_fork(answer: dict[str, Any]) -> bool:
    if answer["result"] is None:
        return not answer["timed_out"]
    return "fork" in str((answer["result"].get("failure") or {}).get("message", "")).lower()


def _service_folders(root: Path) -> list[Path]:
    """The folders of services with a live revision, the most recently changed first."""
    found = []
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            found.append(((folder / "live.json").stat().st_mtime_ns, folder))
        except OSError:
            continue
    return [folder for _, folder in sorted(found, reverse=True)]


def _run_process(
    bundle: Bundle, settings: dict[str, Any], temporary: Path, on_progress: OnProgress
) -> tuple[dict[str, Any], list[str]]:
    """The result and output of a check in a new interpreter."""
    from mldeploy_jupyter.core.bundle.server_source import PACKAGE

    settings_path, result_path, log_path = (temporary / name for name in ("settings.json", "result.json", "output.log"))
    write_json(settings_path, settings)
    # faulthandler shows where a crash or a hanging init() was.
    command = [settings["python"], "-P", "-X", "faulthandler", "-m", f"{PACKAGE}.check"]
    command += ["--settings", str(settings_path), "--result", str(result_path)]
    environ = inherited(os.environ)
    environ |= {"PYTHONPATH": str(bundle.server), "PYTHONUNBUFFERED": "1"}
    environ |= {"PYTHONIOENCODING": "utf-8:backslashreplace"}
    with open_private(log_path, "wb") as log:
        process = subprocess.Popen(
            command,
            cwd=settings["app_root"],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    exit_code: int | None = None
    try:
        exit_code = _await_exit(process, settings["init_timeout"] + OVERHEAD_SECONDS, log_path, on_progress)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler then writes where init() hangs
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2.0)
    finally:
        # Kill the whole group: the script may have started processes of its own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    output = log_path.read_bytes().decode("utf-8", "backslashreplace").splitlines()
    try:
        return json.loads(result_path.read_text("utf-8")), output
    except (OSError, ValueError):
        return _failed_without_result(exit_code, settings["init_timeout"], output)


def _await_exit(process: subprocess.Popen[bytes], limit: float, log_path: Path, on_progress: OnProgress) -> int:
    """The exit code. Passes on what the process prints. Raises `TimeoutExpired` after `limit` seconds."""
    deadline = time.monotonic() + limit
    lines, partial = list[str](), b""  # `partial` is a line that has no end yet
    with log_path.open("rb") as log:
        while True:
            try:
                return process.wait(min(PROGRESS_SECONDS, max(0.0, deadline - time.monotonic())))
            except subprocess.TimeoutExpired:
                if time.monotonic() >= deadline:
                    raise
                *new, partial = (partial + log.read()).split(b"\n")
                lines += [line.decode("utf-8", "backslashreplace") for line in new]
                on_progress(lines)


def _failed_without_result(
    exit_code: int | None, init_timeout: float, output: list[str]
) -> tuple[dict[str, Any], list[str]]:
    """The result and output of a process that ended without a result; `exit_code` is None when it was timed out."""
    output, stack = _split_fatal_error(output)
    failure: dict[str, Any] = {
        "stage": "init",
        "log_tail": output[-50:],
        "message": output[-1] if output else "",
        "frames": stack,
    }
    if exit_code is None:
        failure |= {"code": "init-timeout", "seconds": init_timeout}
    elif exit_code < 0:
        failure |= {"code": "killed", "signal": -exit_code, "memory": {"oom_kill": None}}
    else:
        failure |= {"code": "exited", "exit_code": exit_code}
    return {"ok": False, "failure": failure}, output


def _split_fatal_error(lines: list[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """The script's own output, and the main thread's stack from faulthandler's report, outermost frame first."""
    begin = next((i for i, line in enumerate(lines) if line.startswith("Fatal Python error: ")), len(lines))
    main = next((i for i in range(begin, len(lines)) if lines[i].startswith("Current thread ")), len(lines))
    stack = []
    for line in lines[main + 1 :]:
        match = _STACK_LINE.match(line)
        if match is None:
            break
        stack.append({"file": match["file"], "line": int(match["line"]), "function": match["function"], "text": ""})
    return lines[:begin], stack[::-1]


def _build_bundle(script: Path, source_directory: Path | None, models: list[ModelRecord], temporary: Path) -> Bundle:
    from mldeploy_jupyter.core.bundle.builder import BundleContent, build
    from mldeploy_jupyter.core.bundle.source_directory import list_source_files

    parts = [registered_model(model) for model in models]
    name = script.name if source_directory is None else os.path.relpath(script, source_directory)
    files = list_source_files(script if source_directory is None else name, source_directory)
    return build(BundleContent("source", files, Path(name).as_posix(), parts), temporary / "bundles")


def _model_files(bundle: Bundle) -> list[str]:
    from mldeploy_jupyter.core.bundle.builder import MODELS

    return sorted(bundle.files_below(f"app/{MODELS}/"))[:50]


@contextlib.contextmanager
def _temporary_folder(folder: WorkspaceFolder) -> Iterator[Path]:
    """A folder in the workspace, on the disk that has the models, so that they can be cloned."""
    for left_behind in folder.root.glob(f"{FOLDER_PREFIX}*-*"):
        pid = left_behind.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            shutil.rmtree(left_behind, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-", dir=folder.root))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
