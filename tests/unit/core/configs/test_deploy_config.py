"""Every check of a deploy configuration, with its message; what was passed, and what the target then does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.api.webservices import deploy_configuration as api
from mldeploy_jupyter.core.configs import SPECS, ConfigViolations, DeployConfig, find_spec, make_config
from mldeploy_jupyter.core.errors import ConfigError

LONG = "a" * 64
# Every violation of the reference's section 3, by target: the id, then what is passed.
LOCAL: dict[str, dict[str, Any]] = {
    "port below": {"port": -1},
    "port above": {"port": 65536},
    "port string": {"port": "8890"},
    "port text": {"port": "http"},
    "port bool": {"port": True},
    "port float": {"port": 80.5},
    "auth word": {"auth_enabled": "yes"},
    "init_timeout": {"init_timeout": 0},
    "init_timeout years": {"init_timeout": 10**9},
    "scoring_timeout_ms years": {"scoring_timeout_ms": 10**18},
    "scoring_timeout_ms": {"scoring_timeout_ms": 0},
    "worker_count": {"worker_count": 0},
    "max_request_body_mb": {"max_request_body_mb": 0},
    "max_batch_size": {"max_batch_size": -1},
    "max_batch_size text": {"max_batch_size": "32"},
    "memory_gb_limit": {"memory_gb_limit": -1},
    "max_requests_per_worker": {"max_requests_per_worker": -1},
    "max_queue_length": {"max_queue_length": 0},
    "max_request_wait_time": {"max_request_wait_time": 0},
    "tracing": {"tracing": "jaeger"},
    "two kinds of auth": {"auth_enabled": True, "token_auth_enabled": True},
    "cors string": {"cors_origins": "https://a.example"},
    "environment_variables": {"environment_variables": {"A": 1}},
    "environment name": {"environment_variables": {"A=B": "1"}},
    "environment name with NUL": {"environment_variables": {"A\0": "1"}},
    "environment value with NUL": {"environment_variables": {"A": "1\0"}},
    "environment value with an unpaired surrogate": {"environment_variables": {"A": "\ud800"}},
    "key with space": {"primary_key": "a b"},
    "key empty": {"primary_key": ""},
    "secondary alone": {"secondary_key": "abc"},
    "tags list": {"tags": ["a"]},
    "tags not json": {"tags": {"a": {1, 2}}},
    "unknown": {"prot": 8890},
    "unknown far": {"zzz": 1},
}
ACI: dict[str, dict[str, Any]] = {
    "cpu zero": {"cpu_cores": 0},
    "cpu negative": {"cpu_cores": -0.5},
    "cpu string": {"cpu_cores": "1"},
    "cpu bool": {"cpu_cores": True},
    "cpu nan": {"cpu_cores": float("nan")},
    "memory zero": {"memory_gb": 0},
    "memory string": {"memory_gb": "1GB"},
    "ssl nothing": {"ssl_enabled": True},
    "ssl no cname": {"ssl_enabled": True, "ssl_cert_pem_file": "cert.pem", "ssl_key_pem_file": "key.pem"},
    "ssl no files": {
        "ssl_enabled": True,
        "ssl_cert_pem_file": "c.pem",
        "ssl_key_pem_file": "k.pem",
        "ssl_cname": "a.b",
    },
    "ssl empty path": {"ssl_enabled": True, "ssl_cert_pem_file": "", "ssl_key_pem_file": "key.pem", "ssl_cname": "a.b"},
    "secondary alone": {"secondary_key": "abc"},
    "keys equal": {"primary_key": "abc", "secondary_key": "abc"},
    "vnet empty": {"vnet_name": "", "subnet_name": "s"},
    "ssl empty name": {"ssl_enabled": True, "ssl_cert_pem_file": "", "ssl_key_pem_file": "", "ssl_cname": ""},
    "cmk url": {"cmk_vault_base_url": "https://v"},
    "cmk two": {"cmk_vault_base_url": "https://v", "cmk_key_name": "k"},
    "vnet alone": {"vnet_name": "v"},
    "subnet alone": {"subnet_name": "s"},
    "location number": {"location": 3},
    "many at once": {"cpu_cores": 0, "memory_gb": "2", "vnet_name": "v", "cmk_key_name": "k", "tags": 3},
}
POSITIVE = (
    "cpu_cores",
    "memory_gb",
    "scoring_timeout_ms",
    "replica_max_concurrent_requests",
    "max_request_wait_time",
    "num_replicas",
    "period_seconds",
    "initial_delay_seconds",
    "timeout_seconds",
    "success_threshold",
    "failure_threshold",
    "cpu_cores_limit",
    "memory_gb_limit",
)
AUTOSCALE = (
    "autoscale_min_replicas",
    "autoscale_max_replicas",
    "autoscale_refresh_seconds",
    "autoscale_target_utilization",
)
AKS: dict[str, dict[str, Any]] = {
    **{f"{name} zero": {name: 0} for name in POSITIVE},
    **{f"{name} zero": {"autoscale_enabled": True, name: 0} for name in AUTOSCALE},
    **{f"{name} alone": {name: 2} for name in AUTOSCALE},
    "autoscale off, max": {"autoscale_enabled": False, "num_replicas": 2, "autoscale_max_replicas": 3},
    "autoscale on, replicas": {"autoscale_enabled": True, "num_replicas": 2},
    "autoscale off, no replicas": {"autoscale_enabled": False},
    "min above max": {"autoscale_enabled": True, "autoscale_min_replicas": 5, "autoscale_max_replicas": 2},
    "gpu negative": {"gpu_cores": -1},
    "gpu fraction": {"gpu_cores": 0.5},
    "cpu limit": {"cpu_cores": 2, "cpu_cores_limit": 1},
    "memory limit": {"memory_gb": 2.5, "memory_gb_limit": 1},
    "namespace upper": {"namespace": "Prod"},
    "namespace dash": {"namespace": "-prod"},
    "namespace long": {"namespace": LONG},
    "namespace empty": {"namespace": ""},
    "key and token": {"auth_enabled": True, "token_auth_enabled": True},
    "secondary alone": {"secondary_key": "abc"},
    "replicas float": {"num_replicas": 1.5},
    "many at once": {"cpu_cores": 0, "gpu_cores": -1, "namespace": "A", "autoscale_min_replicas": 2},
}
ENDPOINT: dict[str, dict[str, Any]] = {
    "version upper": {"version_name": "V1"},
    "version short": {"version_name": "ab"},
    "version long": {"version_name": "a" * 33},
    "version dash": {"version_name": "abc-"},
    "traffic below": {"traffic_percentile": -1},
    "traffic above": {"traffic_percentile": 100.5},
    "traffic string": {"traffic_percentile": "50"},
    "aks rule": {"autoscale_enabled": False},
}
FACTORIES = {
    "Local": api.local_configuration,
    "ACI": api.aci_configuration,
    "AKS": api.aks_configuration,
    "AKSENDPOINT": api.aks_endpoint_configuration,
}
CASES = [
    pytest.param(kind, passed, id=f"{kind}: {name}")
    for kind, table in (("Local", LOCAL), ("ACI", ACI), ("AKS", AKS), ("AKSENDPOINT", ENDPOINT))
    for name, passed in table.items()
]


@pytest.mark.parametrize(("kind", "passed"), CASES)
def test_every_violation_and_its_message(
    kind: str, passed: dict[str, Any], snapshot: SnapshotAssertion, folder: Path
) -> None:
    (folder / "cert.pem").write_text("cert")
    (folder / "key.pem").write_text("key")
    with pytest.raises(ConfigError) as caught:
        FACTORIES[kind](**passed)
    assert str(caught.value) == snapshot


@pytest.mark.parametrize(
    ("kind", "passed"),
    [
        ("Local", {}),
        ("Local", {"port": 0}),
        ("Local", {"port": None}),
        ("Local", {"token_auth_enabled": True, "auth_enabled": False, "tracing": "otlp", "max_batch_size": 0}),
        ("Local", {"port": 65535, "primary_key": "a", "secondary_key": "b"}),
        ("ACI", {}),
        ("ACI", {"cpu_cores": 1e6, "memory_gb": 1e6}),  # v1 has no upper bound
        ("ACI", {"ssl_cert_pem_file": "nowhere.pem"}),  # asked for only when ssl_enabled
        ("ACI", {"vnet_name": "v", "subnet_name": "s"}),
        ("AKS", {"num_replicas": 3}),
        ("AKS", {"autoscale_enabled": False, "num_replicas": 1}),
        ("AKS", {"autoscale_enabled": True, "autoscale_target_utilization": 500}),  # no upper bound in v1
        ("AKS", {"cpu_cores_limit": 0.05}),  # the request was not passed, so there is nothing to compare
        ("AKS", {"token_auth_enabled": True}),
        ("AKS", {"namespace": "a"}),
        ("AKS", {"namespace": "a" * 63, "gpu_cores": 0}),
        ("AKSENDPOINT", {"version_name": "abc", "traffic_percentile": 0}),
        ("AKSENDPOINT", {"traffic_percentile": 100}),
    ],
)
def test_values_that_v1_accepts_are_accepted(kind: str, passed: dict[str, Any]) -> None:
    config = FACTORIES[kind](**passed)
    assert config.config.passed == {name: value for name, value in passed.items() if value is not None}
    config.validate_configuration()


def test_secrets_are_in_no_message_and_no_saved_form() -> None:
    config = make_config("Local", {"primary_key": "s3cr3t-key", "port": "x"})
    with pytest.raises(ConfigViolations) as caught:
        config.validate()
    with pytest.raises(ConfigViolations) as bad_key:
        make_config("Local", {"primary_key": "bad key s3cr3t"}).validate()
    shown: list[str] = []
    api.from_data(make_config("Local", {"primary_key": "s3cr3t-key"})).print_deploy_configuration(shown.append)
    for text in (str(caught.value), str(bad_key.value), repr(config), json.dumps(config.to_dict()), *shown):
        assert "s3cr3t" not in text
    variables = make_config("Local", {"environment_variables": {"TOKEN": "s3cr3t"}})
    assert repr(variables) == "LocalWebservice.deploy_configuration(environment_variables={'TOKEN': '***'})"
    assert config.to_dict(include_secrets=True)["passed"]["primary_key"] == "s3cr3t-key"
    assert config.secrets() == {"primary_key": "s3cr3t-key"}


def test_violations_as_data() -> None:
    with pytest.raises(ConfigViolations) as caught:
        api.aci_configuration(cpu_cores=0, vnet_name="v")
    assert caught.value.as_dict()["violations"] == [
        {"field": "cpu_cores", "value": "0", "limit": "must be greater than 0"},
        {"field": "subnet_name", "value": "missing", "limit": "must be given together with vnet_name"},
    ]


@pytest.mark.parametrize("kind", SPECS)
def test_the_documented_defaults(kind: str, snapshot: SnapshotAssertion) -> None:
    assert DeployConfig(kind).resolve() == snapshot


def test_defaults_depend_on_what_was_passed() -> None:
    assert DeployConfig("AKS", {"num_replicas": 2}).resolve()["autoscale_enabled"] is False
    assert DeployConfig("AKS").resolve()["autoscale_enabled"] is True
    assert DeployConfig("AKS", {"token_auth_enabled": True}).resolve()["auth_enabled"] is False
    assert all(DeployConfig(kind).resolve()["auth_enabled"] is True for kind in SPECS)


def test_changing_a_resolved_default_changes_no_other() -> None:
    DeployConfig("Local").resolve()["tags"]["a"] = 1
    assert DeployConfig("Local").resolve()["tags"] == {}


@pytest.mark.parametrize("kind", SPECS)
def test_data_form_round_trip(kind: str) -> None:
    config = make_config(kind, {"tags": {"a": "b"}, "description": "d"})
    assert DeployConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    newer = {"compute_type": kind, "passed": {"description": "d", "from_the_future": 1}}
    assert DeployConfig.from_dict(newer).passed == {"description": "d"}


def test_positional_arguments() -> None:
    config = api.aci_configuration(2, 4.5, {"a": "b"})
    assert (config.cpu_cores, config.memory_gb, config.tags) == (2, 4.5, {"a": "b"})  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="cpu_cores twice"):
        api.aci_configuration(2, cpu_cores=3)
    too_many = len(find_spec("local").fields) + 1
    with pytest.raises(ConfigError, match=f"{too_many} positional values"):
        api.local_configuration(*([None] * too_many))


def test_settings_are_attributes_and_can_be_changed() -> None:
    config: Any = api.local_configuration(port=8890)
    assert config.port == 8890
    assert config.worker_count is None
    config.port = "8891"
    with pytest.raises(ConfigError):
        config.validate_configuration()
    config.port = None
    assert config.config.passed == {}
    with pytest.raises(ConfigError, match="prot"):
        config.prot = 1


def test_classes_are_v1s() -> None:
    made = {type(FACTORIES[kind]()).__name__ for kind in SPECS}
    assert made == {
        "LocalWebserviceDeploymentConfiguration",
        "AciServiceDeploymentConfiguration",
        "AksServiceDeploymentConfiguration",
        "AksEndpointDeploymentConfiguration",
    }
    assert isinstance(api.aks_endpoint_configuration(), api.AksServiceDeploymentConfiguration)


def test_numpy_and_path_values_are_plain_afterwards(tmp_path: Path) -> None:
    config = make_config(
        "ACI", {"cpu_cores": np.float32(0.5), "ssl_enabled": np.bool_(False), "ssl_cert_pem_file": tmp_path}
    )
    config.validate()
    assert json.loads(json.dumps(config.to_dict()))["passed"]["ssl_enabled"] is False
    assert config.passed["ssl_cert_pem_file"] == str(tmp_path)
    assert make_config("Local", {"port": np.int64(8890)}).passed["port"] == 8890


def test_an_unknown_compute_type_is_refused(snapshot: SnapshotAssertion) -> None:
    with pytest.raises(ConfigError) as caught:
        find_spec("azk")
    assert str(caught.value) == snapshot
    assert find_spec("aKsEnDpOiNt").compute_type == "AKSENDPOINT"


def test_flags_are_unique_within_a_target() -> None:
    for spec in SPECS.values():
        flags = [flag for field in spec.fields for flag in field.flags]
        assert len(flags) == len(set(flags))
        paths = [field.file for field in spec.fields if field.file]
        assert len(paths) == len(set(paths))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(list(SPECS)), st.data())
def test_any_value_is_valid_or_a_config_error(kind: str, data: st.DataObject) -> None:
    names = list(SPECS[kind].by_name)
    passed = data.draw(st.dictionaries(st.sampled_from(names), anything, max_size=4))
    config = make_config(kind, passed)
    try:
        config.validate()
    except ConfigError as error:
        assert str(error).count("\n") >= 2
        return
    # What passed the checks can be written and read back.
    assert DeployConfig.from_dict(json.loads(json.dumps(config.to_dict(include_secrets=True)))) == config


def test_turning_keys_or_tokens_on_drops_the_other() -> None:
    keys = DeployConfig("Local", {"auth_enabled": True, "port": 1})
    tokens = keys.with_settings(token_auth_enabled=True)
    assert tokens.passed == {"port": 1, "token_auth_enabled": True}
    assert tokens.with_settings(auth_enabled=True).passed == {"port": 1, "auth_enabled": True}
    assert tokens.with_settings(auth_enabled=False).passed["token_auth_enabled"] is True
    with pytest.raises(ConfigViolations):
        keys.with_settings(auth_enabled=True, token_auth_enabled=True).validate()
