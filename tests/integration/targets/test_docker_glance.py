"""The engine tells of its containers, so that a glance at services is needed only when something happened."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from mldeploy_jupyter.docker_engine import EngineError, open_engine
from mldeploy_jupyter.targets.docker import names
from mldeploy_jupyter.targets.docker.glance import ContainerGlances
from tests.engines.docker import RunningEngine
from tests.polling import wait_until

pytestmark = pytest.mark.engines


@pytest.fixture
def workspace(docker_engine: RunningEngine, base_image: str) -> Iterator[str]:
    """A workspace with a service `churn`: two containers with its labels, which sleep."""
    workspace = f"t{uuid.uuid4().hex}"
    client = docker_engine.client()
    client.images.pull(base_image)
    made = []
    for role in (names.LISTENER_ROLE, names.SERVICE_ROLE):
        labels = {names.WORKSPACE: workspace, names.SERVICE: "churn", names.ROLE: role}
        name = f"{workspace}-{role}"
        made.append(client.containers.run(base_image, ["sleep", "600"], detach=True, labels=labels, name=name))
    yield workspace
    for container in made:
        container.remove(force=True)
    client.close()


def test_the_end_of_a_container_is_told_at_once(workspace: str, docker_engine: RunningEngine) -> None:
    glances = ContainerGlances(workspace)
    try:
        assert {name: seen.state for name, seen in glances.look(["churn", "other"]).items()} == {
            "churn": "Live",
            "other": "Absent",
        }
        assert glances._events is not None
        events = glances._events
        wait_until(lambda: events._stream is not None)
        client = docker_engine.client()
        client.containers.get(f"{workspace}-{names.SERVICE_ROLE}").kill()
        wait_until(glances.has_ended)
        assert glances.look(["churn"])["churn"].state == "Unhealthy"
        client.containers.get(f"{workspace}-{names.LISTENER_ROLE}").kill()
        wait_until(glances.has_ended)
        assert glances.look(["churn"])["churn"].state == "Stopped"
        client.close()
    finally:
        glances.close()


def test_services_of_an_engine_that_is_away_are_unhealthy() -> None:
    def away() -> None:
        raise EngineError({"code": "engine-absent", "message": "away"})

    glances = ContainerGlances("w", away)  # type: ignore[arg-type]
    assert glances.look(["churn"])["churn"].state == "Unhealthy"
    assert glances.look([]) == {}
    glances.close()


def test_nothing_is_asked_of_the_engine_without_services() -> None:
    asked: list[int] = []
    glances = ContainerGlances("w", lambda: asked.append(1) or open_engine())
    assert glances.look([]) == {} and not glances.has_ended()
    glances.close()
    assert asked == []
