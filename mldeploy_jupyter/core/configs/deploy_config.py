"""`DeployConfig`: the settings that were passed for a target, checked before defaults are filled in."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mldeploy_jupyter.core.configs.aci import ACI
from mldeploy_jupyter.core.configs.aks import AKS, AKS_ENDPOINT
from mldeploy_jupyter.core.configs.config_spec import ConfigSpec
from mldeploy_jupyter.core.configs.fields import PYTHON, Spelling, Violation, check_value, describe, normalize_value
from mldeploy_jupyter.core.configs.local import LOCAL
from mldeploy_jupyter.core.errors import ConfigError

# Settings that describe the service and not one revision, so an older revision never restores them.
METADATA = ("tags", "properties", "description")

SPECS: dict[str, ConfigSpec] = {spec.compute_type: spec for spec in (LOCAL, ACI, AKS, AKS_ENDPOINT)}


class ConfigViolations(ConfigError):
    """All violations of a configuration in one error; `violations` has them as data."""

    def __init__(self, what: str, violations: list[Violation], *, spelling: Spelling = PYTHON, hint: str = "") -> None:
        why = "\n       ".join(describe(violation, spelling) for violation in violations)
        fixes = list(dict.fromkeys(spelling.fill(violation.fix) for violation in violations if violation.fix))
        super().__init__(what, why=why, hint="\n      ".join([*fixes, *([hint] if hint else [])]))
        self.violations = violations
        self._spelling = spelling

    def as_dict(self) -> dict[str, Any]:
        items = [
            {"field": self._spelling.name(v.field), "value": v.value, "limit": self._spelling.fill(v.limit)}
            for v in self.violations
        ]
        return {**super().as_dict(), "violations": items}


def passed_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in what `DeployConfig.to_dict` returned; {} where they are damaged."""
    passed = data.get("passed")
    return passed if isinstance(passed, dict) else {}


@dataclass(frozen=True, repr=False)
class DeployConfig:
    """Settings for one target. `passed` has only the values that were given; None counts as not given.

    Creating one checks nothing, so that any can be read back from the store; `validate` checks it. `in_place_of` is the
    compute type for which a configuration of this machine stands in, and `kept` the settings of that which have no
    effect here.
    """

    compute_type: str = "Local"
    passed: Mapping[str, Any] = field(default_factory=dict)
    in_place_of: str = ""
    kept: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> ConfigSpec:
        """The target's settings. Raises `ConfigError` when the compute type is unknown."""
        return find_spec(self.compute_type)

    @property
    def target(self) -> str:
        """The entry point's name: local, docker, aci or aks. With the engine auto, the one without an engine: local."""
        return "docker" if self.passed.get("engine") == "docker" else self.spec.target

    def violations(self) -> list[Violation]:
        """Everything that is wrong: with single settings, in the order of the signature, then with combinations."""
        spec = self.spec
        given = {name: value for name, value in self.passed.items() if value is not None}
        found = [unknown_field(name, spec) for name in given if name not in spec.by_name]
        for item in spec.fields:
            violation = check_value(item, given[item.name]) if item.name in given else None
            if violation is not None:
                found.append(violation)
        wrong_alone = {violation.field for violation in found}
        nonempty = {name: value for name, value in given.items() if value != ""}
        for rule in spec.rules:
            found.extend(violation for violation in rule(nonempty) if violation.field not in wrong_alone)
        return found

    def validate(self, *, spelling: Spelling = PYTHON, source: str = "") -> None:
        """Raises `ConfigViolations` if anything is wrong. `source` names the origin of the settings in the message."""
        found = self.violations()
        if found:
            count = "a value" if len(found) == 1 else f"{len(found)} values"
            raise ConfigViolations(
                f"{source or self.spec.call} has {count} that cannot be used", found, spelling=spelling
            )

    def with_settings(self, **passed: Any) -> DeployConfig:
        """A copy in which these settings replace the present ones, except those that are None.

        Keys and tokens exclude each other, so turning one on drops the setting that turned the other on.
        """
        given = {name: value for name, value in passed.items() if value is not None}
        kept = dict(self.passed)
        for one, other in (("auth_enabled", "token_auth_enabled"), ("token_auth_enabled", "auth_enabled")):
            if given.get(one) is True and other not in given and kept.get(other) is True:
                del kept[other]
        return replace(self, passed=make_config(self.compute_type, {**kept, **given}).passed)

    def without_metadata(self) -> DeployConfig:
        """A copy without tags, properties and description."""
        return replace(self, passed={name: value for name, value in self.passed.items() if name not in METADATA})

    def resolve(self) -> dict[str, Any]:
        """Every setting of the target, with its default where nothing was passed. Includes secrets."""
        resolved: dict[str, Any] = {}
        for item in self.spec.fields:
            value = self.passed.get(item.name)
            if value is None:
                value = item.derive(self.passed) if item.derive else item.default
                value = copy.deepcopy(value) if isinstance(value, dict | list) else value
            resolved[item.name] = value
        return resolved

    def secrets(self) -> dict[str, str]:
        """The secrets that were passed. They may travel through a pipe, never be written to a file."""
        return {
            item.name: self.passed[item.name] for item in self.spec.fields if item.secret and self.passed.get(item.name)
        }

    def to_dict(self, *, include_secrets: bool = False) -> dict[str, Any]:
        """The configuration as JSON data, without secrets unless `include_secrets`."""
        secret = () if include_secrets else tuple(self.secrets())
        passed = {name: copy.deepcopy(value) for name, value in self.passed.items() if name not in secret}
        place = {"in_place_of": self.in_place_of, "kept": copy.deepcopy(dict(self.kept))} if self.in_place_of else {}
        return {"compute_type": self.compute_type, "passed": passed, **place}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DeployConfig:
        """Reads what `to_dict` returned. Unknown settings are dropped, so older programs read newer data.

        What is damaged, or of a compute type that this version does not know, is read as one of the local target.
        """
        specs = {name.lower(): spec for name, spec in SPECS.items()}
        spec = specs.get(str(data.get("compute_type", "Local")).lower(), LOCAL)
        known = {name: value for name, value in passed_settings(data).items() if name in spec.by_name}
        place, kept = data.get("in_place_of"), data.get("kept")
        if isinstance(place, str) and place in SPECS and isinstance(kept, dict):
            return cls(spec.compute_type, known, place, kept)
        return cls(spec.compute_type, known)

    def format_setting(self, name: str, value: Any) -> str:
        """A value of a setting as Python code to show: secrets, values of variables and of headers are masked."""
        field = self.spec.by_name.get(name)
        if field is not None and field.secret and value:
            return "***"
        if name in ("environment_variables", "sample_headers") and isinstance(value, dict):
            return repr(dict.fromkeys(value, "***"))
        return repr(value)

    def __repr__(self) -> str:
        parts = [f"{name}={self.format_setting(name, value)}" for name, value in self.passed.items()]
        return f"{self.spec.call}({', '.join(parts)})"


def make_config(compute_type: str, passed: Mapping[str, Any]) -> DeployConfig:
    """A `DeployConfig` of normalized values, which are not checked. Raises `ConfigError` for an unknown type."""
    spec = find_spec(compute_type)
    by_name = spec.by_name
    normalized = {
        name: normalize_value(by_name[name], value) if name in by_name else value
        for name, value in passed.items()
        if value is not None
    }
    return DeployConfig(spec.compute_type, normalized)


def find_spec(compute_type: str) -> ConfigSpec:
    """The settings of a target. Raises `ConfigError` when `compute_type`, in any case, is unknown."""
    for spec in SPECS.values():
        if isinstance(compute_type, str) and spec.compute_type.lower() == compute_type.lower():
            return spec
    from difflib import get_close_matches

    near = get_close_matches(str(compute_type).lower(), [name.lower() for name in SPECS], n=1)
    words = ", ".join(name.lower() for name in SPECS)
    raise ConfigError(
        f"{compute_type!r} is not a compute type",
        why=f"the compute types are {words}",
        hint=f"use the compute type {near[0]!r}" if near else "use 'local' to run the service on this machine",
    )


def unknown_field(name: str, spec: ConfigSpec) -> Violation:
    """The violation for a setting that the target does not have."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(spec.by_name), n=1)
    fix = f"did you mean {{{near[0]}}}?" if near else f"help({spec.call}) lists every parameter"
    return Violation(name, "not a parameter", f"is not known to {spec.call}", fix)
