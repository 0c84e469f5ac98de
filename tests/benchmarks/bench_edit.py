"""How long an edit takes: from the cell's submission until the changed code answers a client.

    python -m tests.benchmarks.bench_edit [--edits 15] [--no-peers]

A service runs on this machine; its script imports scikit-learn and pandas and serves a Ridge model. A real IPython
shell gets a changed cell, `%%entry_script --update`, and a client in a process of its own asks every 5 ms over one
kept connection until the new answer is there. Beside it, in the same run and turn by turn, the same function under
`uvicorn --reload`, `flask --debug` and `gunicorn --reload`, whose file is saved instead of the submission. The peers
live in an environment that uv makes in a temporary folder, of the newest releases.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.ports import free_port

SCRIPT = """
import json
import os

import joblib
import numpy as np
import pandas as pd
import sklearn.linear_model


def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "ridge.pkl"))


def run(data):
    rows = pd.DataFrame(json.loads(data)["data"])
    return {"version": VERSION, "result": model.predict(np.asarray(rows)).tolist()}


VERSION = %d
"""

PEER_CORE = """
import joblib
import numpy as np
import pandas as pd
import sklearn.linear_model

model = joblib.load("ridge.pkl")
VERSION = %d


def answer(data):
    return {"version": VERSION, "result": model.predict(np.asarray(pd.DataFrame(data["data"]))).tolist()}

"""
FASTAPI = (
    PEER_CORE + "from fastapi import FastAPI\napp = FastAPI()\n\n@app.post('/score')\ndef score(data: dict):\n"
    "    return answer(data)\n"
)
FLASK = (
    PEER_CORE + "from flask import Flask, request\napp = Flask(__name__)\n\n@app.post('/score')\ndef score():\n"
    "    return answer(request.json)\n"
)
PEERS = ["uvicorn", "fastapi", "flask", "gunicorn", "scikit-learn", "pandas", "joblib"]

CLIENT = """
import http.client, json, sys, time
port, key, body = int(sys.argv[1]), sys.argv[2], sys.argv[3]
head = {"content-type": "application/json", "authorization": "Bearer " + key}
link, last = None, None
while True:
    try:
        link = link or http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        link.request("POST", "/score", body, head)
        answer = link.getresponse()
        data = answer.read()
        found = json.loads(data)["version"] if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        link, found = None, None
    if found != last:
        last = found
        print(json.dumps([found, time.monotonic()]), flush=True)
    time.sleep(0.005)
"""


class Client:
    """Asks without end; `when(version)` is the time at which an answer of that version came first."""

    def __init__(self, port: int, key: str, body: str) -> None:
        self._seen: dict[int, float] = {}
        self._news = threading.Condition()
        self.gaps = 0  # how often a request was not answered with 200
        command = [sys.executable, "-c", CLIENT, str(port), key, body]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def when(self, version: int, patience: float = 60.0) -> float:
        with self._news:
            if not self._news.wait_for(lambda: version in self._seen, patience):
                raise TimeoutError(f"version {version} did not answer within {patience:g} s")
            return self._seen[version]

    def rest(self) -> None:
        """Asks nothing until `go`, so that the others have the machine."""
        self._process.send_signal(signal.SIGSTOP)

    def go(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            version, moment = json.loads(line)
            with self._news:
                if version is None:
                    self.gaps += 1
                else:
                    self._seen.setdefault(version, moment)
                self._news.notify_all()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=15)
    parser.add_argument("--pause", type=float, default=3.0, help="seconds between two edits")
    parser.add_argument("--no-peers", action="store_true", help="measure ours only")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves nothing behind
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        folder = Path(place)
        os.environ["MLDEPLOY_HOME"] = os.environ["MLDEPLOY_CACHE"] = place
        body = make_model(folder)
        edits: dict[str, tuple[Callable[[int], float], Client]] = {}
        edits["%%entry_script --update"] = stack.enter_context(ours(folder, body))
        if not options.no_peers:
            python = make_environment(folder / "peers")
            for name, source, command in (
                ("uvicorn --reload", FASTAPI, ["-m", "uvicorn", "app:app", "--reload", "--port"]),
                ("flask --debug", FLASK, ["-m", "flask", "run", "--debug", "--port"]),
                ("gunicorn --reload", FLASK, ["-m", "gunicorn", "app:app", "--reload", "-b"]),
            ):
                edits[name] = stack.enter_context(peer(folder / name.split()[0], python, source, command, body))
        times: dict[str, list[float]] = {name: [] for name in edits}
        for number in range(1, options.edits + 1):
            for name, (edit, client) in edits.items():
                client.go()
                time.sleep(options.pause)
                begin = edit(number)
                times[name].append(client.when(number) - begin)
                client.rest()
        print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
              f"{options.edits} edits each, seconds until the changed code answered")  # fmt: skip
        for name, values in times.items():
            median, best, worst = statistics.median(values), min(values), max(values)
            gaps = edits[name][1].gaps
            print(f"{name:<24} median {median:6.3f}  best {best:6.3f}  worst {worst:6.3f}  unanswered {gaps}")


@contextlib.contextmanager
def ours(folder: Path, body: str) -> Iterator[tuple[Callable[[int], float], Client]]:
    from IPython.core.interactiveshell import InteractiveShell

    from mldeploy_jupyter import Model, Webservice, Workspace

    here = Path.cwd()
    os.chdir(folder)
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "mldeploy_jupyter")
    ws = Workspace.create(path=folder)
    Model.register(ws, folder / "ridge.pkl", "ridge")

    def cell(line: str, number: int) -> float:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            begin = time.monotonic()
            result = shell.run_cell(f"{line}\n{SCRIPT % number}", store_history=True)
        if not result.success or result.error_in_exec is not None:
            raise RuntimeError(said.getvalue())
        return begin

    cell("%%entry_script score.py --model ridge", 0)
    with contextlib.redirect_stdout(io.StringIO()):
        shell.run_cell("%deploy edited --wait")
    service = Webservice(ws, "edited")
    client = Client(int(service.scoring_uri.split(":")[2].split("/")[0]), service.get_keys()[0], body)
    try:
        client.when(0)
        yield lambda number: cell("%%entry_script score.py --update edited", number), client
    finally:
        client.end()
        service.delete()
        os.chdir(here)


@contextlib.contextmanager
def peer(
    folder: Path, python: str, source: str, command: list[str], body: str
) -> Iterator[tuple[Callable[[int], float], Client]]:
    folder.mkdir()
    (folder / "ridge.pkl").write_bytes((folder.parent / "ridge.pkl").read_bytes())
    port = free_port()

    def save(number: int) -> float:
        begin = time.monotonic()
        (folder / "app.py").write_text(source % number)
        return begin

    save(0)
    where = f"127.0.0.1:{port}" if command[-1] == "-b" else str(port)
    options: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    process = subprocess.Popen([python, *command, where], cwd=folder, **options)
    client = Client(port, "", body)
    try:
        client.when(0)
        yield save, client
    finally:
        client.end()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def make_model(folder: Path) -> str:
    """A fitted Ridge in `ridge.pkl`, and a request's body."""
    import joblib
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge

    X, y = load_diabetes(return_X_y=True)
    joblib.dump(Ridge().fit(X, y), folder / "ridge.pkl")
    return json.dumps({"data": X[:2].tolist()})


def make_environment(folder: Path) -> str:
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([*uv, "pip", "install", "-q", "--python", python, *PEERS], check=True)
    return python


if __name__ == "__main__":
    main()
