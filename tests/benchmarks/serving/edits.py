"""An edit until it is live: ours from the cell's submission, the peers' `--reload` from the file's change.

Ours is measured as a user meets it: a shell with the extension, a cell `%%entry_script`, which writes and checks the
script, and a cell `%update`. The clock starts when the first is handed to the shell and stops at the first answer of
the new code, which a process of its own asks for all the time. Nothing is pinned to a processor.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import environments, processes, turn, work
from .servers import PEERS

BODY = work.body(work.WORKS["small"], "data").decode()
EDIT = "edit-{}-"


@dataclass(frozen=True)
class Edit:
    """Seconds until live, those of them that passed before the update was asked for, and the watcher's failures."""

    seconds: float
    checked: float = 0.0
    failed: int = 0


class Watcher:
    """A process that asks the service until the answer is the wanted one."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        words = [f"{name}={value}" for name, value in headers.items()]
        self.process = subprocess.Popen(
            [sys.executable, str(PEERS / "watch.py"), url, BODY, *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdin is not None and self.process.stdout is not None
        self.to, self.back = self.process.stdin, self.process.stdout
        self.back.readline()

    def look_for(self, word: str) -> None:
        self.to.write(word + "\n")
        self.to.flush()

    def seen(self) -> tuple[float, int]:
        """The clock at the first right answer, and the failed requests before it."""
        moment, _, failed = self.back.readline().split()
        return float(moment), int(failed)

    def close(self) -> None:
        self.to.close()
        self.process.wait(70)
        self.back.close()


class Ours:
    """A shell with the extension in a temporary workspace, and a service in it."""

    def __init__(self, folder: Path) -> None:
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config

        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.environ["MLDEPLOY_HOME"] = os.environ["MLDEPLOY_CACHE"] = str(folder)
        os.environ["IPYTHONDIR"] = str(folder / "ipython")
        environments.make_model(sys.executable, folder / "model")
        os.chdir(folder)
        self.folder = folder
        self.source = (PEERS / "edited_score.py").read_text()
        self.shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
        self.run("%load_ext mldeploy_jupyter")
        self.run("%register ridge model/ridge.pkl")
        self.run(self.cell(0))
        self.run("service = %deploy edits -m ridge\nservice.wait_for_deployment()")
        service: Any = self.shell.user_ns["service"]
        self.service = service
        self.watcher = Watcher(service.scoring_uri, {"Authorization": f"Bearer {service.get_keys()[0]}"})

    def cell(self, number: int) -> str:
        return "%%entry_script score.py\n" + self.source.replace(EDIT.format(0), EDIT.format(number))

    def run(self, cell: str) -> str:
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            ran = self.shell.run_cell(cell)
        if not ran.success:
            raise turn.TurnFailed(f"the cell {cell.splitlines()[0]} failed: {output.getvalue()}")
        return output.getvalue()

    def edit(self, number: int) -> Edit:
        self.watcher.look_for(EDIT.format(number))
        begin = time.monotonic()
        self.run(self.cell(number))
        checked = time.monotonic() - begin
        self.run("%update edits")
        moment, failed = self.watcher.seen()
        return Edit(moment - begin, checked, failed)

    def pids(self) -> list[int]:
        return [json.loads(next(self.folder.rglob("supervisor.json")).read_text())["pid"]]

    def close(self) -> None:
        self.watcher.close()
        self.service.delete()


@dataclass(frozen=True)
class Reloader:
    """A peer that reloads when its file changes: its environment, its file, its command."""

    name: str
    environment: str
    file: str
    words: tuple[str, ...]


RELOADERS = (
    Reloader("uvicorn --reload", "fastapi", "reload_asgi.py",
             ("-m", "uvicorn", "reload_asgi:app", "--reload", "--host", "127.0.0.1", "--port", "PORT")),
    Reloader("gunicorn --reload", "azureml", "reload_flask.py",
             ("-m", "gunicorn", "--reload", "-w", "1", "-b", "127.0.0.1:PORT", "reload_flask:app")),
    Reloader("flask --debug", "azureml", "reload_flask.py",
             ("-m", "flask", "--app", "reload_flask", "--debug", "run", "--host", "127.0.0.1", "--port", "PORT")),
)  # fmt: skip


class Peer:
    """A peer that runs with its reloading on."""

    def __init__(self, reloader: Reloader, folder: Path, cache: Path) -> None:
        place = environments.ensure(reloader.environment, cache)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.file = folder / reloader.file
        self.source = (PEERS / reloader.file).read_text()
        self.file.write_text(self.source)
        port = turn.free_port()
        words = [word.replace("PORT", str(port)) for word in reloader.words]
        self.log = (folder / "output.log").open("wb")
        self.process = subprocess.Popen(
            [str(place / "bin" / "python"), *words],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
            env={**os.environ, "BENCH_MODEL": str(place / "model"), "HOME": str(folder)},
        )  # fmt: skip
        self.watcher = Watcher(f"http://127.0.0.1:{port}/score", {})
        self.watcher.look_for(EDIT.format(0))
        self.watcher.seen()

    def edit(self, number: int) -> Edit:
        self.watcher.look_for(EDIT.format(number))
        begin = time.monotonic()
        self.file.write_text(self.source.replace(EDIT.format(0), EDIT.format(number)))
        moment, failed = self.watcher.seen()
        return Edit(moment - begin, 0.0, failed)

    def close(self) -> None:
        processes.end([self.process.pid])
        self.process.wait(5)
        self.watcher.close()
        self.log.close()


@contextlib.contextmanager
def _all(folder: Path, cache: Path) -> Iterator[dict[str, Ours | Peer]]:
    with contextlib.ExitStack() as stack:
        found: dict[str, Ours | Peer] = {}
        for reloader in RELOADERS:
            peer = Peer(reloader, folder / reloader.name.split()[0], cache)
            stack.callback(peer.close)
            found[reloader.name] = peer
        ours = Ours(folder / "ours")
        stack.callback(ours.close)
        yield {"ours": ours, **found}


def measure(rounds: int, folder: Path, cache: Path) -> dict[str, list[Edit]]:
    """The edits of every server, in turn; the first of each warms up and does not count."""
    before = Path.cwd()
    taken: dict[str, list[Edit]] = {}
    try:
        with _all(folder, cache) as servers:
            for number in range(1, rounds + 2):
                for name, server in servers.items():
                    edit = server.edit(number)
                    if number > 1:
                        taken.setdefault(name, []).append(edit)
    finally:
        os.chdir(before)
    return taken
