"""The processes of a service's containers, without containers: each with its own state folder in a shared volume."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.integration.serving.supervised import ECHO
from tests.polling import wait_until
from tests.ports import free_port

MODULE = "mldeploy_jupyter.serving.container"
KEY = {"Authorization": "Bearer first-key"}


class Image:
    """What an image has: `service.json`, code and models, all of them read-only."""

    def __init__(self, root: Path, source: str = ECHO, **defaults: Any) -> None:
        self.app = root / "app"
        self.file = root / "service.json"
        (self.app / "src").mkdir(parents=True)
        (self.app / "azureml-models" / "m" / "1").mkdir(parents=True)
        (self.app / "azureml-models" / "m" / "1" / "weights").write_text("7")
        (self.app / "src" / "score.py").write_text(textwrap.dedent(source))
        data = {
            "format": 1,
            "app_root": str(self.app),
            "source_directory": "src",
            "entry_script": "src/score.py",
            "model_dir": str(self.app / "azureml-models" / "m" / "1"),
            "python": sys.executable,
            "server_path": "",
            "env": {},
            "bundle": root.name,
            "defaults": {"service": "t", "revision": 1, **defaults},
        }
        self.file.write_text(json.dumps(data))


class Process:
    """One program of a container. `lines` is its standard output."""

    def __init__(self, output: Path, command: list[str], **environ: str) -> None:
        self.output = output
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MLDEPLOY_")}
        self.environ = {**kept, **environ}
        self.command = [sys.executable, "-P", "-m", MODULE, *command]
        self.process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.environ,
                start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.read_text().splitlines() if line.startswith("{")]

    def messages(self) -> str:
        return "\n".join(str(entry.get("message")) for entry in self.entries)

    def kill(self) -> None:
        """As when a container is killed: all of its processes end."""
        assert self.process is not None
        family = psutil.Process(self.pid).children(recursive=True) if self.process.poll() is None else []
        self.process.kill()
        self.process.wait(60)
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        psutil.wait_procs(family, 60)

    def end(self) -> int:
        """Ends it as `docker stop` does; returns its exit code."""
        assert self.process is not None
        family = psutil.Process(self.pid).children(recursive=True) if self.process.poll() is None else []
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        _, alive = psutil.wait_procs(family, 60)
        assert not alive, f"left behind: {alive}"
        return code


class Container(Process):
    """A service container. `folder` is its state folder."""

    def __init__(self, image: Image, folder: Path, settings: dict[str, Any] | None = None, **environ: str) -> None:
        self.folder = folder
        given = {"MLDEPLOY_SETTINGS": json.dumps(settings)} if settings is not None else {}
        folder.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(
            folder.with_suffix(".out"),
            [],
            **{
                "MLDEPLOY_SERVICE_FILE": str(image.file),
                "MLDEPLOY_FOLDER": str(folder),
                **given,
                **environ,
            },
        )

    def run(self) -> None:
        (self.folder / "supervisor.json").unlink(missing_ok=True)  # of one that was killed
        super().run()

    def control(self, op: str, **request: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The events and the answer, as `docker exec` gets them."""
        command = [*self.command, "control"]
        line = json.dumps({"op": op, **request}).encode() + b"\n"
        done = subprocess.run(command, input=line, capture_output=True, env=self.environ, timeout=120)
        assert not done.stderr, done.stderr
        *events, answer = [json.loads(line) for line in done.stdout.splitlines()]
        assert (done.returncode == 0) == bool(answer["ok"])
        return events, answer

    def ask(self, op: str, **request: Any) -> dict[str, Any]:
        return self.control(op, **request)[1]

    def health(self) -> tuple[int, str]:
        done = subprocess.run([*self.command, "health"], capture_output=True, env=self.environ, timeout=60, text=True)
        return done.returncode, done.stdout.strip()

    def await_started(self) -> dict[str, Any]:
        """Waits until it has a control socket, and then for the answer of its start."""
        assert self.process is not None
        wait_until(lambda: (self.folder / "supervisor.json").exists() or self.process.poll() is not None)
        return self.ask("await")


class Volume:
    """A service as the Docker target arranges it: a volume, a listener that owns the port, and service containers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shared = root / "shared"
        self.shared.mkdir(parents=True)
        (self.shared / "keys.json").write_text(json.dumps({"primaryKey": "first-key"}))
        self.port = free_port()
        self.listener = Process(
            root / "listener.out",
            ["listener"],
            MLDEPLOY_LISTEN=f"127.0.0.1:{self.port}",
            MLDEPLOY_LISTENER=str(self.shared / "listener.sock"),
        )
        self.started: list[Process] = [self.listener]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def container(self, image: Image, name: str, settings: dict[str, Any] | None = None, **environ: str) -> Container:
        """A container that stands by; started."""
        new = Container(
            image,
            self.root / "containers" / name,
            settings,
            **{
                "MLDEPLOY_LISTENER": str(self.shared / "listener.sock"),
                "MLDEPLOY_KEYS": str(self.shared / "keys.json"),
                "MLDEPLOY_STANDBY": "1",
                **environ,
            },
        )
        new.run()
        self.started.append(new)
        return new

    def serve(self, image: Image, name: str, old: Container | None = None, **more: Any) -> Container:
        """A container that serves, in the place of `old`."""
        new = self.container(image, name, **more)
        assert new.await_started()["state"] == "Standby"
        answer = new.ask("take-over", **({"from": str(old.folder)} if old else {}))
        assert answer["ok"], answer
        return new

    def score(self, data: Any = 1, **more: Any) -> requests.Response:
        return requests.post(f"{self.url}/score", **{"json": data, "headers": KEY, "timeout": 60, **more})

    def end(self) -> None:
        for process in reversed(self.started):
            if process.process is not None:
                process.end()


def images(root: Path) -> Callable[..., Image]:
    """Makes images in folders of their own, which have the revisions 1, 2, 3 and so on."""
    count = 0

    def make(source: str = ECHO, **defaults: Any) -> Image:
        nonlocal count
        count += 1
        return Image(root / f"image{count}", source, **{"revision": count, **defaults})

    return make
