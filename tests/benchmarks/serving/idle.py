"""The memory of an idle service over what the user's imports take alone.

The imports are those of the service's script, with the model and one call of it, in a bare interpreter: `alone`, taken
when no service runs, because what two share would count half. Both are weighed as PSS over all their processes, some
seconds after the last thing they did.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from . import environments, processes, turn
from .servers import SERVERS

SETTLING = 3.0  # seconds
IMPORTS = """
import os, sys
import joblib
import numpy as np
model = joblib.load(sys.argv[1])
model.predict(np.zeros((2, 10)))
print("ready", flush=True)
sys.stdin.read()
"""
NOTHING = "import sys; print('ready', flush=True); sys.stdin.read()"


@dataclass(frozen=True)
class Idle:
    """The service's processes; bytes of the imports alone and of a bare interpreter."""

    service: list[processes.Weight]
    imports: int
    bare: int

    @property
    def over_megabytes(self) -> float:
        return (sum(one.pss for one in self.service) - self.imports) / 1e6


def alone(code: str, *arguments: str) -> int:
    """The memory of an interpreter that has run the code, in bytes."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        time.sleep(SETTLING)
        taken = processes.pss(process.pid)
        process.stdin.close()
    return taken


def measure(folder: Path, cache: Path) -> Idle:
    """Weighs the imports, then a service of ours that has answered one request. Raises `turn.TurnFailed`."""
    environments.make_model(sys.executable, folder / "model")
    bare, imports = alone(NOTHING), alone(IMPORTS, str(folder / "model" / "ridge.pkl"))
    with turn.running(SERVERS[0], folder / "service", cache) as found:
        time.sleep(SETTLING)
        return Idle(processes.weigh(found.pids), imports, bare)
