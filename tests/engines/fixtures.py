"""Fixtures with real engines, for any test: `tests/conftest.py` loads them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engines.base_image import why_no_python
from tests.engines.docker import OwnEngine, RunningEngine, find_engine
from tests.engines.podman import PodmanEngine
from tests.engines.registry import RegistryServer


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[RunningEngine]:
    """The machine's Docker engine, or one for this run of the tests. Never restart it, never prune it.

    What a test makes in it has a name of its own, and is removed by the test.
    """
    found = find_engine()
    if found is not None:
        yield found
        return
    with OwnEngine() as engine:
        before = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = engine.host
        yield engine
        if before is None:
            os.environ.pop("DOCKER_HOST", None)
        else:
            os.environ["DOCKER_HOST"] = before


@pytest.fixture
def own_docker_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnEngine]:
    """An engine for this test alone, which may restart, stop and kill it. `DOCKER_HOST` names it."""
    with OwnEngine() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        yield engine


@pytest.fixture(scope="session")
def podman_engine() -> Iterator[PodmanEngine]:
    """Podman's service, for this run of the tests. No variable names it: `monkeypatch.setenv("DOCKER_HOST", ...)`."""
    with PodmanEngine() as engine:
        yield engine


@pytest.fixture(scope="session")
def image_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """A registry for this run of the tests, without authentication, with the base image `image_registry.base`."""
    with RegistryServer(tmp_path_factory.mktemp("registry"), base=True) as registry:
        yield registry
        engine = find_engine()
        if engine is not None:
            engine.remove_tags(registry.address)


@pytest.fixture(scope="session")
def base_image(image_registry: RegistryServer) -> str:
    """The reference of a base image: Debian with the Python of its release. In the registry; engines pull it.

    Tests with another Python are skipped where a build cannot download it.
    """
    if reason := why_no_python("{}.{}".format(*sys.version_info)):
        pytest.skip(reason)
    return image_registry.base


@pytest.fixture
def start_registry(tmp_path: Path) -> Iterator[Callable[..., RegistryServer]]:
    """Starts registries for this test alone: `start_registry(user=, password=, tls=, base=)`."""
    with ExitStack() as started:
        count = 0

        def start(*, user: str = "", password: str = "", tls: bool = False, base: bool = False) -> RegistryServer:
            nonlocal count
            count += 1
            folder = tmp_path / f"registry-{count}"
            return started.enter_context(RegistryServer(folder, user=user, password=password, tls=tls, base=base))

        yield start
