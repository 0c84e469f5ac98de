"""Deployments of a migrated notebook: v1's default for keys, ACI and AKS configurations that deploy here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mldeploy_jupyter.api.webservices import (
    AciWebservice,
    AksEndpoint,
    AksWebservice,
    LocalWebservice,
    Webservice,
)
from mldeploy_jupyter.api.webservices.deploy_arguments import choose_config
from mldeploy_jupyter.api.webservices.deployments import _merge_config
from mldeploy_jupyter.api.webservices.migrated import PLACE
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core import migration
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.errors import ConfigError, TargetNotAvailable, UserErrorException, WebserviceNotFound
from mldeploy_jupyter.core.migration import Migration
from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord


@pytest.fixture(autouse=True)
def _taken_back() -> Iterator[None]:
    yield
    migration.end()


@pytest.fixture
def local() -> None:
    migration.begin(Migration(local=True))


def asks_for_key(given: Any, target: Any = None) -> bool:
    config, _ = choose_config(given, target)
    return config.resolve()["auth_enabled"] is not False


def test_without_migrate_keys_stay_on_and_nothing_is_said() -> None:
    for given in (None, LocalWebservice.deploy_configuration(), DeployConfig()):
        config, describe = choose_config(given)
        assert config == DeployConfig() and asks_for_key(given) and describe("churn") == ""


@pytest.mark.parametrize(
    ("given", "asks"),
    [
        (None, False),
        (LocalWebservice.deploy_configuration(port=8890), False),
        (LocalWebservice.deploy_configuration(auth_enabled=True), True),
        (LocalWebservice.deploy_configuration(auth_enabled=False), False),
        (LocalWebservice.deploy_configuration(primary_key="k" * 32), True),
    ],
)
def test_local_services_of_a_migrated_notebook_ask_for_no_key_unless_it_says_so(given: Any, asks: bool) -> None:
    migration.begin(Migration())
    assert asks_for_key(given) is asks


def test_a_service_with_tokens_keeps_them() -> None:
    migration.begin(Migration())
    config, describe = choose_config(LocalWebservice.deploy_configuration(token_auth_enabled=True))
    assert config.passed == {"token_auth_enabled": True} and describe("churn") == ""


def test_a_default_without_keys_is_said_and_a_wish_is_not() -> None:
    migration.begin(Migration())
    _, describe = choose_config(LocalWebservice.deploy_configuration(port=8890))
    assert describe("churn") == (
        "churn asks for no key, as in v1: pass auth_enabled=True to its deploy_configuration(...) to ask for one."
    )
    _, describe = choose_config(LocalWebservice.deploy_configuration(auth_enabled=False))
    assert describe("churn") == ""


@pytest.mark.parametrize(
    ("given", "target", "place", "asks"),
    [
        (None, None, "ACI", False),
        (None, object(), "AKS", True),
        (AciWebservice.deploy_configuration(), None, "ACI", False),
        (AciWebservice.deploy_configuration(auth_enabled=True), None, "ACI", True),
        (AksWebservice.deploy_configuration(), object(), "AKS", True),
        (AksWebservice.deploy_configuration(auth_enabled=False), object(), "AKS", False),
        (AksEndpoint.deploy_configuration(version_name="blue"), object(), "AKSENDPOINT", True),
        (LocalWebservice.deploy_configuration(), None, "", False),
    ],
)
def test_with_local_this_machine_stands_in_with_v1s_default_for_keys(
    local: None, given: Any, target: Any, place: str, asks: bool
) -> None:
    config, _ = choose_config(given, target)
    assert (config.compute_type, config.in_place_of) == ("Local", place)
    assert config.passed.get("properties", {}) == ({PLACE: place} if place else {})
    assert asks_for_key(given, target) is asks
    config.validate()


def test_what_means_the_same_here_is_used_and_the_rest_is_kept_and_said(local: None) -> None:
    given = AksWebservice.deploy_configuration(
        num_replicas=3,
        cpu_cores=0.5,
        scoring_timeout_ms=2000,
        memory_gb_limit=2,
        tags={"a": "b"},
        properties={"p": "q"},
    )
    config, describe = choose_config(given, object())
    assert config.passed == {
        "scoring_timeout_ms": 2000,
        "memory_gb_limit": 2,
        "tags": {"a": "b"},
        "properties": {"p": "q", PLACE: "AKS"},
    }
    assert config.kept == {"num_replicas": 3, "cpu_cores": 0.5}
    assert describe("churn") == (
        "churn is deployed to this machine instead of AKS and asks for a key; "
        "without effect here: num_replicas, cpu_cores."
    )
    assert DeployConfig.from_dict(config.to_dict()) == config


def test_what_is_kept_has_no_key_in_it(local: None) -> None:
    given = AciWebservice.deploy_configuration(cpu_cores=1, primary_key="k" * 32, auth_enabled=True)
    config, _ = choose_config(given)
    assert "k" * 32 not in str(config.to_dict()) and config.secrets() == {"primary_key": "k" * 32}


def test_settings_of_the_cloud_are_checked(local: None) -> None:
    given = AciWebservice.deploy_configuration()
    given.cpu_cores = -1
    with pytest.raises(ConfigError, match="cpu_cores is -1"):
        choose_config(given)


def test_without_local_a_cluster_is_refused() -> None:
    migration.begin(Migration())
    with pytest.raises(TargetNotAvailable, match="deployment_target is not in this version"):
        choose_config(None, object())
    config, _ = choose_config(AciWebservice.deploy_configuration())
    assert config.target == "aci"


@pytest.fixture
def stand_in(folder: Any) -> Workspace:
    """A workspace with `aci`, a service of this machine that stands in for one on ACI."""
    workspace = Workspace.create("test")
    store = workspace.folder.open_store()
    store.save_service(ServiceRecord(name="aci", state="Live", revision=1, properties={PLACE: "ACI"}))
    store.add_revision(RevisionRecord(service="aci", models=["m:1"], outcome="live"))
    store.save_service(ServiceRecord(name="here", state="Live", revision=1))
    return workspace


def test_a_stand_in_is_found_as_a_service_of_its_target(stand_in: Workspace) -> None:
    for found in (Webservice(stand_in, "aci"), AciWebservice(stand_in, "aci"), stand_in.webservices["aci"]):
        assert type(found) is AciWebservice and found.compute_type == "ACI" and found.record.compute_type == "Local"
    assert [service.name for service in AciWebservice.list(stand_in)] == ["aci"]
    assert [service.name for service in Webservice.list(stand_in, compute_type="ACI")] == ["aci"]
    assert [service.name for service in Webservice.list(stand_in, compute_type="Local")] == ["here"]
    with pytest.raises(WebserviceNotFound, match="aci is not a AksWebservice"):
        AksWebservice(stand_in, "aci")


def revision_of(given: Any) -> RevisionRecord:
    migration.begin(Migration(local=True))
    config, _ = choose_config(given)
    migration.end()
    return RevisionRecord(service="aci", deploy_config=config.to_dict())


def test_an_update_takes_the_settings_of_the_target_in_whose_place_it_is() -> None:
    live = revision_of(AciWebservice.deploy_configuration(cpu_cores=1))
    changed = _merge_config(live, None, {"enable_app_insights": True, "auth_enabled": True})
    assert changed.kept == {"cpu_cores": 1, "enable_app_insights": True}
    assert (changed.passed["auth_enabled"], changed.in_place_of) == (True, "ACI")
    changed = _merge_config(live, AciWebservice.deploy_configuration(memory_gb=2).config, {})
    assert changed.kept == {"memory_gb": 2} and changed.passed["auth_enabled"] is False
    changed = _merge_config(live, DeployConfig("Local", {"worker_count": 2}), {})
    assert (changed.passed["worker_count"], changed.kept) == (2, {"cpu_cores": 1})


def test_an_update_checks_the_settings_of_the_target_in_whose_place_it_is() -> None:
    live = revision_of(AciWebservice.deploy_configuration())
    with pytest.raises(ConfigError, match="ssl_cert_pem_file is missing"):
        _merge_config(live, None, {"ssl_enabled": True})
    with pytest.raises(ConfigError, match="num_replicas is not a parameter"):
        _merge_config(live, None, {"num_replicas": 2})
    with pytest.raises(UserErrorException, match="cannot move a service to another target"):
        _merge_config(live, AksWebservice.deploy_configuration().config, {})


def test_a_damaged_place_is_read_as_none() -> None:
    for damage in ({"in_place_of": "Mars", "kept": {}}, {"in_place_of": ["ACI"]}, {"in_place_of": "ACI", "kept": 3}):
        assert DeployConfig.from_dict({"compute_type": "Local", "passed": {}, **damage}) == DeployConfig()
