"""The containers and the volume of one service, as the engine has them: found by labels, made, read, removed."""

from __future__ import annotations

import io
import json
import os
import secrets
import tarfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.docker_engine import EngineError, engine_errors
from mldeploy_jupyter.targets.docker import names
from mldeploy_jupyter.targets.docker.names import LISTENER_ROLE, SERVICE_ROLE, ServiceContainer

if TYPE_CHECKING:
    from mldeploy_jupyter.docker_engine import Engine

REMOVAL_SECONDS = 20.0  # for a removal that another client has started

HALF_REMOVED = "is unexpectedly nil"  # in Docker's error about a container whose layer is removed already

STOP_SECONDS = 12  # for a container to drain and end; inside, requests in flight have eight

LISTENER_MEMORY = 128 * 1024 * 1024  # bytes; it is one small Python process

SHARED_MEMORY = 1 << 30  # bytes that /dev/shm may hold; the engine's own 64 MB are too few for libraries that share

PROCESSES = 512  # threads and processes that a worker may have

NOFILE = 1 << 20  # open files; the limit that engines set where they are allowed to

NPROC = 4096  # processes of one user in a container of Podman; those of a service have a limit besides

_LOG = {"max-size": "10m", "max-file": "3"}


class ServiceContainers:
    """What the service `service` of a workspace has on an engine. `root` is the folder `.mldeploy`, for new containers.

    Raises `EngineError` from every method, when the engine refuses or is gone.
    """

    def __init__(self, engine: Engine, workspace_id: str, service: str, root: Path | None = None) -> None:
        self.engine = engine
        self._root = root
        self.service = service
        self.workspace_id = workspace_id
        self._name = names.common_name(workspace_id, service)
        self._api = engine.client.api

    @property
    def volume(self) -> str:
        """The name of its volume."""
        return self._name

    # Finding

    def find(self) -> list[ServiceContainer]:
        """All of its containers in any state, oldest first."""
        return list_containers(self.engine, self.workspace_id, self.service)

    def has_volume(self) -> bool:
        from docker.errors import NotFound

        with engine_errors(self.engine.endpoint):
            try:
                self._api.inspect_volume(self._name)
            except NotFound:
                return False
        return True

    def inspect(self, container: ServiceContainer) -> dict[str, Any]:
        """The engine's data about a container; {} when it is gone."""
        from docker.errors import NotFound

        with engine_errors(self.engine.endpoint):
            try:
                return dict(self._api.inspect_container(container.id))
            except NotFound:
                return {}

    def inspect_image(self, image: str) -> dict[str, Any]:
        """The engine's data about an image. Raises `EngineError` with the code `no-image` when it does not exist."""
        with engine_errors(self.engine.endpoint, image=image, own=True):
            return dict(self._api.inspect_image(image))

    # Making

    def ensure_volume(self) -> None:
        """Makes the volume if it does not exist."""
        labels = self._labels()
        with engine_errors(self.engine.endpoint):
            volume = self._api.create_volume(self._name, labels=labels)
        found = (volume.get("Labels") or {}).get(names.WORKSPACE)
        if found not in (None, self.workspace_id):
            message = f"the volume {self._name} belongs to the workspace {found}"
            raise EngineError({"code": "engine-error", "message": message})

    def _labels(self) -> dict[str, str]:
        """What every container and the volume have: whose they are, and where its workspace was."""
        labels = {names.WORKSPACE: self.workspace_id, names.SERVICE: self.service}
        return labels if self._root is None else {**labels, names.ROOT: str(self._root), **origin_labels()}

    def create_listener(self, image: str, port: int) -> ServiceContainer:
        """Makes the container that owns the port. It outlives revisions, so `image` may be any of the service's."""
        return self._create(
            f"{self._name}-listener-{port}",
            image,
            LISTENER_ROLE,
            command=["listener"],
            environment={
                "MLDEPLOY_LISTEN": f"0.0.0.0:{names.CONTAINER_PORT}",
                "MLDEPLOY_LISTENER": names.listener_socket(port),
            },
            labels={names.PORT: str(port)},
            restart="always",
            limits={"mem_limit": LISTENER_MEMORY, "pids_limit": 64},
            published=port,
        )

    def create_service(
        self,
        image: str,
        *,
        revision: int,
        deployment_id: str,
        settings: Mapping[str, Any],
        port: int,
        limits: Mapping[str, Any],
    ) -> ServiceContainer:
        """Makes, but does not start, a container that serves a revision once it is told to take over."""
        folder = f"{names.STATE}/containers/{revision}-{secrets.token_hex(3)}"
        return self._create(
            f"{self._name}-{folder.rpartition('/')[2]}",
            image,
            SERVICE_ROLE,
            command=None,
            environment={
                "MLDEPLOY_FOLDER": folder,
                "MLDEPLOY_KEYS": names.KEYS,
                "MLDEPLOY_LISTENER": names.listener_socket(port),
                "MLDEPLOY_STANDBY": "1",
                "MLDEPLOY_DEPLOYMENT": deployment_id,
                "MLDEPLOY_SETTINGS": json.dumps(settings),
            },
            labels={
                names.REVISION: str(revision),
                names.DEPLOYMENT: deployment_id,
                names.FOLDER: folder,
                names.PORT: str(port),
            },
            restart="unless-stopped",
            limits=dict(limits),
        )

    def _create(
        self,
        name: str,
        image: str,
        role: str,
        *,
        command: list[str] | None,
        environment: dict[str, str],
        labels: dict[str, str],
        restart: str,
        limits: dict[str, Any],
        published: int = 0,
    ) -> ServiceContainer:
        from docker.types import LogConfig

        api = self._api
        labels = {**self._labels(), names.ROLE: role, **labels}
        with engine_errors(self.engine.endpoint, image=image, own=True):
            config = api.create_host_config(
                binds={self._name: {"bind": names.STATE, "mode": "rw"}},
                restart_policy={"Name": restart},
                read_only=True,
                tmpfs={"/tmp": "rw,exec,nosuid,nodev,mode=1777"},
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                log_config=LogConfig(type="json-file", config=_LOG),
                port_bindings={names.CONTAINER_PORT: ("127.0.0.1", published)} if published else None,
                ulimits=self._process_limits(),
                **limits,
            )
            created = api.create_container(
                image,
                command=command,
                name=name,
                environment=environment,
                labels=labels,
                host_config=config,
                ports=[names.CONTAINER_PORT] if published else None,
                healthcheck={"test": ["NONE"]} if role == LISTENER_ROLE else None,
            )
        data = {"Id": created["Id"], "Names": [name], "Labels": labels, "State": "created", "Created": time.time()}
        return names.read_container(data)

    def _process_limits(self) -> list[Any] | None:
        """Podman raises limits to defaults of its own, which fails where this user may not raise them."""
        if self.engine.kind != "podman":
            return None
        import resource

        from docker.types import Ulimit

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        hard = NOFILE if hard == resource.RLIM_INFINITY else min(hard, NOFILE)
        processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        most = NPROC if processes == resource.RLIM_INFINITY else min(processes, NPROC)
        files = Ulimit(name="nofile", soft=min(soft, hard), hard=hard)
        return [files, Ulimit(name="nproc", soft=most, hard=most)]

    # Changing

    def start(self, container: ServiceContainer) -> None:
        with engine_errors(
            self.engine.endpoint, **({"port": container.port} if container.role == LISTENER_ROLE else {})
        ):
            self._api.start(container.id)

    def stop(self, container: ServiceContainer, seconds: int = STOP_SECONDS) -> None:
        """Gives the container `seconds` to end, then kills it. The engine does not start it again."""
        from docker.errors import NotFound

        with engine_errors(self.engine.endpoint):
            try:
                self._api.stop(container.id, timeout=seconds)
            except NotFound:
                pass

    def keep_running(self, container: ServiceContainer, always: bool) -> None:
        """Whether the engine starts the container again when it has ended. Podman 4 cannot change that."""
        from docker.errors import APIError

        try:
            with engine_errors(self.engine.endpoint):
                self._api.update_container(container.id, restart_policy={"Name": "unless-stopped" if always else "no"})
        except EngineError as error:
            if not isinstance(error.__cause__, APIError):
                raise

    def remove(self, container: ServiceContainer) -> None:
        """Kills and removes the container. Waits when another client is removing it."""
        from docker.errors import APIError, NotFound

        with engine_errors(self.engine.endpoint):
            try:
                self._api.remove_container(container.id, force=True, v=True)
                return
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409 or "already in progress" not in str(error.explanation):
                    raise
        end = time.monotonic() + REMOVAL_SECONDS
        while self.inspect(container) and time.monotonic() < end:  # its volume is in use until then
            time.sleep(0.05)

    def remove_all(self) -> None:
        """Removes containers and volume, then the images that only this service used."""
        found = self.find()
        images = {self.inspect(container).get("Image", "") for container in found} - {""}
        for container in sorted(found, key=lambda one: one.role == LISTENER_ROLE):
            self.remove(container)
        self.remove_volume()
        left = [container.name for container in self.find()]
        if left or self.has_volume():
            message = f"still there: {', '.join(left) or self.volume}"
            raise EngineError({"code": "engine-error", "message": message})
        self.remove_images(images)

    def remove_volume(self) -> None:
        from docker.errors import NotFound

        with engine_errors(self.engine.endpoint):
            try:
                self._api.remove_volume(self._name)
            except NotFound:
                pass

    def remove_images(self, images: Iterable[str]) -> None:
        """Removes those that we made for a service and that nothing else uses; steps of a build stay for the next.

        These are the ones that are named after its revisions and, of `images`, which its containers had, those without
        a name: one that has another name belongs to a package, or to a user who pulled it.
        """
        from docker.errors import APIError

        named = self._revision_images()
        for image in [*named, *images]:
            with suppress(EngineError, APIError), engine_errors(self.engine.endpoint):
                if self._is_own(image, by_name=image in named):
                    self._api.remove_image(image, force=False)

    def _revision_images(self) -> list[str]:
        """The names, such as `mldeploy-0a1b2c3d/churn:3`."""
        repository = names.image_repository(self.workspace_id, self.service)
        with engine_errors(self.engine.endpoint):
            found = self._api.images(name=repository)
        named = [tag for image in found for tag in image.get("RepoTags") or []]
        return [tag for tag in named if tag.rpartition(":")[0].removeprefix("localhost/") == repository]

    def _is_own(self, image: str, *, by_name: bool) -> bool:
        found = self._api.inspect_image(image)
        labels = (found.get("Config") or {}).get("Labels") or {}
        return bool(labels.get(names.IMAGE)) and (by_name or not found.get("RepoTags"))

    # Files in the volume, through one of the containers, running or not

    def put_files(self, container: ServiceContainer, files: Mapping[str, bytes]) -> None:
        """Writes files into the volume; the keys are absolute paths. They belong to the container's user, mode 0600."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for folder in sorted({parent for path in files for parent in _parents(path)}):
                _add(tar, folder, None)
            for path, content in sorted(files.items()):
                _add(tar, path, content)
        with engine_errors(self.engine.endpoint):
            self._api.put_archive(container.id, names.STATE, archive.getvalue())

    def read_file(self, container: ServiceContainer, path: str) -> bytes | None:
        """The content of a file in the volume; None when there is none."""
        from docker.errors import NotFound

        end = time.monotonic() + REMOVAL_SECONDS
        while True:
            with engine_errors(self.engine.endpoint):
                try:
                    stream, _ = self._api.get_archive(container.id, path)
                except NotFound:
                    return None
                archive = io.BytesIO(b"".join(stream))
            try:
                return _read_first_file(archive)
            except tarfile.ReadError as error:  # Podman's answer while another client removes the container
                if time.monotonic() > end:
                    message = f"the engine sent no archive of {path} in {container.name}: {error}"
                    raise EngineError({"code": "engine-error", "message": message}) from error
            time.sleep(0.05)

    def read_json(self, container: ServiceContainer, name: str) -> dict[str, Any]:
        """A JSON file of the container's state folder; {} when it is missing or damaged."""
        content = self.read_file(container, f"{container.folder}/{name}") if container.folder else None
        try:
            data = json.loads(content or b"{}")
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}


def _read_first_file(archive: io.BytesIO) -> bytes | None:
    with tarfile.open(fileobj=archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                return file.read()
    return None


def origin_labels() -> dict[str, str]:
    """The labels that distinguish this user's containers from those of others on the same engine."""
    return {names.HOST: process_identity.host_name(), names.USER_ID: str(os.geteuid())}


def list_containers(engine: Engine, workspace_id: str, service: str = "") -> list[ServiceContainer]:
    """The containers of one service, or of all services of a workspace, the oldest first."""
    labels = [f"{names.WORKSPACE}={workspace_id}", *([f"{names.SERVICE}={service}"] if service else [])]
    with engine_errors(engine.endpoint):
        found = fetch_containers(engine.client.api, labels)
    containers = [names.read_container(data) for data in found]
    return sorted((c for c in containers if c.service), key=lambda container: (container.created, container.id))


def fetch_containers(api: Any, labels: list[str]) -> list[dict[str, Any]]:
    """The engine's data about the containers with these labels. Raises the errors of the SDK.

    Docker 28 answers with an error while one of them is being removed, and is asked again.
    """
    from docker.errors import APIError

    end = time.monotonic() + REMOVAL_SECONDS
    while True:
        try:
            return list(api.containers(all=True, filters={"label": labels}))
        except APIError as error:
            if HALF_REMOVED not in str(error) or time.monotonic() > end:
                raise
        time.sleep(0.05)


def resource_limits(config: Mapping[str, Any], workers: int) -> dict[str, Any]:
    """The limits of a service container, as the SDK takes them, from its deploy configuration."""
    limits: dict[str, Any] = {"pids_limit": PROCESSES * max(1, workers), "shm_size": SHARED_MEMORY}
    memory, cores = config.get("memory_gb_limit") or 0, config.get("cpu_cores_limit") or 0
    if memory:
        # Without swap: a service that swaps misses its deadlines, and an engine without swap accounting ignores it.
        limits["mem_limit"] = limits["memswap_limit"] = int(memory * 10**9)
        limits["shm_size"] = min(SHARED_MEMORY, limits["mem_limit"] // 2)
    if cores:
        limits["nano_cpus"] = int(cores * 10**9)
    return limits


def _parents(path: str) -> Iterable[str]:
    """The folders between the volume's root and a file in it."""
    folder = os.path.dirname(path)
    while folder.startswith(names.STATE + "/"):
        yield folder
        folder = os.path.dirname(folder)


def _add(tar: tarfile.TarFile, path: str, content: bytes | None) -> None:
    info = tarfile.TarInfo(os.path.relpath(path, names.STATE))
    info.uid, info.gid = names.USER, names.GROUP
    info.mtime = int(time.time())
    if content is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o700
        tar.addfile(info)
    else:
        info.size, info.mode = len(content), 0o600
        tar.addfile(info, io.BytesIO(content))
