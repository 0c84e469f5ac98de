"""The signature and the docstring of every `deploy_configuration`."""

from __future__ import annotations

import inspect

import pytest

from mldeploy_jupyter.api.webservices import deploy_configuration as api
from mldeploy_jupyter.core.configs import SPECS, signature_of

from .test_deploy_config import AUTOSCALE, FACTORIES


def test_the_signature_is_v1s() -> None:
    aci = list(inspect.signature(api.aci_configuration).parameters)
    assert aci[:7] == ["cpu_cores", "memory_gb", "tags", "properties", "description", "location", "auth_enabled"]
    assert aci[-4:] == ["cmk_key_name", "cmk_key_version", "vnet_name", "subnet_name"]
    aks = list(inspect.signature(api.aks_configuration).parameters)
    assert aks[:8] == ["autoscale_enabled", *AUTOSCALE, "collect_model_data", "auth_enabled", "cpu_cores"]
    assert aks[-5:] == [
        "token_auth_enabled",
        "compute_target_name",
        "cpu_cores_limit",
        "memory_gb_limit",
        "blobfuse_enabled",
    ]
    assert next(iter(inspect.signature(api.local_configuration).parameters)) == "port"
    assert all(p.default is None for spec in SPECS.values() for p in signature_of(spec).parameters.values())


@pytest.mark.parametrize("kind", SPECS)
def test_the_docstring_names_every_setting(kind: str) -> None:
    text = FACTORIES[kind].__doc__ or ""
    for field in SPECS[kind].fields:
        assert f"{field.name} : " in text
        assert field.doc.endswith(".")
