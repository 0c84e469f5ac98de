"""A workspace and a user folder that have lived: everything that leaves a file or a row has been done once.

All of it is below one folder, so that it can be copied, damaged and put back.
"""

from __future__ import annotations

import io
import os
import signal
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from mldeploy_jupyter import Environment, Model, Run, Webservice, Workspace
from mldeploy_jupyter.commands import Context, open_workspace, run
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.files import read_json
from mldeploy_jupyter.core.script import notebook_cells
from tests.integration.deployment.conftest import BROKEN, SCRIPT, SLOW
from tests.integration.environments.conftest import wheel
from tests.polling import wait_until
from tests.processes import list_processes_below

SERVER_PACKAGES = ("httptools", "markupsafe", "orjson", "uvloop", "werkzeug")

LARGE = 1100 * 1024  # bytes of a model; from 1 MiB on, it is noted that its digest was compared


def mldeploy(*words: str) -> str:
    """The text of a command that succeeds."""
    return run(list(words), context=Context(open_workspace, out=io.StringIO(), err=io.StringIO())).text


def live_a_life(folder: Path, observe: Callable[[], object]) -> None:
    """Registers, deploys, updates, fails, rolls back, stops and loses in the current directory, which is `folder`.

    `observe` is called whenever there may be files that were not there before. At the end nothing runs.
    """
    packages = _make_packages(folder / "packages")
    mldeploy("workspace", "create")
    ws = Workspace.get(path=str(folder))
    for name, content in (("m.txt", b"model"), ("big.bin", os.urandom(LARGE)), ("tree/a.txt", b"a")):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    for words in (("m", "m.txt"), ("m", "m.txt"), ("big", "big.bin"), ("tree", "tree")):
        mldeploy("model", "register", *words)
    Model.get_model_path("m", _workspace=ws)
    _write_script(folder, ws, SCRIPT.format(answer=1))
    mldeploy("model", "deploy", "other", "-m", "tree", "--entry-script", "score.py", "--wait")
    mldeploy("model", "deploy", "svc", "-m", "m", "-m", "big", "--entry-script", "score.py", "--wait")
    observe()
    _write_script(folder, ws, SCRIPT.format(answer=2))
    mldeploy("service", "update", "svc", "--entry-script", "score.py", "--wait")
    _write_script(folder, ws, BROKEN)
    try:
        mldeploy("service", "update", "svc", "--entry-script", "score.py", "--wait")
    except MldeployError:
        observe()
    mldeploy("service", "rollback", "svc", "--wait")
    mldeploy("service", "regen-key", "svc", "-k", "primary")
    mldeploy("service", "stop", "svc")
    mldeploy("service", "start", "svc")
    mldeploy("service", "run", "svc", "-d", "1")
    observe()
    for name in ("svc", "other"):
        mldeploy("service", "stop", name)
    _write_script(folder, ws, SCRIPT.format(answer=3))
    requirements = f"--no-index\n--find-links={packages}\ndemo==1.0\n"
    (folder / "requirements.txt").write_text(requirements)
    mldeploy("model", "deploy", "packed", "--entry-script", "score.py", "--requirements", "requirements.txt", "--wait")
    mldeploy("service", "stop", "packed")
    Environment.from_pip_requirements("registered", str(folder / "requirements.txt")).register(ws)
    experiment = Run.get_context(workspace=ws)
    experiment.log("accuracy", 0.9)
    experiment.add_properties({"kind": "test"})
    experiment.upload_file("out/m.txt", str(folder / "m.txt"))
    observe()
    _crash(folder, ws)
    _lose_a_runner(folder, ws)
    _write_script(folder, ws, SCRIPT.format(answer=4))
    observe()


def _write_script(folder: Path, ws: Workspace, text: str) -> None:
    """Writes score.py as `%%entry_script` does, with a note of the cell."""
    (folder / "score.py").write_text(text)
    digest = notebook_cells.script_digest(text)
    record = notebook_cells.CellRecord(digest, str(folder / "score.py"), f"%%entry_script score.py\n{text}")
    notebook_cells.save_cell(ws.folder.cells, record)


def _crash(folder: Path, ws: Workspace) -> None:
    """A service whose supervisor and workers were killed."""
    mldeploy("model", "deploy", "crashed", "--entry-script", "score.py", "--wait")
    place = ws.folder.services / "crashed"
    for pid in (read_json(place / "supervisor.json")["pid"], *_worker_pids(folder)):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: list_processes_below(folder) == [], what=lambda: str(list_processes_below(folder)))


def _lose_a_runner(folder: Path, ws: Workspace) -> None:
    """A first deployment whose runner and supervisor were killed while it loaded."""
    _write_script(folder, ws, SLOW)
    mldeploy("model", "deploy", "lost", "--entry-script", "score.py", "--no-wait")
    journal = Webservice(ws, "lost").journal
    wait_until(lambda: '"rollout"' in journal.read_text())
    for line in list_processes_below(folder):
        os.kill(int(line.split()[0]), signal.SIGKILL)
    wait_until(lambda: list_processes_below(folder) == [], what=lambda: str(list_processes_below(folder)))


def _worker_pids(folder: Path) -> list[int]:
    return [int(line.split()[0]) for line in list_processes_below(folder) if "supervisor" not in line]


def _make_packages(folder: Path) -> Path:
    """A folder with wheels of what the scoring server needs, taken from here, and of the package `demo`."""
    folder.mkdir()
    wheel(folder, "demo", "1.0")
    for name in SERVER_PACKAGES:
        found = metadata.distribution(name)
        tag = next(line for line in (found.read_text("WHEEL") or "").splitlines() if line.startswith("Tag: "))
        path = folder / f"{name}-{found.version}-{tag.removeprefix('Tag: ')}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for file in found.files or ():
                if (
                    ".." not in file.parts
                    and file.suffix != ".pyc"
                    and file.name not in ("INSTALLER", "direct_url.json")
                ):
                    archive.write(str(file.locate()), str(file))
    return folder
