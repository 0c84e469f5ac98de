"""A real supervisor in a temporary folder, and what tests do with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import requests

from mldeploy_jupyter.api.webservices.log_text import format_log_line
from mldeploy_jupyter.serving.ipc.control_client import call
from mldeploy_jupyter.targets.process_log import read_log
from tests.polling import wait_until

KEY = {"Authorization": "Bearer first-key"}
ECHO = """
    import json
    def init(): pass
    def run(data): return json.loads(data)
"""

# An expression with which a script waits until the test calls `open_gate`.
WAIT = "[time.sleep(0.02) for _ in iter(lambda: os.path.exists('gate'), True)]"


class Supervised:
    """A supervisor and the folder of its service."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "service"
        self.root = root
        self.revision = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.folder.mkdir(parents=True)
        (self.folder / "keys.json").write_text(json.dumps({"primaryKey": "first-key", "secondaryKey": "second-key"}))

    def start(self, *options: str) -> Supervised:
        command = [
            sys.executable,
            "-m",
            "mldeploy_jupyter.serving.supervisor",
            "--folder",
            str(self.folder),
            *options,
        ]
        (self.folder / "supervisor.json").unlink(missing_ok=True)
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        wait_until(lambda: (self.folder / "supervisor.json").exists() or self.process.poll() is not None)
        return self

    @property
    def facts(self) -> dict[str, Any]:
        return json.loads((self.folder / "supervisor.json").read_text())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.facts['port']}"

    def ask(self, op: str, **args: Any) -> dict[str, Any]:
        return call(self.facts["control"], op, timeout=60, **args)

    def settings(self, source: str = ECHO, **more: Any) -> dict[str, Any]:
        self.revision += 1
        app = self.root / f"app{self.revision}"
        app.mkdir()
        (app / "score.py").write_text(textwrap.dedent(source))
        return {"service": "t", "revision": self.revision, "app_root": str(app), "python": sys.executable, **more}

    def deploy(self, source: str = ECHO, on_event: Any = None, port: int | None = None, **more: Any) -> dict[str, Any]:
        settings = self.settings(source, **more)
        name = f"d{self.revision}"
        return self.ask("deploy", settings=settings, deployment_id=name, on_event=on_event, port=port)

    def open_gate(self) -> None:
        """Lets the last script that was deployed continue, where it waits for it."""
        (self.root / f"app{self.revision}" / "gate").touch()

    def in_flight(self) -> int:
        """The requests that have come and are not answered, as the service counts them."""
        lines = self.metrics().splitlines()
        return sum(int(line.split()[-1]) for line in lines if line.startswith("mldeploy_requests_in_flight{"))

    def score(self, data: Any = 1, **more: Any) -> requests.Response:
        return requests.post(f"{self.url}/score", **{"json": data, "headers": KEY, "timeout": 60, **more})

    def metrics(self) -> str:
        return requests.get(f"{self.url}/metrics", timeout=60).text

    def pids(self) -> list[int]:
        return [w["pid"] for w in self.ask("status")["workers"] if w["state"] == "live"]

    def family(self) -> list[psutil.Process]:
        """The workers and what they have started, without the processes that are there to be forked."""
        forking = self.ask("status")["forking"]
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in found if process.pid not in (forking["pid"], forking["spare"])]

    @property
    def log(self) -> str:
        """The log as a person reads it."""
        return "\n".join(
            format_log_line(line, timestamps=True) for line in read_log(self.folder / "logs" / "service.log")
        )

    def end(self) -> None:
        if self.process is None:
            return
        family = (
            [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
            if self.process.poll() is None
            else []
        )
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired as error:
                self.process.kill()
                self.process.wait(60)
                raise AssertionError("the supervisor did not end when it was told to") from error
        _, alive = psutil.wait_procs(family, 60)
        assert not alive, f"left behind: {alive}"
