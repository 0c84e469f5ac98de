"""Reading `deploymentconfig.json`: every documented key is read, anything else is refused by its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.core.configs import json_schema, read_deploy_config
from mldeploy_jupyter.core.errors import ConfigError

from .documents import ACI, AKS, ENDPOINT, LOCAL, write_file


@pytest.mark.parametrize("data", [LOCAL, ACI, AKS, ENDPOINT], ids=lambda data: str(data["computeType"]))
def test_every_documented_key_is_read_from_json_and_yaml(data: dict[str, Any], folder: Path) -> None:
    from_json = read_deploy_config(write_file(folder, data))
    from_yaml = read_deploy_config(write_file(folder, yaml.safe_dump(data), "deploymentconfig.yml"))
    assert from_json == from_yaml
    spec = from_json.spec
    assert spec.compute_type.lower() == data["computeType"].lower()
    documented = {field.file for field in spec.fields if field.file}
    for path in documented:
        value: Any = data
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        name = next(field.name for field in spec.fields if field.file == path)
        assert from_json.passed.get(name) == value
    jsonschema.validate(data, json_schema())
    jsonschema.validate(data, json_schema(spec.compute_type))


BAD: dict[str, Any] = {
    "no compute type": {"port": 1},
    "compute type spelled": {"computetype": "local"},
    "compute type unknown": {"computeType": "azk"},
    "compute type number": {"computeType": 3},
    "group is number": {"computeType": "aks", "autoScaler": 3},
    "port string": {"computeType": "local", "port": "8890"},
    "nothing like it": {"computeType": "local", "zzz": 3, "workerCount": 1},
    "key of another target beside ours": {"computeType": "local", "numReplicas": 3, "engine": "process"},
    "like one of ours": {"computeType": "local", "workersCount": 3},
    "other key beside one like ours": {"computeType": "local", "zzz": 3, "scoringTimeOutMs": 3},
    "boolean word": {"computeType": "aci", "authEnabled": "true"},
    "cross rule": {"computeType": "aks", "autoScaler": {"autoscaleEnabled": False}, "tokenAuthEnabled": False},
    "limit": {"computeType": "aks", "containerResourceRequirements": {"cpu": 2, "cpuLimit": 1}},
    "many": {
        "computeType": "aks",
        "gpuCores": -1,
        "livenessProbeRequirements": {"periodSeconds": 0, "timeout": 1},
        "keys": {"secondaryKey": "b"},
    },
}


@pytest.mark.parametrize("name", BAD)
def test_every_problem_has_its_path(name: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    write_file(folder, BAD[name])
    with pytest.raises(ConfigError) as caught:
        read_deploy_config("deploymentconfig.json", note=lambda text: None)
    assert str(caught.value) == snapshot


# v1 ignored what it did not know. Nothing says of a file for the local target that it is ours, unless a key does.
IGNORED: dict[str, Any] = {
    "probe key": {"computeType": "aks", "livenessProbeRequirements": {"periodSecond": 3}},
    "insights": {"computeType": "aci", "enableAppInsights": True},
    "gpu": {"computeType": "aks", "containerResourceRequirements": {"gpu": 1}},
    "memory": {"computeType": "aci", "containerResourceRequirements": {"cpu": 1, "memoryInGb": 1}},
    "gpu of another target": {"computeType": "aci", "containerResourceRequirements": {"gpu": 1}},
    "group of another target": {"computeType": "local", "autoScaler": {"minReplicas": 1}},
    "tags": {"computeType": "local", "tags": {"a": "b"}, "description": "d", "properties": {}},
    "flat cpu": {"computeType": "aci", "cpu": 1},
    "key of another target": {"computeType": "local", "numReplicas": 3},
    "resources of another target": {
        "computeType": "local",
        "containerResourceRequirements": {"cpu": 1, "memoryInGB": 1},
    },
    "https": {"computeType": "aks", "sslEnabled": True, "zzz": 3},
    "our key": {"computeType": "aci", "workerCount": 3},
    "nothing": {"computeType": "aci", "zzz": None},
    "port": {"computeType": "local", "prot": 8890},
}


@pytest.mark.parametrize("name", IGNORED)
def test_an_unknown_key_of_a_file_of_v1_is_a_note(name: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    notes: list[str] = []
    config = read_deploy_config(write_file(folder, IGNORED[name]).relative_to(folder), note=notes.append)
    known = {"containerResourceRequirements": {"cpu": 1}, "computeType": config.compute_type}
    if name == "memory":
        assert config == read_deploy_config(write_file(folder, known))
    else:
        assert config.passed == {}
    assert notes == snapshot


def test_python_is_told_of_an_ignored_key_by_a_warning(folder: Path) -> None:
    with pytest.warns(UserWarning, match="^sslEnabled in .* is ignored, as in v1; it is not a setting of aks"):
        read_deploy_config(write_file(folder, {"computeType": "aks", "sslEnabled": False}))


def test_certificates_are_found_beside_the_file(folder: Path) -> None:
    (folder / "config").mkdir()
    (folder / "config" / "c.pem").write_text("x")
    (folder / "k.pem").write_text("x")
    data = {"computeType": "aci", "sslEnabled": True, "sslCertificate": "c.pem", "sslKey": "k.pem", "cname": "a.b"}
    config = read_deploy_config(write_file(folder / "config", data))
    assert config.passed["ssl_cert_pem_file"] == str(folder / "config" / "c.pem")
    assert config.passed["ssl_key_pem_file"] == "k.pem"
