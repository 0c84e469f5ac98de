"""Runs of the lab against `server.py`, each in processes of their own, and what both of them measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mldeploy_jupyter.latency.generator.__main__ import take_priority
from mldeploy_jupyter.latency.measuring import Ending, Endpoint, Measurement, OnEvent, start_measurement
from mldeploy_jupyter.latency.payloads import describe, make_sample
from mldeploy_jupyter.latency.plan import LatencyPlan, PlannedService
from mldeploy_jupyter.latency.recording import Phase, read_samples

PAYLOADS = make_sample({"data": [[1, 2, 3, 4]]})


class KnownServer:
    """`server.py` with a profile, as a context; with `priority` it wakes as early as the lab's own process."""

    def __init__(self, *profile: object, port: int = 0, priority: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.latency.server", *map(str, profile)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PORT": str(port)},
            cwd=Path(__file__).parents[3],
            preexec_fn=take_priority if priority else None,
        )
        self.port = int(self._ask(""))
        self.uri = f"http://127.0.0.1:{self.port}/score"
        self.pid = self._process.pid

    def read_delays(self) -> np.ndarray[Any, Any]:
        """The delays in milliseconds that it made since the last call."""
        return np.array(json.loads(self._ask("read")))

    def count(self) -> int:
        """How many answers it has written."""
        return int(self._ask("count"))

    def _ask(self, word: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        if word:
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()
        return self._process.stdout.readline()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def __enter__(self) -> KnownServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                pass


@dataclass(frozen=True)
class Seen:
    """What a run measured: its measured samples in the order in which they were sent, and how it ended."""

    samples: np.ndarray[Any, Any]
    ending: Ending

    @property
    def counted(self) -> np.ndarray[Any, Any]:
        """Which samples numbers are made of."""
        return ~np.isin(self.samples["block"], self.ending.left_out)

    @property
    def latencies(self) -> np.ndarray[Any, Any]:
        """Milliseconds from the planned time, of those that count."""
        return np.asarray((self.samples["done"] - self.samples["planned"]) * 1000)[self.counted]

    def of_counted(self, delays: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Those of the server's delays that belong to `latencies`, where it had every request."""
        return delays[self.counted] if len(delays) == len(self.samples) else delays


def begin(
    uris: list[str], samples: Path, on_event: OnEvent = lambda event: None, key: str = "", **settings: Any
) -> Measurement:
    """Starts a run that sends the sample to these addresses."""
    services = tuple(PlannedService(f"service-{at}", uri) for at, uri in enumerate(uris))
    plan = LatencyPlan(services, payload=describe(PAYLOADS, "sample"), **{"warmup": 5, **settings})
    return start_measurement(plan, PAYLOADS, samples, lambda at: Endpoint(uris[at], key), on_event)


def measure(uris: list[str], **settings: Any) -> Seen:
    """A whole run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.bin"
        ending = begin(uris, path, **settings).wait()
        samples = read_samples(path)
    measured = samples[samples["phase"] == Phase.MEASURED]
    return Seen(measured[np.argsort(measured["sent"], kind="stable")], ending)
