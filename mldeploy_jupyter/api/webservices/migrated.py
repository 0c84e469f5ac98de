"""Deployments of a migrated notebook: v1's defaults for keys, and ACI and AKS configurations that deploy here.

A service that is deployed here instead of to ACI or AKS is a local one. Its property `PLACE` has v1's compute type, so
that it is found as an `AciWebservice` or `AksWebservice`; settings that mean nothing here are kept in its revisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mldeploy_jupyter.core import migration
from mldeploy_jupyter.core.configs import METADATA, SPECS, DeployConfig, make_config
from mldeploy_jupyter.core.records import ServiceRecord

PLACE = "mldeploy.inPlaceOf"  # property of a service: the compute type that v1 would have deployed it to

# Settings of v1's targets that mean the same for a process of this machine.
_SAME = (
    *("auth_enabled", "token_auth_enabled", "primary_key", "secondary_key", *METADATA),
    *("scoring_timeout_ms", "max_request_wait_time", "memory_gb_limit"),
)


def compute_type_of(record: ServiceRecord) -> str:
    """v1's compute type of a service: that of the target in whose place it is deployed here, else its own."""
    place = record.properties.get(PLACE)
    return place if isinstance(place, str) and place in SPECS else record.compute_type


def with_v1_defaults(given: DeployConfig | None, deployment_target: Any = None) -> DeployConfig:
    """The configuration that a deployment uses: `given`, in a migrated notebook with v1's default for keys.

    With `migrate(local=True)` one of ACI or AKS becomes one of this machine, and None means ACI, or AKS with a cluster,
    as in v1. Raises `ConfigError` when its settings break a rule of its own target.
    """
    if migration.current() is None:
        return given or DeployConfig()
    if given is None and migration.is_local():
        given = DeployConfig("ACI" if deployment_target is None else "AKS")
    config = given or DeployConfig()
    if config.compute_type != "Local" and migration.is_local():
        config = to_local(config)
    asks = any(config.passed.get(name) for name in ("auth_enabled", "token_auth_enabled", "primary_key"))
    # v1's services on AKS asked for a key, all others for none.
    if config.compute_type == "Local" and not asks and config.in_place_of in ("", "ACI"):
        config = config.with_settings(auth_enabled=False)
    return config


def to_local(config: DeployConfig) -> DeployConfig:
    """A configuration of ACI or AKS as one of this machine. Raises `ConfigError` when it breaks a rule of its own."""
    config.validate()
    here, kept = _split(config.passed)
    properties = {**(here.get("properties") or {}), PLACE: config.compute_type}
    local = make_config("Local", {**here, "properties": properties})
    return replace(local, in_place_of=config.compute_type, kept=kept)


def replace_settings(config: DeployConfig, given: DeployConfig) -> DeployConfig:
    """A copy of `config` with those of another configuration, for this machine or for the target it stands in for.

    Raises `ConfigError` when these break a rule of that target.
    """
    if given.compute_type == config.compute_type:
        return config.with_settings(**given.passed)
    given.validate()
    here, kept = _split(given.passed)
    return replace(config.with_settings(**here), kept=kept)


def change_settings(config: DeployConfig, settings: Mapping[str, Any]) -> DeployConfig:
    """A copy of `config` with single settings; those that only the target has for which it stands in are kept.

    Raises `ConfigError` when they break a rule of that target.
    """
    spec = SPECS.get(config.in_place_of)
    if spec is None:
        return config.with_settings(**settings)
    _, kept = _split({name: value for name, value in settings.items() if name in spec.by_name})
    if kept:
        config = replace(config, kept={**config.kept, **kept})
        DeployConfig(spec.compute_type, config.kept).validate()
    return config.with_settings(**{name: value for name, value in settings.items() if name not in kept})


def _split(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of ACI or AKS: those that mean the same on this machine, and the others."""
    here = {name: value for name, value in settings.items() if name in _SAME}
    return here, {name: value for name, value in settings.items() if name not in _SAME}


def describe(name: str, given: DeployConfig | None, used: DeployConfig) -> str:
    """What `with_v1_defaults` has made of a configuration, in a line; "" when nothing."""
    open_by_default = used.passed.get("auth_enabled") is False and (given is None or "auth_enabled" not in given.passed)
    if used.in_place_of:
        asks = used.passed.get("auth_enabled") is not False
        key = f"asks for {'a token' if used.passed.get('token_auth_enabled') else 'a key' if asks else 'no key'}"
        note = f"{name} is deployed to this machine instead of {used.in_place_of} and {key}"
        return f"{note}; without effect here: {', '.join(used.kept)}." if used.kept else f"{note}."
    if open_by_default and migration.current() is not None:
        return (
            f"{name} asks for no key, as in v1: pass auth_enabled=True to its deploy_configuration(...) to ask for one."
        )
    return ""


def describe_kept(name: str, config: DeployConfig, given: Mapping[str, Any]) -> str:
    """Which of the settings of an update mean nothing here, in a line; "" when all do something."""
    kept = [setting for setting in given if config.in_place_of and setting in config.kept]
    return (
        f"{name} is on this machine instead of {config.in_place_of}; without effect here: {', '.join(kept)}."
        if kept
        else ""
    )
