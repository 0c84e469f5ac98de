"""The servers that are compared, as data: in which environment, how started, what each can be asked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .work import Form

PEERS = Path(__file__).with_name("peers")
OURS = "ours"
OWN_LOOP = "own loop"
WITH_DUTIES = "own loop with duties"
KEY = "k" * 32  # of the servers that want one


@dataclass(frozen=True)
class Place:
    """Where a server runs: its environment's folder, a folder of its own for this run, a port."""

    environment: Path
    folder: Path
    port: int

    @property
    def model(self) -> Path:
        return self.environment / "model"

    def program(self, name: str) -> str:
        return str(self.environment / "bin" / name)


@dataclass(frozen=True)
class Server:
    """One process tree. Several may stand in one row of the table: those that share `name` do different work.

    `environment` "" is the one that runs the benchmark. `port` 0: a free one is chosen. `all_interfaces`: it does so
    whatever it is told, and runs only inside a network namespace. `says_where`: it writes `where.json` (url, headers,
    pids) into its folder when it answers. `setting` is one of ours that it needs, which a version of ours may not have.
    """

    name: str
    environment: str
    command: Callable[[Place], list[str]]
    works: tuple[str, ...] = ("small", "large")
    path: str = "/score"
    form: Form = "data"
    port: int = 0
    working: Callable[[Place], Path] = lambda place: place.folder
    variables: Callable[[Place], dict[str, str]] = lambda place: {}
    all_interfaces: bool = False
    says_where: bool = False
    setting: str = ""
    notes: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def skipped(server: Server, inside: bool) -> str:
    """Why this server cannot run here; "" when it can."""
    from mldeploy_jupyter.core.configs.local import LOCAL

    if server.setting and server.setting not in LOCAL.by_name:
        return f"LocalWebservice.deploy_configuration has no {server.setting} in this version"
    if server.all_interfaces and not inside:
        return "it listens on all interfaces, and this is no network namespace"
    return ""


def _uvicorn(application: str, *more: str) -> Callable[[Place], list[str]]:
    return lambda place: [
        place.program("python"), "-m", "uvicorn", application, "--app-dir", str(PEERS), "--host", "127.0.0.1",
        "--port", str(place.port), "--log-level", "warning", "--no-access-log", *more,
    ]  # fmt: skip


def _azureml(script: str) -> Callable[[Place], list[str]]:
    return lambda place: [
        place.program("azmlinfsrv"), "--entry_script", str(PEERS / script), "--model_dir", str(place.model),
        "--port", str(place.port), "--worker_count", "1",
    ]  # fmt: skip


def _ours(script: str, *more: str) -> Callable[[Place], list[str]]:
    return lambda place: [
        sys.executable, "-m", "tests.benchmarks.serving.peers.ours", str(place.folder), script, *more,
    ]  # fmt: skip


def _own_loop(*more: str) -> Callable[[Place], list[str]]:
    return lambda place: [place.program("python"), str(PEERS / "own_loop.py"), str(place.port), *more]


def _with_duties(*more: str) -> Callable[[Place], list[str]]:
    return lambda place: [
        place.program("python"), str(PEERS / "own_loop_with_duties.py"), str(place.port),
        str(place.folder / "access.log"), KEY, *more,
    ]  # fmt: skip


def _repository(place: Place) -> Path:
    return Path(__file__).parents[3]


def _mlserver(name: str) -> Callable[[Place], list[str]]:
    return lambda place: [place.program("mlserver"), "start", str(place.model / name)]


def _on_path(place: Place) -> dict[str, str]:
    """Some peers start their own programs by name."""
    return {"PATH": f"{place.environment / 'bin'}:/usr/local/bin:/usr/bin:/bin"}


_BEARER = {"Authorization": f"Bearer {KEY}"}

_KEPT = {"MALLOC_TRIM_THRESHOLD_": "33554432", "MALLOC_MMAP_THRESHOLD_": "4194304"}

SERVERS: tuple[Server, ...] = (
    Server(OURS, "", _ours("typed_score.py"), working=_repository, says_where=True,
           notes="Model.deploy, default configuration: keys, schema, metrics, request ids, access log"),
    Server(OURS, "", _ours("raw_score.py"), works=("raw",), working=_repository, says_where=True),
    Server(OURS, "", _ours("typed_score.py", "--max-batch-size", "128"), works=("batch",), working=_repository,
           says_where=True, setting="max_batch_size", notes="the same with max_batch_size=128 rows, 64 requests"),
    Server("azureml", "azureml", _azureml("typed_score.py"), all_interfaces=True,
           notes="azmlinfsrv --worker_count 1, the same script"),
    Server("azureml", "azureml", _azureml("raw_score.py"), works=("raw",), all_interfaces=True),
    Server("fastapi async", "fastapi", _uvicorn("fastapi_async:app"), works=("small", "large"),
           notes="uvicorn with httptools and uvloop, no access log"),
    Server("fastapi async", "fastapi", _uvicorn("fastapi_async:app"), works=("raw",), path="/raw"),
    Server("fastapi def", "fastapi", _uvicorn("fastapi_def:app")),
    Server("uvicorn", "fastapi", _uvicorn("asgi_raw:app"), notes="a bare ASGI application, no access log"),
    Server("uvicorn", "fastapi", _uvicorn("asgi_raw:app"), works=("raw",), path="/raw"),
    Server(OWN_LOOP, "fastapi", _own_loop(), notes="the limit: protocol, parser, JSON library, predict"),
    Server(OWN_LOOP, "fastapi", _own_loop(), works=("raw",), path="/raw"),
    Server(OWN_LOOP, "fastapi", _own_loop("--batch"), works=("batch",), notes="greedy batching"),
    Server(WITH_DUTIES, "fastapi", _with_duties(), headers=_BEARER,
           notes="and key, ids, headers, access log, metrics and a deadline; lines go to a file directly, every 20 ms"),
    Server(WITH_DUTIES, "fastapi", _with_duties(), works=("raw",), path="/raw", headers=_BEARER,
           variables=lambda place: _KEPT, notes="glibc keeps freed memory, as in our workers"),
    Server(WITH_DUTIES, "fastapi", _with_duties("--batch"), works=("batch",), headers=_BEARER),
    Server("litserve", "litserve", lambda place: [place.program("python"), str(PEERS / "litserve_app.py"),
                                                  str(place.port)]),
    Server("bentoml", "bentoml", lambda place: [
        place.program("bentoml"), "serve", "bento_service:Ridge", "--working-dir", str(PEERS), "--host", "127.0.0.1",
        "--port", str(place.port)], variables=lambda place: {
            **_on_path(place), "BENTOML_HOME": str(place.folder), "BENTOML_DO_NOT_TRACK": "True"}),
    Server("mlserver", "mlserver", _mlserver("mlserver"), path="/v2/models/ridge/infer", form="v2", port=5180,
           all_interfaces=True, notes="default: one inference worker"),
    Server("mlserver in process", "mlserver", _mlserver("mlserver-in-process"), path="/v2/models/ridge/infer",
           form="v2", port=5181, all_interfaces=True, notes="parallel_workers=0"),
    Server("mlflow", "mlflow", lambda place: [
        place.program("mlflow"), "models", "serve", "-m", str(place.model / "mlflow"), "--env-manager", "local",
        "-h", "127.0.0.1", "-p", str(place.port), "-w", "1"], path="/invocations", form="inputs",
        variables=_on_path),
)  # fmt: skip
