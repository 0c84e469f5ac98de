"""Deploy and inference configurations from options: an option overrides the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import UsageError, command
from mldeploy_jupyter.commands.options import make_inference_config
from mldeploy_jupyter.commands.options.settings import given_metadata, make_changed_config, make_deploy_config
from mldeploy_jupyter.core.configs import SPECS, DeployConfig
from mldeploy_jupyter.core.errors import ConfigError, MldeployError
from tests.unit.commands.support import make_context, parse_line


def parse_deploy(line: str) -> Any:
    return parse_line("model deploy", line)


def test_every_setting_of_every_target_has_an_option() -> None:
    names = {param.name.removeprefix("config_") for param in command("model", "deploy").params}
    assert all(field.name in names for spec in SPECS.values() for field in spec.fields)


def test_an_environment_variable_has_a_value() -> None:
    config = make_deploy_config(parse_deploy("--env A=1 B= --tag c"))
    assert config is not None
    assert config.passed == {"environment_variables": {"A": "1", "B": ""}, "tags": {"c": ""}}
    with pytest.raises(UsageError) as caught:
        make_deploy_config(parse_deploy("--env A=1 HOME"))
    assert caught.value.what == "--env HOME has no value"
    assert caught.value.hint == "write --env HOME=value, or --env HOME= for an empty one"


def test_an_option_overrides_the_file(folder: Path) -> None:
    (folder / "d.json").write_text(json.dumps({"computeType": "local", "port": 8890, "workerCount": 2}))
    assert make_deploy_config(parse_deploy("-dc d.json")) == DeployConfig("Local", {"port": 8890, "worker_count": 2})
    both = make_deploy_config(parse_deploy("-dc d.json --port 9000 --ae false --tag a=b"))
    assert both is not None
    assert both.passed == {"port": 9000, "worker_count": 2, "auth_enabled": False, "tags": {"a": "b"}}


def test_an_option_corrects_a_wrong_file(folder: Path) -> None:
    (folder / "d.json").write_text(json.dumps({"computeType": "local", "port": 99999}))
    config = make_deploy_config(parse_deploy("-dc d.json --port 9000"))
    assert config is not None and config.passed == {"port": 9000}


def test_violations_name_the_key_or_the_option(folder: Path, snapshot: SnapshotAssertion) -> None:
    (folder / "d.json").write_text(
        json.dumps({"computeType": "aks", "containerResourceRequirements": {"cpu": 2}, "gpuCores": -1})
    )
    with pytest.raises(ConfigError) as caught:
        make_deploy_config(parse_deploy("-dc d.json --ccl 1 --mi 2"))
    with pytest.raises(ConfigError) as flags_only:
        make_deploy_config(parse_deploy("--to aci --cc 0 --vnet-name v"))
    assert [str(caught.value), str(flags_only.value)] == snapshot


def test_wrong_keys_and_wrong_values_are_named_together(folder: Path, snapshot: SnapshotAssertion) -> None:
    group = {"cpu": "1", "memoryInGB": 0}
    aci = {"computeType": "aci", "containerResourceRequirements": group, "sslEnabled": True}
    (folder / "aci.json").write_text(json.dumps(aci))
    (folder / "local.json").write_text(json.dumps({"computeType": "local", "port": 70000, "foo": 1, "workerCount": 1}))
    texts = []
    for read in (
        lambda: make_deploy_config(parse_deploy("-dc aci.json --gb 1")),  # a flag mends one of the values
        lambda: make_deploy_config(parse_deploy("-dc local.json")),
        lambda: make_changed_config(parse_deploy("-dc local.json"), DeployConfig("Local")),
    ):
        with pytest.raises(ConfigError) as caught:
            read()
        texts.append(str(caught.value))
    assert texts == snapshot


def test_a_hint_of_an_update_names_no_option_it_lacks(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        make_changed_config(parse_deploy("--cc 2"), DeployConfig("Local"))
    assert caught.value.hint == "leave --cpu-cores out"


def test_a_reserved_environment_name_is_located_in_the_file(folder: Path) -> None:
    data = {"entryScript": "score.py", "environment": {"name": "AzureML-x"}}
    (folder / "i.json").write_text(json.dumps(data))
    with pytest.raises(MldeployError) as caught:
        make_inference_config(make_context(), parse_deploy("-ic i.json"))
    assert caught.value.where == "i.json, environment.name"


def test_the_target_of_file_and_options(folder: Path) -> None:
    (folder / "d.json").write_text('{"computeType": "ACI"}')
    assert make_deploy_config(parse_deploy("x")) is None
    assert make_deploy_config(parse_deploy("--port 1")) == DeployConfig("Local", {"port": 1})
    assert make_deploy_config(parse_deploy("--to aci")) == DeployConfig("ACI")
    assert make_deploy_config(parse_deploy("-ct cluster")) == DeployConfig("AKS", {"compute_target_name": "cluster"})
    assert make_deploy_config(parse_deploy("-dc d.json --to aci")) == DeployConfig("ACI")
    with pytest.raises(UsageError, match=r"d\.json is for aci"):
        make_deploy_config(parse_deploy("-dc d.json --to aks"))


def test_this_machine_stands_in_for_the_target_of_a_file(folder: Path) -> None:
    group = {"cpu": 0.5, "memoryInGB": 1}
    aks = {"computeType": "aks", "containerResourceRequirements": group, "scoringTimeoutMs": 5000, "authEnabled": False}
    (folder / "aks.json").write_text(json.dumps(aks))
    made = make_deploy_config(parse_deploy("--dc aks.json --to docker --port 8890 --nr 2"))
    assert (
        made is not None
        and made.in_place_of == "AKS"
        and made.kept
        == {
            "cpu_cores": 0.5,
            "memory_gb": 1,
            "num_replicas": 2,
        }
    )
    own = {name: made.passed[name] for name in ("scoring_timeout_ms", "auth_enabled", "port", "engine")}
    assert own == {"scoring_timeout_ms": 5000, "auth_enabled": False, "port": 8890, "engine": "docker"}
    (folder / "aks.json").write_text(json.dumps({**aks, "scoringTimeoutMs": 6000}))
    changed = make_changed_config(parse_line("service update", "churn --dc aks.json --worker-count 2"), made)
    assert changed is not None and changed.passed == {**made.passed, "scoring_timeout_ms": 6000, "worker_count": 2}
    (folder / "aks.json").write_text(json.dumps({**aks, "gpuCores": -1}))
    with pytest.raises(ConfigError, match=r"gpuCores is -1"):
        make_deploy_config(parse_deploy("--dc aks.json --to local"))
    with pytest.raises(UsageError, match="--ssl-enabled is not a setting of the target aks"):
        make_deploy_config(parse_deploy("--dc aks.json --to local --se true"))


def test_a_cluster_is_not_looked_at_without_aks(folder: Path) -> None:
    (folder / "d.json").write_text('{"computeType": "ACI"}')
    notes: list[str] = []
    assert make_deploy_config(parse_deploy("-dc d.json --compute-target c"), notes.append) == DeployConfig("ACI")
    assert make_deploy_config(parse_deploy("--to local --ct c"), notes.append) == DeployConfig("Local")
    here = make_deploy_config(parse_deploy("-dc d.json --to local --ct c"), notes.append)
    assert here is not None and here.in_place_of == "ACI"
    update = parse_line("service update", "churn --ct c --worker-count 2")
    assert make_changed_config(update, DeployConfig("Local"), notes.append) == DeployConfig(
        "Local", {"worker_count": 2}
    )
    assert notes == ["note: --compute-target is not used: it names a cluster, for a service on AKS."] * 4


def test_an_update_changes_only_what_is_named(folder: Path) -> None:
    current = DeployConfig("Local", {"port": 8890, "worker_count": 2})
    args = parse_line("service update", "churn --worker-count 3 --tag a=b")
    changed = make_changed_config(args, current)
    assert changed is not None and changed.passed == {"port": 8890, "worker_count": 3}
    assert given_metadata(args) == {"tags": {"a": "b"}}
    assert make_changed_config(parse_line("service update", "churn -m m:2"), current) is None
    (folder / "d.json").write_text('{"computeType": "aks"}')
    with pytest.raises(UsageError, match=r"d\.json is for aks"):
        make_changed_config(parse_line("service update", "churn -dc d.json"), current)


def test_inference_config_from_file_options_and_defaults(folder: Path) -> None:
    for name in ("score.py", "other.py"):
        (folder / name).write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    (folder / "i.yml").write_text("entryScript: score.py\n")
    from_file = make_inference_config(make_context(), parse_deploy("-ic i.yml"))
    assert from_file.entry_script == "score.py"
    assert make_inference_config(make_context(), parse_deploy("-ic i.yml --es other.py")).entry_script == "other.py"
    assert make_inference_config(make_context(), parse_deploy("x")) is None
    notebook = make_context(defaults={"entry_script": "other.py"})
    assert make_inference_config(notebook, parse_deploy("x")).entry_script == "other.py"
    assert make_inference_config(notebook, parse_deploy("--script score.py")).entry_script == "score.py"
    with pytest.raises(UsageError, match="entry script is missing"):
        make_inference_config(make_context(), parse_deploy("--runtime python"))


def test_an_inference_config_file_with_an_environment(folder: Path) -> None:
    (folder / "score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    (folder / "src").mkdir()
    (folder / "src" / "score.py").write_text((folder / "score.py").read_text())
    (folder / "src" / "env.yml").write_text("dependencies:\n- python=3.11\n- pip:\n  - numpy\n")
    environment = {"name": "e", "python": {"condaDependenciesFile": "env.yml"}}
    data = {"entryScript": "score.py", "sourceDirectory": "src", "environment": environment}
    (folder / "i.json").write_text(json.dumps(data))
    made = make_inference_config(make_context(), parse_deploy("-ic i.json"))
    assert made.environment.name == "e"
    assert made.environment.to_spec().pip == ["numpy"]
