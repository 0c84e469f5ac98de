"""Runs `init()` and the sample of a script in a clean interpreter, laid out as in a service.

The notebook's own process would lie: it has the variables, imports and working folder that a service lacks.
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
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import ModelNotFoundException
from mldeploy_jupyter.targets import TargetFailure
from mldeploy_jupyter.targets.supervisor_client import SupervisorClient

if TYPE_CHECKING:
    from mldeploy_jupyter.core.bundle.builder import Bundle
    from mldeploy_jupyter.core.records import ModelRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


# The same names of the caller's environment are kept from the workers of a service.
DROPPED = ("PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONHOME", "PYTHONPATH", "MPLBACKEND", "JPY_PARENT_PID")

PREFIX = "check-"

ENDING_SECONDS = 3.0  # beyond init()'s own limit: the interpreter's start and end, the sample

# A line of the stacks that faulthandler writes, innermost frame first.
FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<function>.*)$')


@dataclass(frozen=True)
class ScriptCheck:
    """`result` is what `serving/worker/script_check.py` found, `output` what the script printed.

    `seconds` is the time of the whole run.
    """

    result: dict[str, Any]
    output: list[str]
    settings: dict[str, Any]
    seconds: float
    models: list[ModelRecord] = field(default_factory=list)


def find_models(folder: WorkspaceFolder, references: list[str]) -> list[ModelRecord]:
    """The records of `name` (its newest version) and `name:version`. Raises `ModelNotFoundException`."""
    store = folder.open_store()
    records = []
    for reference in references:
        name, _, version = reference.partition(":")
        record = store.get_model(name, int(version)) if version.isdigit() else store.get_model(name) if name else None
        if record is None or (version and not version.isdigit()):
            raise ModelNotFoundException(
                f"there is no model {reference}",
                why="none of that name and version is in this workspace",
                hint="see what there is with %mldeploy model list, or register it with %register",
            )
        records.append(record)
    return records


def check_script(
    script: Path,
    models: list[ModelRecord],
    folder: WorkspaceFolder,
    *,
    python: str,
    init_timeout: float = 300.0,
    variables: dict[str, str] | None = None,
) -> ScriptCheck:
    """Lays the script, its helpers and the models out as a service has them and runs the check with `python`.

    Where a service runs whose imports fit, the check is a fork of those; else it is a new process.

    `init_timeout` is in seconds. An interrupt ends the run's process first.
    Nothing is left on the disk.
    Raises what `source_files` and the bundle raise for files that cannot be read.
    """
    started = time.monotonic()
    with _place(folder) as place:
        made = _lay_out(script, models, folder, place)
        settings: dict[str, Any] = {
            "python": python,
            "server_path": str(made.server),
            "server_digest": made.server_digest,
            "app_root": str(made.app),
            "source_directory": made.manifest["source_directory"],
            "entry_script": made.entry_script,
            "model_dir": str(made.model_dir),
            "env": variables or {},
            "init_timeout": init_timeout,
        }
        forked = run_forked(folder, {**settings, "preload": _preload(made, models)})
        if forked is not None:
            result, output = _result(*forked, init_timeout)
        else:
            (place / "settings.json").write_text(json.dumps(settings))
            result, output = _run(python, made, place, init_timeout)
        if not result.get("ok"):
            result.setdefault("failure", {})["model_tree"] = _tree(made.app / "azureml-models")
    return ScriptCheck(result, output, settings, time.monotonic() - started, models)


def _run(python: str, made: Bundle, place: Path, init_timeout: float) -> tuple[dict[str, Any], list[str]]:
    from mldeploy_jupyter.core.bundle.server_source import PACKAGE

    answer, log = place / "result.json", place / "output.log"
    # faulthandler says where a crash or a hanging init() was.
    command = [python, "-P", "-X", "faulthandler", "-m", f"{PACKAGE}.check"]
    command += ["--settings", str(place / "settings.json"), "--result", str(answer)]
    environ = {name: value for name, value in os.environ.items() if name not in DROPPED}
    environ |= {"PYTHONPATH": str(made.server), "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=made.app,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    exit_code: int | None = None
    try:
        exit_code = process.wait(init_timeout + ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2.0)
    finally:
        # What the script itself started ends with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    lines = log.read_bytes().decode("utf-8", "backslashreplace").splitlines()
    try:
        return json.loads(answer.read_text("utf-8")), lines
    except (OSError, ValueError):
        lines, stack = _split(lines)
        return {"ok": False, "failure": _lost(exit_code, init_timeout, lines, stack)}, lines


def _result(answer: dict[str, Any], lines: list[str], init_timeout: float) -> tuple[dict[str, Any], list[str]]:
    """What a check in a fork found. One that ended its process by itself is not taken from there."""
    if answer["result"] is not None:
        return answer["result"], lines
    lines, stack = _split(lines)
    return {"ok": False, "failure": _lost(None, init_timeout, lines, stack)}, lines


def _preload(made: Bundle, models: list[ModelRecord]) -> list[str]:
    from mldeploy_jupyter.core.script.imports import imported_modules, modules_of

    root = made.app / made.manifest["source_directory"]
    source = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
    return [*imported_modules(source), *modules_of(models)]


def _split(lines: list[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """The script's own output, and the stack of its main thread from what faulthandler wrote, outermost first."""
    begin = next((i for i, line in enumerate(lines) if line.startswith("Fatal Python error: ")), len(lines))
    main = next((i for i in range(begin, len(lines)) if lines[i].startswith("Current thread ")), len(lines))
    stack = []
    for line in lines[main + 1 :]:
        match = FRAME.match(line)
        if match is None:
            break
        stack.append({"file": match["file"], "line": int(match["line"]), "function": match["function"], "text": ""})
    return lines[:begin], stack[::-1]


def _lost(exit_code: int | None, init_timeout: float, lines: list[str], stack: list[dict[str, Any]]) -> dict[str, Any]:
    """The failure of a run that ended without an answer."""
    failure: dict[str, Any] = {"stage": "init", "log_tail": lines[-50:], "message": lines[-1] if lines else ""}
    failure["frames"] = stack
    if exit_code is None:
        return {**failure, "code": "init-timeout", "seconds": init_timeout}
    if exit_code < 0:
        return {**failure, "code": "killed", "signal": -exit_code, "memory": {"oom_kill": None}}
    return {**failure, "code": "exited", "exit_code": exit_code}


def _lay_out(script: Path, models: list[ModelRecord], folder: WorkspaceFolder, place: Path) -> Bundle:
    from functools import partial

    from mldeploy_jupyter.core.bundle.builder import BundleContent, BundleModel, build
    from mldeploy_jupyter.core.bundle.source_directory import source_files

    artifacts = folder.open_artifacts() if models else None
    parts = [
        BundleModel(model.name, model.version, model.files, partial(artifacts.materialize, model.files))
        for model in models
        if artifacts is not None
    ]
    return build(BundleContent("source", source_files(script), script.name, parts), place / "bundles")


@contextlib.contextmanager
def _place(folder: WorkspaceFolder) -> Iterator[Path]:
    """A folder in the workspace, on the same disk as the models, so that these are linked and not copied."""
    for left in folder.root.glob(f"{PREFIX}*-*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            shutil.rmtree(left, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=folder.root))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _tree(models: Path) -> list[str]:
    return sorted(str(path.relative_to(models)) for path in models.rglob("*") if path.is_file())[:50]


ANSWER = 15.0  # seconds between two signs of life: they come four times a second


def run_forked(folder: WorkspaceFolder, settings: dict[str, Any]) -> tuple[dict[str, Any], list[str]] | None:
    """The supervisor's answer (`serving/supervisor/script_check.py`) and what the script printed.

    None where no service of this workspace forks with the interpreter and the variables of `settings`, and when the
    script ended its process or spoke of forking: then a new process must show whether that was the fork's fault.
    """
    for place in _services(folder.services):
        supervisor = SupervisorClient(place)
        served = supervisor.live().get("settings") or {}
        if any(served.get(name) != settings[name] for name in ("python", "env")) or supervisor.running() is None:
            continue
        lines: list[str] = []

        def on_event(event: dict[str, Any], lines: list[str] = lines) -> None:
            if event.get("event") == "log":
                lines.append(event.get("text", ""))

        try:
            answer = supervisor.call("check", on_event, timeout=ANSWER, settings=settings)
        except TargetFailure:
            continue
        if answer.get("ok"):
            return None if _may_be_the_fork(answer) else (answer, lines)
    return None


def _may_be_the_fork(answer: dict[str, Any]) -> bool:
    if answer["result"] is None:
        return not answer["timed_out"]
    return "fork" in str((answer["result"].get("failure") or {}).get("message", "")).lower()


def _services(root: Path) -> list[Path]:
    """The folders of the services, the one that was changed last first."""
    found = []
    for place in root.iterdir() if root.is_dir() else ():
        try:
            found.append(((place / "live.json").stat().st_mtime_ns, place))
        except OSError:
            continue
    return [place for _, place in sorted(found, reverse=True)]
