"""A service of ours in a temporary workspace, and a client that loads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import environments
from .open_load import Failure, Said
from .servers import PEERS

REPOSITORY = Path(__file__).parents[3]


class Site:
    """The service `bench` with the Ridge model, and the files it was made from. Every request's answer is known."""

    def __init__(self, folder: Path, workers: int = 1) -> None:
        from mldeploy_jupyter import InferenceConfig, LocalWebservice, Model, Workspace

        self.folder = folder
        environments.make_model(sys.executable, folder / "model")
        self.source = (PEERS / "typed_score.py").read_text()
        self.script = folder / "score.py"
        self.script.write_text(self.source)
        ws = Workspace.create(path=str(folder))
        model = Model.register(ws, str(folder / "model" / "ridge.pkl"), "ridge")
        self.service = Model.deploy(
            ws,
            "bench",
            [model],
            InferenceConfig(entry_script=str(self.script)),
            LocalWebservice.deploy_configuration(worker_count=workers),
        )
        self.service.wait_for_deployment()

    @property
    def facts(self) -> dict[str, Any]:
        """What the supervisor says about itself: pid, port, control socket."""
        path = next(self.folder.rglob("supervisor.json"))
        return {**json.loads(path.read_text()), "folder": str(path.parent)}

    def update(self, number: int) -> None:
        """A changed script, live when this returns."""
        self.script.write_text(f"{self.source}\n# {number}\n")
        self.service.reload(wait=True)

    def workers(self) -> list[int]:
        """The process ids of the workers that serve."""
        from mldeploy_jupyter.serving.ipc.control_client import call

        status = call(self.facts["control"], "status", timeout=60)
        return [worker["pid"] for worker in status["workers"] if worker["state"] == "live"]

    def log(self) -> str:
        """All that the service has logged."""
        return "".join(
            path.read_text(errors="replace") for path in sorted((Path(self.facts["folder"]) / "logs").glob("*"))
        )


@contextmanager
def site(folder: Path, workers: int = 1) -> Iterator[Site]:
    """A service, ended at the end. The user's own workspaces are not touched."""
    before = {name: os.environ.get(name) for name in ("MLDEPLOY_HOME", "MLDEPLOY_CACHE")}
    os.environ["MLDEPLOY_HOME"] = os.environ["MLDEPLOY_CACHE"] = str(folder)
    made = None
    try:
        made = Site(folder, workers)
        yield made
    finally:
        if made is not None:
            made.service.delete()
            # An update's thread still writes after the update is live; the folder must outlive it.
            for thread in threading.enumerate():
                if thread.name == f"mldeploy-{made.service.name}":
                    thread.join(20)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


class Client:
    """The process that loads the service."""

    def __init__(self, url: str, key: str, rate: float, seconds: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.serving.open_load", url, str(rate), str(seconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
        )  # fmt: skip
        assert self.process.stdin is not None and self.process.stdout is not None
        self.to, self.back = self.process.stdin, self.process.stdout
        self._tell(key)
        self._expect("begun")

    def change_key(self, key: str) -> None:
        """Returns when no request with the old key is under way."""
        self._tell(key)
        self._expect("changed")

    def stop(self) -> None:
        """Ends the load before its time."""
        self.to.write("null\n")
        self.to.flush()

    def end(self) -> Said:
        """Waits for the load's end; what the client saw."""
        said = json.loads(self.back.readline())
        self.close()
        return Said(**{**said, "failures": [Failure(**failure) for failure in said["failures"]]})

    def close(self) -> None:
        self.to.close()
        self.back.close()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)

    def _tell(self, key: str) -> None:
        self.to.write(json.dumps({"authorization": f"Bearer {key}"}) + "\n")
        self.to.flush()

    def _expect(self, word: str) -> None:
        line = self.back.readline().strip()
        if line != word:
            raise RuntimeError(f"the client said {line!r}, not {word!r}")


def capacity(url: str, key: str, seconds: float) -> float:
    """Requests a second that this client gets answered without a pause. Raises `RuntimeError` when one fails."""
    said = Client(url, key, 0, seconds).end()
    if said.failures:
        raise RuntimeError(f"{len(said.failures)} of {said.requests} requests failed: {said.failures[0].why}")
    return said.requests / said.seconds
