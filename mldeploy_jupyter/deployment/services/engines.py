"""Which engine runs a local service, a process or a container, and how a service moves from one to the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.deployment.plan import open_service_target
from mldeploy_jupyter.targets import Emit, target_of

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

# The targets of compute type Local, by the name of the engine.
ENGINES = {"process": "local", "docker": "docker"}


def engine_of(target: str) -> str:
    """The name of the engine of a local service's target, as the setting `engine` has it; "" for any other target."""
    return next((engine for engine, name in ENGINES.items() if name == target), "")


def choose_target(folder: WorkspaceFolder | None, name: str, config: DeployConfig) -> str:
    """The target that a deployment with these settings goes to.

    A service that has been live keeps its engine, unless another one is named. `auto` is decided here: a container
    where an engine answers, else a process.
    """
    if config.spec.compute_type != "Local":
        return config.target
    engine = config.passed.get("engine")
    if engine in ENGINES:
        return ENGINES[engine]
    service = folder.open_store().get_service(name) if folder is not None else None
    if service is not None and service.revision and engine_of(service.target):
        return service.target
    return ENGINES["docker"] if engine == "auto" and find_engine() else target_of("Local")


def find_engine() -> str:
    """What answers as a Docker engine, in words; "" when nothing does."""
    from mldeploy_jupyter import docker_engine

    try:
        return docker_engine.open_engine().describe()
    except docker_engine.EngineError:
        return ""


def refuse_other_engine(service: ServiceRecord | None, settings: Mapping[str, Any]) -> None:
    """Raises `UserErrorException` for an update whose settings name another engine than the service has."""
    engine = settings.get("engine")
    if service is None or engine not in ENGINES or ENGINES[engine] == service.target:
        return
    raise UserErrorException(
        f"an update cannot move {service.name} to the engine {engine}",
        why=f"it runs as a {'container' if service.target == 'docker' else 'process'}, and keeps its engine",
        hint="deploy it again with overwrite=True (--overwrite), which moves it and keeps its port and keys",
    )


@contextmanager
def moved_from(folder: WorkspaceFolder, service: ServiceRecord, target: str, emit: Emit) -> Iterator[None]:
    """Frees the port of a service that another engine runs so far, for a block that brings it up on `target`.

    If the block raises, the old engine serves again. Otherwise nothing is left there; keys and log stay.
    """
    if not service.revision or service.target == target or not engine_of(service.target):
        yield
        return
    old = open_service_target(folder, service)
    emit("rollout", "started")
    emit("rollout", "log", f"{service.name} moves from the engine {engine_of(service.target)}, which is stopped first")
    was_running = old.status(service).state not in ("Stopped", "Absent")
    if was_running:
        old.control(service, "stop", emit)
    try:
        yield
    except BaseException:
        if was_running:
            old.control(service, "start", emit)
            emit("rollout", "log", f"revision {service.revision} serves again as before")
        raise
    leave = getattr(old, "leave", None)
    if leave is not None:
        leave(service, emit)
