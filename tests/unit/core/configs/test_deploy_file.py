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
    "probe key": {"computeType": "aks", "livenessProbeRequirements": {"periodSecond": 3}},
    "insights": {"computeType": "aci", "enableAppInsights": True},
    "gpu": {"computeType": "aks", "containerResourceRequirements": {"gpu": 1}},
    "memory": {"computeType": "aci", "containerResourceRequirements": {"cpu": 1, "memoryInGb": 1}},
    "gpu of another target": {"computeType": "aci", "containerResourceRequirements": {"gpu": 1}},
    "group of another target": {"computeType": "local", "autoScaler": {"minReplicas": 1}},
    "tags": {"computeType": "local", "tags": {"a": "b"}, "description": "d", "properties": {}},
    "flat cpu": {"computeType": "aci", "cpu": 1},
    "group is number": {"computeType": "aks", "autoScaler": 3},
    "port string": {"computeType": "local", "port": "8890"},
    "key of another target": {"computeType": "local", "numReplicas": 3},
    "nothing like it": {"computeType": "local", "zzz": 3},
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
        read_deploy_config("deploymentconfig.json")
    assert str(caught.value) == snapshot


def test_certificates_are_found_beside_the_file(folder: Path) -> None:
    (folder / "config").mkdir()
    (folder / "config" / "c.pem").write_text("x")
    (folder / "k.pem").write_text("x")
    data = {"computeType": "aci", "sslEnabled": True, "sslCertificate": "c.pem", "sslKey": "k.pem", "cname": "a.b"}
    config = read_deploy_config(write_file(folder / "config", data))
    assert config.passed["ssl_cert_pem_file"] == str(folder / "config" / "c.pem")
    assert config.passed["ssl_key_pem_file"] == "k.pem"
