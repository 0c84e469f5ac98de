"""How long an image and its container take, and how many bytes are sent, beside other tools, in one run.

    python -m tests.benchmarks.images [--rounds 3] [--only ours,daemonless,dockerfile,mlflow] [--mlflow PYTHON]

Everything runs in an engine and a registry of its own, as root, so that the first image of each tool meets neither
layers nor packages that were there before. `--mlflow` names a Python that has MLflow; without it that part is left out.
The base image is Debian with its own Python, under the name that MLflow asks for.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.images.byte_counter import ByteCounter
from tests.benchmarks.images.systems import ConventionalDockerfile, Daemonless, MLflow, Ours
from tests.engines.docker import OwnEngine
from tests.engines.registry import RegistryServer

# The base of all: `python` and `pip` as in the official image, and this machine's certificates for the package index.
BASE = """\
FROM {base}
COPY ca.crt /etc/ssl/certs/machine.crt
ENV PIP_CERT=/etc/ssl/certs/machine.crt SSL_CERT_FILE=/etc/ssl/certs/machine.crt
RUN python3 -m venv /opt/python
ENV PATH=/opt/python/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of each change; the first image is made once")
    parser.add_argument("--only", default="ours,daemonless,dockerfile,mlflow")
    parser.add_argument("--mlflow", default="", metavar="PYTHON")
    options = parser.parse_args()
    names = [name for name in options.only.split(",") if name != "mlflow" or options.mlflow]
    rows: list[tuple[str, str, list[float], list[int]]] = []
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="mldeploy-bench-") as temporary:
        folder = Path(temporary)
        (folder / "bin").mkdir()
        with RegistryServer(folder / "registry", base=True) as registry, OwnEngine() as engine:
            counted_engine = ByteCounter(engine.host, folder)
            counted_registry = ByteCounter(registry.address, folder)
            os.environ |= {
                "DOCKER_HOST": counted_engine.address,
                "DOCKER_BUILDKIT": "0",
                "MLDEPLOY_HOME": str(folder / "home"),
            }
            base = make_base(folder, registry)
            for name in names:
                os.environ["MLDEPLOY_CACHE"] = os.environ["UV_CACHE_DIR"] = str(folder / f"cache-{name}")
                work = folder / name
                work.mkdir()
                counter = counted_registry if name == "daemonless" else counted_engine
                rows += measure(name, work, base, counter, options)
            version_text = subprocess.run(
                ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True
            ).stdout.strip()
    print(
        f"{platform.system()}, {os.cpu_count()} cores, load {before:.1f} before; Docker {version_text}, "
        f"Python {platform.python_version()}, scikit-learn {version('scikit-learn')}; "
        f"{time.strftime('%Y-%m-%d %H:%M')}"
    )
    print_table(rows)


def make_base(folder: Path, registry: RegistryServer) -> str:
    """Pushes the common base to the registry, and gives it the name that MLflow's Dockerfile has."""
    context = folder / "base"
    context.mkdir()
    shutil.copy(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"), context / "ca.crt")
    (context / "Dockerfile").write_text(BASE.format(base=registry.base))
    reference = f"{registry.address}/python:slim"
    official = f"python:{platform.python_version()}-slim"
    for command in (
        ["docker", "build", "-q", "-t", reference, "."],
        ["docker", "push", "-q", reference],
        ["docker", "tag", reference, official],
    ):
        subprocess.run(command, cwd=context, check=True, capture_output=True)
    return reference


def measure(
    name: str, folder: Path, base: str, counter: ByteCounter, options: argparse.Namespace
) -> list[tuple[str, str, list[float], list[int]]]:
    system: Any = {
        "ours": lambda: Ours(folder, base),
        "daemonless": lambda: Daemonless(folder, f"{counter.address}/python:slim", counter.address),
        "dockerfile": lambda: ConventionalDockerfile(folder, base),
        "mlflow": lambda: MLflow(folder, base, options.mlflow),
    }[name]()
    rows = []
    try:
        number = 1
        steps = [("first", 1), ("changed script", options.rounds), ("changed model", options.rounds)]
        if hasattr(system, "reload"):
            steps.append(("reloaded script", options.rounds))
        for step, rounds in steps:
            seconds, sent = [], []
            for _ in range(rounds):
                counter.reset()
                if step == "first":
                    seconds.append(system.first())
                else:
                    number += 1
                    change = {"changed script": "change_code", "changed model": "change_model"}.get(step, "reload")
                    seconds.append(getattr(system, change)(number))
                sent.append(counter.reset())
                print(f"{name}: {step}: {seconds[-1]:.2f} s, {sent[-1]} bytes", file=sys.stderr, flush=True)
            rows.append((name, step, seconds, sent))
    finally:
        system.close()
    return rows


def print_table(rows: list[tuple[str, str, list[float], list[int]]]) -> None:
    firsts = {name: statistics.median(seconds) for name, step, seconds, _ in rows if step == "first"}
    print(f"{'':<14}{'':<18}{'seconds':>9}{'of first':>10}{'sent, kB':>12}   range")
    for name, step, seconds, sent in rows:
        middle = statistics.median(seconds)
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}, n={len(seconds)}" if len(seconds) > 1 else ""
        share = middle / firsts[name]
        print(f"{name:<14}{step:<18}{middle:>9.2f}{share:>10.3f}{statistics.median(sent) / 1000:>12.1f}   {spread}")


if __name__ == "__main__":
    main()
