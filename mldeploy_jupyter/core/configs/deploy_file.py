"""Reads `deploymentconfig.json` (or YAML) into a `DeployConfig`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.configs.config_file import (
    FileProblems,
    Note,
    Problem,
    check_keys,
    make_file_spelling,
    read_mapping,
    resolve_beside,
    type_word,
    warn,
)
from mldeploy_jupyter.core.configs.config_spec import ConfigSpec
from mldeploy_jupyter.core.configs.deploy_config import SPECS, DeployConfig, find_spec, make_config
from mldeploy_jupyter.core.configs.fields import Spelling, describe
from mldeploy_jupyter.core.errors import ConfigError

# Keys that users write by mistake, and the keys they mean.
MISPLACED = {
    "enableAppInsights": "appInsightsEnabled",
    "containerResourceRequirements.gpu": "gpuCores",
    "containerResourceRequirements.gpuCores": "gpuCores",
    "containerResourceRequirements.memory": "containerResourceRequirements.memoryInGB",
    "cpu": "containerResourceRequirements.cpu",
    "cpuCores": "containerResourceRequirements.cpu",
    "memoryInGB": "containerResourceRequirements.memoryInGB",
    "memoryGb": "containerResourceRequirements.memoryInGB",
    "sslEnable": "sslEnabled",
    "sslCname": "cname",
    "aadAuthEnabled": "tokenAuthEnabled",
    "primaryKey": "keys.primaryKey",
    "secondaryKey": "keys.secondaryKey",
    "autoscaleEnabled": "autoScaler.autoscaleEnabled",
    "periodSeconds": "livenessProbeRequirements.periodSeconds",
}


def read_deploy_config(path: str | Path, *, note: Note = warn) -> DeployConfig:
    """The configuration in a file. Raises `ConfigError`, with the path of everything that is wrong.

    `note` gets a line for each unknown key of a file that is v1's: v1 ignored them.
    """
    config, problems = read_deploy_file(path, note)
    raise_problems(path, config, problems, make_file_spelling(paths_in_file(config.spec)))
    return config


def read_deploy_file(path: str | Path, note: Note) -> tuple[DeployConfig, list[Problem]]:
    """The configuration in a file with its values unchecked, and what is wrong with the file's keys.

    An unknown key is wrong in a file of ours; of one that is v1's, `note` gets a line.

    For callers that replace values by flags before they call `raise_problems`. null means not given. Relative paths of
    certificates are resolved by `resolve_beside`. Raises `ConfigError` when the file cannot be read or has no valid
    `computeType`.
    """
    path = Path(path)
    data = read_mapping(path)
    spec = _find_spec(path, data)
    problems: list[Problem] = []
    passed = _flatten(spec, data, problems)
    if _is_v1(spec, data, problems):
        for problem in problems:
            if problem.unknown:
                note(problem.as_note(path))
        problems = [problem for problem in problems if not problem.unknown]
    for name in ("ssl_cert_pem_file", "ssl_key_pem_file"):
        if isinstance(passed.get(name), str) and passed[name]:
            passed[name] = resolve_beside(passed[name], path)
    return make_config(spec.compute_type, passed), problems


def raise_problems(path: str | Path, config: DeployConfig, problems: list[Problem], spelling: Spelling) -> None:
    """Raises `ConfigError` if there are problems with keys or violations of values; `spelling` names the settings."""
    found = [*problems]
    for violation in config.violations():
        text = describe(violation, spelling).removeprefix(spelling.name(violation.field)).lstrip()
        found.append(Problem(spelling.name(violation.field), text, spelling.fill(violation.fix)))
    if found:
        raise FileProblems(Path(path), found)


def paths_in_file(spec: ConfigSpec) -> dict[str, str]:
    """Name in Python -> path in the file, for the settings that the file may have."""
    return {field.name: field.file for field in spec.fields if field.file}


def _is_v1(spec: ConfigSpec, data: dict[str, Any], problems: list[Problem]) -> bool:
    """Whether the file was written for v1, which ignored unknown keys.

    One for Azure was: this package adds no key to those. One for the local target is ours when it has a key that v1's
    files never had, or a key that resembles one that v1's local target did not read.
    """
    if spec is not SPECS["Local"]:
        return True
    azure = {path for other in SPECS.values() if other is not spec for path in paths_in_file(other).values()}
    own = {path for path in paths_in_file(spec).values() if path != "port" and path not in azure}
    return not (own & data.keys()) and all(problem.meant in ("", "port", "computeType") for problem in problems)


def _find_spec(path: Path, data: dict[str, Any]) -> ConfigSpec:
    word = data.get("computeType")
    if not isinstance(word, str):
        text = "is missing" if word is None else f"is {type_word(word)}; it must be a string"
        near = (
            [p.fix for p in check_keys(data, ["computeType"], "", {}) if "instead of" in p.fix] if word is None else []
        )
        raise FileProblems(
            path, [Problem("computeType", text, (near or ["write computeType: local, aci, aks or aksendpoint"])[0])]
        )
    try:
        return find_spec(word)
    except ConfigError as error:
        raise FileProblems(
            path, [Problem("computeType", f"is {word!r}, which is not a compute type", error.hint)]
        ) from None


def _fixes_for_other_keys(spec: ConfigSpec) -> dict[str, str]:
    """The advice for keys that the file of this target may not have: other targets' keys, and options."""
    owners: dict[str, list[str]] = {}
    for other in SPECS.values():
        for path in {part for field in other.fields for part in (field.file, field.file.rpartition(".")[0]) if part}:
            owners.setdefault(path, []).append(other.compute_type.lower())
    meant = {**{path: path for path in owners}, **MISPLACED}
    target = spec.compute_type.lower()
    fixes = {}
    for path, right in meant.items():
        if target not in owners[right]:
            there = ", ".join(owners[right])
            why = f"{target} has no setting {right}" if right != path else f"it is not a setting of {target}"
            fixes[path] = f"remove {path}: {why}; {there} {'have' if ',' in there else 'has'} it"
    for field in spec.fields:
        if not field.file:  # settings that v1's file does not have
            key = re.sub(r"_(.)", lambda match: match[1].upper(), field.name)
            fixes[key] = f"remove {key} from the file, and add the option {max(field.flags, key=len)}"
    return fixes


def _flatten(spec: ConfigSpec, data: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """The file's values by their name in Python. Adds unknown keys and wrong nesting to `problems`."""
    by_path = {field.file: field.name for field in spec.fields if field.file}
    groups: dict[str, list[str]] = {"": ["computeType"]}
    for file_path in by_path:
        group, _, leaf = file_path.rpartition(".")
        groups.setdefault(group, []).append(leaf)
    groups[""] += [group for group in groups if group]
    hints = {wrong: right for wrong, right in MISPLACED.items() if right in by_path}
    elsewhere = _fixes_for_other_keys(spec)
    problems.extend(check_keys(data, groups[""], "", hints, elsewhere))
    passed: dict[str, Any] = {}
    for group, leaves in groups.items():
        values = data if not group else data.get(group)
        if values is None:
            continue
        if not isinstance(values, dict):
            problems.append(
                Problem(group, f"is {type_word(values)}; it must be an object", f"write {group}: {{{leaves[0]}: ...}}")
            )
            continue
        if group:
            problems.extend(check_keys(values, leaves, f"{group}.", hints, elsewhere))
        for leaf in leaves:
            name = by_path.get(f"{group}.{leaf}" if group else leaf)
            if name and values.get(leaf) is not None:
                passed[name] = values[leaf]
    return passed
