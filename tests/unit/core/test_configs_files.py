"""The configuration files: documented forms are read, anything else is refused by its path."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.core.configs import SPECS, DeployConfig, json_schema, read_deploy_config, read_inference_config
from mldeploy_jupyter.core.configs.config_file import json_problem
from mldeploy_jupyter.core.errors import ConfigError

ACI = {
    "computeType": "ACI",
    "containerResourceRequirements": {"cpu": 0.5, "memoryInGB": 1},
    "location": "westeurope",
    "authEnabled": True,
    "sslEnabled": False,
    "appInsightsEnabled": True,
    "sslCertificate": None,
    "sslKey": None,
    "cname": None,
    "dnsNameLabel": "churn",
    "vaultBaseUrl": "https://v",
    "keyName": "k",
    "keyVersion": "1",
    "vnetName": "v",
    "subnetName": "s",
    "keys": {"primaryKey": "a", "secondaryKey": "b"},
}
AKS = {
    "computeType": "aks",
    "autoScaler": {
        "autoscaleEnabled": True,
        "minReplicas": 1,
        "maxReplicas": 3,
        "refreshPeriodInSeconds": 1,
        "targetUtilization": 70,
    },
    "dataCollection": {"storageEnabled": True},
    "authEnabled": True,
    "tokenAuthEnabled": False,
    "containerResourceRequirements": {"cpu": 0.5, "memoryInGB": 1.0, "cpuLimit": 1, "memoryInGBLimit": 2},
    "gpuCores": 0,
    "appInsightsEnabled": False,
    "scoringTimeoutMs": 1000,
    "maxConcurrentRequestsPerContainer": 1,
    "maxQueueWaitMs": 500,
    "numReplicas": None,
    "keys": None,
    "livenessProbeRequirements": {
        "periodSeconds": 10,
        "initialDelaySeconds": 310,
        "timeoutSeconds": 2,
        "successThreshold": 1,
        "failureThreshold": 3,
    },
    "namespace": "prod",
    "computeTargetName": "cluster",
}
LOCAL = {"computeType": "local", "port": 8890, "environmentVariables": {"A": "1"}, "corsOrigins": ["https://a.example"]}
ENDPOINT = {**AKS, "computeType": "AksEndpoint", "versionName": "blue", "trafficPercentile": 20}


def write(folder: Path, data: Any, name: str = "deploymentconfig.json") -> Path:
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


@pytest.mark.parametrize("data", [LOCAL, ACI, AKS, ENDPOINT], ids=lambda data: str(data["computeType"]))
def test_every_documented_key_is_read_from_json_and_yaml(data: dict[str, Any], folder: Path) -> None:
    from_json = read_deploy_config(write(folder, data))
    from_yaml = read_deploy_config(write(folder, yaml.safe_dump(data), "deploymentconfig.yml"))
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
def test_what_is_wrong_is_named_by_its_path(name: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    write(folder, BAD[name])
    with pytest.raises(ConfigError) as caught:
        read_deploy_config("deploymentconfig.json")
    assert str(caught.value) == snapshot


SYNTAX = {
    "comma.json": '{"computeType": "local",\n "port": 1,}',
    "twice.json": '{"computeType": "local",\n "port": 1,\n "port": 2}',
    "nested.json": '{"computeType": "aks",\n "keys": {"primaryKey": "a",\n "primaryKey": "b"}}',
    "list.json": "[1]",
    "empty.json": "",
    "indent.yml": "computeType: local\n port: 1\n",
    "twice.yml": "computeType: local\nport: 1\nport: 2\n",
    "alias.yml": "computeType: &a local\nport: *a\n",
    "tag.yml": "computeType: !!python/object/apply:os.system [ls]\n",
    "empty.yml": "",
    "key.yml": "computeType: local\n? [port]\n: 1\n",
    "merge.yml": "computeType: local\n<<: {port: 1}\n",
    "deep.json": "[" * 100_000,
    "deep.yml": "[" * 20_000,
}


@pytest.mark.parametrize("name", SYNTAX)
def test_a_syntax_error_has_its_line(name: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    (folder / name).write_text(SYNTAX[name])
    with pytest.raises(ConfigError) as caught:
        read_deploy_config(name)
    assert str(caught.value) == snapshot


@pytest.mark.parametrize(
    ("text", "line", "column", "closing"),
    [
        ('{"a": 1,}', 1, 8, "}"),
        ('{"a": [1,\n  ]}', 1, 9, "]"),
        ('{"a": 1 ,\n\n}', 1, 9, "}"),
        ('{\n "a": {"b": 1,\t}}', 2, 14, "}"),
    ],
)
def test_a_trailing_comma_reads_the_same_on_every_python(text: str, line: int, column: int, closing: str) -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(text)
    assert json_problem(caught.value) == (f"a comma stands before the closing {closing}", line, column)


@pytest.mark.parametrize("text", ["[,]", "{,}", "[1,,]", '{"a": }', '{"a": [1,}', "[1,", '{"a": 1, "b"}', '["a,"', ""])
def test_other_errors_are_no_trailing_comma(text: str) -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(text)
    error = caught.value
    assert json_problem(error) == (error.msg[0].lower() + error.msg[1:], error.lineno, error.colno)
    assert "comma stands" not in json_problem(error)[0]


def test_a_file_that_cannot_be_read(folder: Path, snapshot: SnapshotAssertion) -> None:
    (folder / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (folder / "big.json").write_text(" " * 1_000_001)
    texts = []
    for name in ("missing.json", ".", "bytes.json", "big.json"):
        with pytest.raises(ConfigError) as caught:
            read_deploy_config(name)
        texts.append(str(caught.value))
    assert texts == snapshot


def test_a_byte_order_mark_is_no_syntax_error(folder: Path) -> None:
    (folder / "c.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(LOCAL).encode())
    assert read_deploy_config("c.json").passed["port"] == 8890


def test_certificates_are_found_beside_the_file(folder: Path) -> None:
    (folder / "config").mkdir()
    (folder / "config" / "c.pem").write_text("x")
    (folder / "k.pem").write_text("x")
    data = {"computeType": "aci", "sslEnabled": True, "sslCertificate": "c.pem", "sslKey": "k.pem", "cname": "a.b"}
    config = read_deploy_config(write(folder / "config", data))
    assert config.passed["ssl_cert_pem_file"] == str(folder / "config" / "c.pem")
    assert config.passed["ssl_key_pem_file"] == "k.pem"


def variants(base: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The file with one value changed at a time, to everything a file may hold."""
    values = [
        None,
        True,
        False,
        0,
        1,
        -1,
        2.0,
        2.5,
        101,
        70000,
        "",
        "x",
        "Ab",
        "a b",
        [],
        ["a"],
        [1],
        {},
        {"a": "b"},
        {"a": 1},
    ]
    paths = [[key] for key in base if key != "computeType"]
    paths += [[key, leaf] for key, value in base.items() if isinstance(value, dict) for leaf in value]
    found = []
    for path in [*paths, ["unknownKey"], ["containerResourceRequirements", "gpu"]]:
        for value in values:
            changed = copy.deepcopy(base)
            node = changed
            for key in path[:-1]:
                node = node.setdefault(key, {})
            node[path[-1]] = value
            found.append((".".join(path) + f"={value!r}", changed))
    return found


@pytest.mark.parametrize("base", [LOCAL, ACI, AKS, ENDPOINT], ids=lambda data: str(data["computeType"]))
def test_the_schema_and_the_reader_agree(base: dict[str, Any], folder: Path) -> None:
    """The schema refuses just what the reader refuses, apart from the rules across settings, which it cannot say."""
    validator = jsonschema.Draft202012Validator(json_schema(base["computeType"]))
    checked = 0
    for name, data in variants(base):
        path = write(folder, data)
        try:
            read_deploy_config(path)
            problem = ""
        except ConfigError as error:
            problem = str(error)
        valid = validator.is_valid(data)
        across = not valid or "must be given" in problem or "must only be" in problem or "must not be" in problem
        across = across or "must be at least" in problem
        assert bool(problem) == (not valid) or (problem and across), (name, problem, valid)
        checked += 1
    assert checked > 50


@pytest.mark.parametrize("kind", SPECS)
def test_the_schema_is_a_schema(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(kind))
    jsonschema.Draft202012Validator.check_schema(json_schema())
    with pytest.raises(ConfigError):
        json_schema("nowhere")


# inferenceconfig.json ------------------------------------------------------------------------------------------


def test_the_form_of_2019(folder: Path) -> None:
    data = {
        "entryScript": "score.py",
        "runtime": "python",
        "condaFile": "env.yml",
        "extraDockerfileSteps": None,
        "sourceDirectory": None,
        "enableGpu": False,
        "baseImage": None,
        "baseImageRegistry": "registry.example",
        "cudaVersion": None,
        "description": None,
    }
    expected = {
        "entry_script": "score.py",
        "runtime": "python",
        "conda_file": "env.yml",
        "enable_gpu": False,
        "base_image_registry": {"address": "registry.example"},
    }
    assert read_inference_config(write(folder, data, "i.json")) == expected
    assert read_inference_config(write(folder, yaml.safe_dump(data), "i.yml")) == expected


@pytest.mark.parametrize("spelling", ["extraDockerFileSteps", "extraDockerfileSteps"])
def test_both_spellings_of_docker_steps(spelling: str, folder: Path) -> None:
    path = write(folder, {"entryScript": "s.py", spelling: "steps"}, "i.json")
    assert read_inference_config(path)["extra_docker_file_steps"] == "steps"


def test_the_later_form(folder: Path) -> None:
    environment = {
        "name": "e",
        "version": None,
        "environmentVariables": {"A": "1"},
        "python": {
            "userManagedDependencies": False,
            "condaDependencies": {"channels": ["conda-forge"], "dependencies": ["python=3.11", {"pip": ["numpy"]}]},
        },
        "docker": {"baseImage": "x", "baseImageRegistry": {"address": None, "username": None, "password": None}},
        "spark": None,
        "inferencingStackVersion": None,
    }
    data = {"entryScript": "score.py", "sourceDirectory": None, "environment": environment}
    assert read_inference_config(write(folder, data, "i.json")) == {
        "entry_script": "score.py",
        "environment": environment,
    }


def test_paths_are_found_beside_the_file(folder: Path) -> None:
    (folder / "deploy" / "src").mkdir(parents=True)
    (folder / "deploy" / "score.py").write_text("")
    path = write(folder / "deploy", {"entryScript": "score.py", "sourceDirectory": "src"}, "i.json")
    assert read_inference_config(path)["source_directory"] == str(folder / "deploy" / "src")
    alone = read_inference_config(write(folder / "deploy", {"entryScript": "score.py"}, "j.json"))
    assert alone["entry_script"] == str(folder / "deploy" / "score.py")


BAD_INFERENCE: dict[str, Any] = {
    "no script": {"runtime": "python"},
    "misspelled": {"entryScript": "s.py", "enviroment": {}},
    "snake case": {"entry_script": "s.py"},
    "number": {"entryScript": 3},
    "conda at top": {"entryScript": "s.py", "condaDependencies": {}},
    "deep key": {"entryScript": "s.py", "environment": {"python": {"condaDependency": {}}}},
    "conda as path": {"entryScript": "s.py", "environment": {"python": {"condaDependencies": "env.yml"}}},
    "variables": {"entryScript": "s.py", "environment": {"environmentVariables": {"A": 1}}},
    "both forms": {"entryScript": "s.py", "environment": {"name": "e"}, "condaFile": "c.yml"},
    "both spellings": {"entryScript": "s.py", "extraDockerFileSteps": "a", "extraDockerfileSteps": "b"},
    "registry list": {"entryScript": "s.py", "baseImageRegistry": ["r"]},
    "registry key": {"entryScript": "s.py", "baseImageRegistry": {"adress": "r"}},
    "gpu word": {"entryScript": "s.py", "enableGpu": "no"},
    "many": {"entryScript": None, "runtim": "python", "condaFile": 1, "environment": {"docker": {"enable": True}}},
}


@pytest.mark.parametrize("name", BAD_INFERENCE)
def test_a_wrong_inference_config_is_refused(name: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    write(folder, BAD_INFERENCE[name], "inferenceconfig.json")
    with pytest.raises(ConfigError) as caught:
        read_inference_config("inferenceconfig.json")
    assert str(caught.value) == snapshot


def test_the_script_may_come_from_elsewhere(folder: Path) -> None:
    assert read_inference_config(write(folder, {"runtime": "python"}, "i.json"), need_script=False) == {
        "runtime": "python"
    }


def test_defaults_are_the_schemas_defaults() -> None:
    schema = json_schema("aks")
    cpu = schema["properties"]["containerResourceRequirements"]["properties"]["cpu"]
    assert cpu["default"] == DeployConfig("AKS").resolved()["cpu_cores"]
