"""Reads `inferenceconfig.json` (or YAML), in the form of 2019 and in the later one with `environment`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.configs.config_file import (
    FileProblems,
    Note,
    Problem,
    check_keys,
    read_mapping,
    resolve_beside,
    type_word,
    warn,
)

REGISTRY = {"address": "string", "username": "string", "password": "string", "registryIdentity": "any"}

# Key -> the type of its value, or the keys of an object.
ENVIRONMENT: dict[str, Any] = {
    "name": "string",
    "version": "string or integer",
    "assetId": "string",
    "autoRebuild": "boolean",
    "environmentVariables": "strings by name",
    "python": {
        "interpreterPath": "string",
        "userManagedDependencies": "boolean",
        "condaDependencies": "conda",
        "condaDependenciesFile": "string",
        "baseCondaEnvironment": "string",
    },
    "docker": {
        "baseImage": "string",
        "baseDockerfile": "string",
        "buildContext": "string",
        "baseImageRegistry": "registry",
        "enabled": "boolean",
        "arguments": "list",
        "sharedVolumes": "boolean",
        "gpuSupport": "boolean",
        "shmSize": "string",
        "platform": {"os": "string", "architecture": "string"},
    },
    "spark": {"repositories": "list", "packages": "list", "precachePackages": "boolean"},
    "databricks": {
        "mavenLibraries": "list",
        "pypiLibraries": "list",
        "rcranLibraries": "list",
        "jarLibraries": "list",
        "eggLibraries": "list",
    },
    "inferencingStackVersion": "string",
    "r": "any",
}
CONDA: dict[str, Any] = {"name": "string", "channels": "list", "dependencies": "list", "variables": "strings by name"}
INFERENCE: dict[str, Any] = {
    "entryScript": "string",
    "runtime": "string",
    "condaFile": "string",
    "extraDockerFileSteps": "string",
    "extraDockerfileSteps": "string",  # so in an example in the documentation of 2019
    "sourceDirectory": "string",
    "enableGpu": "boolean",
    "baseImage": "string",
    "baseImageRegistry": "registry",
    "cudaVersion": "string or number",
    "description": "string",
    "environment": ENVIRONMENT,
}

# Key of the file -> parameter of `InferenceConfig`.
PARAMETERS = {
    "entryScript": "entry_script",
    "runtime": "runtime",
    "condaFile": "conda_file",
    "extraDockerFileSteps": "extra_docker_file_steps",
    "extraDockerfileSteps": "extra_docker_file_steps",
    "sourceDirectory": "source_directory",
    "enableGpu": "enable_gpu",
    "baseImage": "base_image",
    "baseImageRegistry": "base_image_registry",
    "cudaVersion": "cuda_version",
    "description": "description",
    "environment": "environment",
}
# Keys of the form of 2019, which the later form replaces by `environment`.
KEYS_OF_2019 = (
    "runtime",
    "condaFile",
    "extraDockerFileSteps",
    "extraDockerfileSteps",
    "enableGpu",
    "baseImage",
    "cudaVersion",
)
# Keys of v1's first files, which are no longer read, and their replacement.
FORMER = {
    "schemaFile": "the script describes the input of run() with @input_schema",
    "dependencies": "a service gets every file of sourceDirectory",
}
MISPLACED = {
    "script": "entryScript",
    "scoringScript": "entryScript",
    "condaDependencies": "environment.python.condaDependencies",
    "condaDependenciesFile": "environment.python.condaDependenciesFile",
    "environmentVariables": "environment.environmentVariables",
    "environment.condaDependencies": "environment.python.condaDependencies",
    "environment.condaFile": "environment.python.condaDependenciesFile",
    "environment.baseImage": "environment.docker.baseImage",
}


def read_inference_config(path: str | Path, *, need_script: bool = True, note: Note = warn) -> dict[str, Any]:
    """The parameters of `InferenceConfig` in a file, without those that are null or missing.

    `environment` is the object as in the file, `base_image_registry` an object with `address`. `sourceDirectory`, or
    `entryScript` without it, is resolved by `resolve_beside`. With `need_script=False` the entry script may be missing.
    `note` gets a line for each key at the top that v1 ignored; one that resembles a known key is a mistake.
    Raises `ConfigError`, with the path of everything that is wrong.
    """
    path = Path(path)
    data = read_mapping(path)
    top = set(data)
    problems = [Problem(key, "", FORMER[key], unknown=True) for key in FORMER if data.pop(key, None)]
    _check_object(data, INFERENCE, "", problems)
    ignored = [problem for problem in problems if problem.unknown and not problem.meant and problem.path in top]
    for problem in ignored:
        note(problem.as_note(path))
    problems = [problem for problem in problems if problem not in ignored]
    if need_script and data.get("entryScript") is None:
        problems.append(
            Problem("entryScript", "is missing", "write entryScript: score.py, the script with init() and run()")
        )
    both = [key for key in ("extraDockerFileSteps", "extraDockerfileSteps") if data.get(key) is not None]
    if len(both) == 2:
        problems.append(
            Problem(both[1], f"is given together with {both[0]}, which means the same", f"remove {both[1]}")
        )
    replaced = [key for key in KEYS_OF_2019 if data.get(key) is not None]
    if data.get("environment") is not None and replaced:
        fix = f"remove {', '.join(replaced)}, or remove environment"
        problems.append(Problem(replaced[0], "cannot be given together with environment", fix))
    if problems:
        raise FileProblems(path, problems)
    kwargs = {PARAMETERS[key]: value for key, value in data.items() if key in PARAMETERS and value is not None}
    if isinstance(kwargs.get("base_image_registry"), str):
        kwargs["base_image_registry"] = {"address": kwargs["base_image_registry"]}
    if "cuda_version" in kwargs:
        kwargs["cuda_version"] = str(kwargs["cuda_version"])
    if "source_directory" in kwargs:
        kwargs["source_directory"] = resolve_beside(kwargs["source_directory"], path)
    elif "entry_script" in kwargs:
        for name in ("entry_script", "conda_file", "extra_docker_file_steps"):
            if name in kwargs:
                kwargs[name] = resolve_beside(kwargs[name], path)
    return kwargs


def _check_object(data: dict[str, Any], keys: dict[str, Any], prefix: str, problems: list[Problem]) -> None:
    problems.extend(check_keys(data, keys, prefix, MISPLACED))
    for key, kind in keys.items():
        if data.get(key) is not None:
            _check_value(data[key], kind, f"{prefix}{key}", problems)


def _check_value(value: Any, kind: Any, path: str, problems: list[Problem]) -> None:
    if isinstance(kind, dict):
        _nested(value, kind, path, problems)
    elif kind == "conda":
        if isinstance(value, str):
            problems.append(
                Problem(path, "is a string; it must be an object", f"use {path}File for the path of a conda file")
            )
        else:
            _nested(value, CONDA, path, problems)
    elif kind == "registry":
        if not isinstance(value, str):
            _nested(value, REGISTRY, path, problems, "a string or an object")
    elif kind == "strings by name" and isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(item, str):  # not shown: it may be a password
                text = f"is {type_word(item)}; it must be a string"
                problems.append(Problem(f"{path}.{name}", text, f"write the value of {name} with quotes"))
    elif not _fits(value, kind):
        fix = f'write {path}: "{value}", with quotes' if kind == "string" and isinstance(value, int | float) else ""
        problems.append(Problem(path, f"is {type_word(value)}; it must be {_KIND_WORDS[kind]}", fix))


def _nested(value: Any, keys: dict[str, Any], path: str, problems: list[Problem], words: str = "an object") -> None:
    if isinstance(value, dict):
        _check_object(value, keys, f"{path}.", problems)
    else:
        problems.append(Problem(path, f"is {type_word(value)}; it must be {words}"))


_KIND_WORDS = {
    "string": "a string",
    "boolean": "true or false, without quotes",
    "list": "a list",
    "strings by name": "an object whose values are strings",
    "string or integer": "a string or an integer",
    "string or number": "a string or a number",
}


def _fits(value: Any, kind: str) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "list":
            return isinstance(value, list)
        case "strings by name":
            return isinstance(value, dict)
        case "string or integer":
            return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
        case "string or number":
            return isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool))
    return True
