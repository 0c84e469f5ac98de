"""What a service container is given, and what is read of those that there are."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from docker.errors import APIError, NotFound
from requests import Response

from mldeploy_jupyter.core.records import DeploymentRequest, RevisionRecord, ServiceRecord
from mldeploy_jupyter.docker_engine import EngineError
from mldeploy_jupyter.targets import Plan, Strategy
from mldeploy_jupyter.targets.docker import containers, names
from mldeploy_jupyter.targets.docker.containers import ServiceContainers, resource_limits
from mldeploy_jupyter.targets.docker.glance import _state
from mldeploy_jupyter.targets.docker.rollout import container_settings


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {"pids_limit": 512, "shm_size": 1 << 30}),
        ({"memory_gb_limit": 0, "cpu_cores_limit": None}, {"pids_limit": 512, "shm_size": 1 << 30}),
        (
            {"memory_gb_limit": 0.5, "cpu_cores_limit": 1.5},
            {
                "pids_limit": 512,
                "shm_size": 250_000_000,
                "mem_limit": 500_000_000,
                "memswap_limit": 500_000_000,
                "nano_cpus": 1_500_000_000,
            },
        ),
    ],
)
def test_limits_of_a_configuration(config, expected):
    assert resource_limits(config, 1) == expected
    assert resource_limits(config, 4)["pids_limit"] == 2048


def plan(**config: object) -> Plan:
    settings = {"workers": 1, "python": "/usr/bin/python3", "app_root": "/x", "memory_limit_mb": 500, "env": {"A": "1"}}
    request = DeploymentRequest("churn", "docker")
    return Plan(request, ServiceRecord("churn"), RevisionRecord("churn", 1), settings=settings, config=dict(config))


def test_a_container_is_not_told_where_things_are_on_this_machine():
    settings = container_settings(plan(), Strategy(probes=2))
    wanted = {"workers": 1, "memory_limit_mb": 0, "probes": 2, "env": {"A": "1"}}
    assert settings == {**wanted, "allowed_hosts": ["localhost"]}


def test_a_port_on_loopback_answers_to_the_names_of_loopback_and_those_that_were_allowed():
    proxied = plan()
    proxied.settings["allowed_hosts"] = ["churn.example.com"]
    assert container_settings(proxied, Strategy())["allowed_hosts"] == ["churn.example.com"]


def test_libraries_start_as_many_threads_as_there_are_cores_for_them():
    assert container_settings(plan(cpu_cores_limit=1.5), Strategy())["env"] == {"OMP_NUM_THREADS": "2", "A": "1"}
    own = plan(cpu_cores_limit=0.5)
    own.settings["env"] = {"OMP_NUM_THREADS": "8"}
    assert container_settings(own, Strategy())["env"] == {"OMP_NUM_THREADS": "8"}


def container(role: str, state: str) -> names.ServiceContainer:
    labels = {names.SERVICE: "churn", names.ROLE: role, names.PORT: "x"}
    return names.read_container({"Id": role, "State": state, "Labels": labels, "Created": 1})


@pytest.mark.parametrize(
    ("service", "listener", "expected"),
    [
        ("running", "running", "Live"),
        ("restarting", "running", "Unhealthy"),
        ("exited", "running", "Unhealthy"),
        ("running", "exited", "Unhealthy"),
        ("exited", "exited", "Stopped"),
        ("created", "running", "Absent"),
    ],
)
def test_a_glance_at_two_containers(service, listener, expected):
    assert _state([container("listener", listener), container("service", service)]) == expected


def test_odd_entries_of_the_engine_are_read():
    found = names.read_container({"Id": "c1", "Labels": None, "Created": "2026"})
    assert (found.name, found.port, found.role, found.is_running) == ("c1", 0, "", False)
    assert names.listener_socket(8890) == "/var/lib/mldeploy/shared/8890/listener.sock"


def test_a_container_that_another_removes_is_gone_when_its_removal_returns():
    """Else its volume is in use, and a delete or cancel fails that comes while a deployment tidies up."""
    left = [{"State": {"Status": "removing"}}] * 2

    def remove(*_: object, **__: object) -> None:
        response = Response()
        response.status_code = 409
        raise APIError("409", response, "removal of container c1 is already in progress")

    def inspect(_: str) -> dict[str, object]:
        if not left:
            raise NotFound("gone")
        return left.pop()

    api = SimpleNamespace(remove_container=remove, inspect_container=inspect)
    engine = SimpleNamespace(endpoint=None, client=SimpleNamespace(api=api))
    ServiceContainers(engine, "w", "churn").remove(container("service", "running"))
    assert left == []


def test_containers_are_listed_again_while_one_is_being_removed():
    """Docker 28 then answers 500."""
    answers = [APIError("500: RWLayer of container e8f7 is unexpectedly nil"), []]

    def list_them(**_: object) -> list[dict[str, object]]:
        answer = answers.pop(0)
        if isinstance(answer, APIError):
            raise answer
        return answer

    engine = SimpleNamespace(endpoint=None, client=SimpleNamespace(api=SimpleNamespace(containers=list_them)))
    assert containers.list_containers(engine, "w", "churn") == [] and answers == []


def test_a_file_is_read_again_while_its_container_is_removed():
    """Podman then answers with an archive of no bytes, and only in the end that there is no such container."""
    answers = [b"", b"", None]

    def get_archive(*_: object) -> tuple[list[bytes], dict[str, object]]:
        answer = answers.pop(0)
        if answer is None:
            raise NotFound("gone")
        return [answer], {}

    engine = SimpleNamespace(endpoint=None, client=SimpleNamespace(api=SimpleNamespace(get_archive=get_archive)))
    assert ServiceContainers(engine, "w", "churn").read_file(container("service", "running"), "/live.json") is None
    assert answers == []


def test_a_file_that_an_engine_never_sends_is_its_error(monkeypatch):
    monkeypatch.setattr(containers, "REMOVAL_SECONDS", 0.0)
    api = SimpleNamespace(get_archive=lambda *_: ([b"no archive"], {}))
    engine = SimpleNamespace(endpoint=None, client=SimpleNamespace(api=api))
    with pytest.raises(EngineError, match="the engine sent no archive of"):
        ServiceContainers(engine, "w", "churn").read_file(container("service", "running"), "/live.json")
