"""`InferenceConfig`: the entry script, its files, its environment and its base image."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mldeploy_jupyter.api.arguments import KnownNames, check_path
from mldeploy_jupyter.api.azure_names import INFERENCE_CONFIG, AzureNames
from mldeploy_jupyter.api.environments import sections
from mldeploy_jupyter.api.environments.environment import Environment
from mldeploy_jupyter.api.environments.kernel_python import replace_old_python
from mldeploy_jupyter.api.environments.sections import ContainerRegistry
from mldeploy_jupyter.core.configs import read_inference_config
from mldeploy_jupyter.core.configs.config_file import Note, warn
from mldeploy_jupyter.core.environment.conda_file import read_conda_file
from mldeploy_jupyter.core.environment.requirements_file import read_requirements_file
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import ConfigError, MldeployError, UserErrorException

__all__ = ["ContainerRegistry", "InferenceConfig", "InferenceConfigError"]

RUNTIMES = ("python", "spark-py", "python-slim")

CUDA_VERSIONS = ("9.0", "9.1", "10.0")

SETTINGS = (
    *("entry_script", "source_directory", "runtime", "conda_file", "requirements_file", "extra_docker_file_steps"),
    *("enable_gpu", "cuda_version", "base_image", "description"),
)

# Settings that an environment has too, so they cannot be given beside one.
EXCLUDED_BY_ENVIRONMENT = (
    *("runtime", "conda_file", "requirements_file", "extra_docker_file_steps", "enable_gpu", "cuda_version"),
    "base_image",
)


class InferenceConfigError(ConfigError):
    """Everything that is wrong with an inference config, in one error; `problems` has a line for each."""

    code = "InvalidInferenceConfig"

    def __init__(self, problems: list[str], *, hint: str) -> None:
        count = "" if len(problems) == 1 else f" in {len(problems)} ways"
        super().__init__(f"the inference config is wrong{count}", why="; ".join(problems), hint=hint)
        self.problems = problems


class InferenceConfig(KnownNames, AzureNames):
    """What a service runs.

    `entry_script` is relative to `source_directory` and must be inside it; without one, it is relative to the current
    folder. The service gets the whole source directory (except what its `.amlignore` names); without one, the script
    and the modules beside it that it imports. `conda_file`, `requirements_file` and `extra_docker_file_steps` are
    relative to the source directory or the current folder too. Without `environment`, `conda_file` and
    `requirements_file` the service runs on the kernel's own interpreter.

    `runtime` is python (default), spark-py or python-slim, in any case. `enable_gpu`, `cuda_version`,
    `base_image`, `base_image_registry` and `extra_docker_file_steps` matter to targets that build an image.
    `environment` excludes all of these but the registry.

    Raises `InferenceConfigError` naming every problem, or `EntryScriptError` with the line when only the script is
    wrong.
    """

    _azure_owner, _azure_names = "inference_config", INFERENCE_CONFIG
    _names = frozenset({*SETTINGS, "base_image_registry", "environment"})

    def __init__(
        self,
        entry_script: str | Path | None = None,
        runtime: str | None = None,
        conda_file: str | Path | None = None,
        extra_docker_file_steps: str | Path | None = None,
        source_directory: str | Path | None = None,
        enable_gpu: bool | None = None,
        description: str | None = None,
        base_image: str | None = None,
        base_image_registry: ContainerRegistry | None = None,
        cuda_version: str | None = None,
        environment: Environment | None = None,
        *,
        requirements_file: str | Path | None = None,
    ) -> None:
        self.entry_script = _text(entry_script)
        self.runtime = runtime
        self.conda_file = _text(conda_file)
        self.extra_docker_file_steps = _text(extra_docker_file_steps)
        self.source_directory = _text(source_directory)
        self.enable_gpu = enable_gpu
        self.description = description
        self.base_image = base_image
        self.base_image_registry = ContainerRegistry() if base_image_registry is None else base_image_registry
        self.cuda_version = None if cuda_version is None else str(cuda_version)
        self.environment = environment
        self.requirements_file = _text(requirements_file)
        self._dependencies: dict[str, str] = {}  # files beside the script: relative path -> absolute path
        self._source_data: dict[str, Any] | None = None  # what `from_data` read, and the attributes that it set
        self._source_attributes: dict[str, Any] = {}
        self._check_types()
        if self.source_directory is not None:
            self.source_directory = os.path.abspath(self.source_directory)
        # Relative paths stay relative to the folder at this moment, even if the notebook changes folders later.
        self._folder = Path(self.source_directory) if self.source_directory else _current_folder()
        self._check()

    @classmethod
    def from_file(cls, path: str | Path, *, note: Note | None = None, **changes: Any) -> InferenceConfig:
        """The config in a file like v1's `inferenceconfig.json`, JSON or YAML; `changes` replace parameters of it.

        A conda file of its environment is looked up in the source directory first, then beside `path`, as in v1.
        `note` gets a line for each key that v1 ignored; by default it is a warning. Raises `ConfigError` with the path
        of everything that is wrong in the file, and as the constructor does.
        """
        path = check_path("path", path, 'path="inferenceconfig.json"')
        kwargs = {
            **read_inference_config(path, need_script="entry_script" not in changes, note=note or warn),
            **changes,
        }
        if isinstance(kwargs.get("environment"), dict):
            try:
                folders = [Path(kwargs.get("source_directory") or "."), Path(path).parent]
                kwargs["environment"] = Environment.from_dict(_with_conda_path(kwargs["environment"], folders))
            except MldeployError as error:
                error.where = ", ".join(part for part in (str(path), error.where) if part)
                raise
        if isinstance(kwargs.get("base_image_registry"), dict):
            kwargs["base_image_registry"] = ContainerRegistry.from_data(kwargs["base_image_registry"])
        return cls(**kwargs)

    def to_data(self) -> dict[str, Any]:
        """The config as plain JSON data, checked again, with absolute paths and without passwords.

        Its keys are the parameters of the constructor, `entry_path` (absolute), `environment` (an `EnvironmentSpec` as
        data, or None for the kernel's interpreter) and `environment_definition` (its `inferenceconfig.json` form).
        Raises as the constructor does.
        """
        unchanged = {**self._source_attributes, "description": self.description}
        if self._source_data is not None and self._attributes() == unchanged:
            return {**self._source_data, "description": self.description}
        self._check()
        spec = self._spec()
        return {
            "entry_script": self._script().relative_to(self.source_directory or self._script().parent).as_posix(),
            "entry_path": str(self._script()),
            "source_directory": self.source_directory,
            "environment": None if spec is None else spec.to_dict(),
            "environment_definition": None if self.environment is None else self.environment.to_dict(),
            "runtime": self.runtime,
            "conda_file": self._absolute(self.conda_file),
            "requirements_file": self._absolute(self.requirements_file),
            "extra_docker_file_steps": self._absolute(self.extra_docker_file_steps),
            "enable_gpu": self.enable_gpu,
            "cuda_version": self.cuda_version,
            "base_image": self.base_image,
            "base_image_registry": self.base_image_registry.without_password(),
            "description": self.description,
            **({"dependencies": self._dependencies} if self._dependencies else {}),
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> InferenceConfig:
        """The config that `to_data` wrote. Its files may be gone by now, so it is checked only after a change."""
        config = cls.__new__(cls)
        cls._restore(config, data)
        return config

    def _restore(self, data: dict[str, Any]) -> None:
        for name in SETTINGS:
            setattr(self, name, data.get(name))
        definition = data.get("environment_definition")
        self.environment = None if definition is None else Environment.from_dict(definition)
        self.base_image_registry = ContainerRegistry.from_data(data.get("base_image_registry"))
        entry = data.get("entry_path")
        self._dependencies = data.get("dependencies") or {}
        self._folder = Path(self.source_directory or (os.path.dirname(entry) if entry else os.getcwd()))
        self._source_data = data
        self._source_attributes = self._attributes()

    def validate_configuration(self) -> None:
        """Checks everything again, including later changes. Raises as the constructor does."""
        self._check()

    def print_configuration(self, print_: Callable[[str], object] = print) -> None:
        """Prints every setting that is given, one a line, without passwords."""
        for name, value in self._attributes().items():
            if name == "environment" and value is not None:
                value = value["name"]
            if value not in (None, {}):
                print_(f"{name}: {value}")

    def _attributes(self) -> dict[str, Any]:
        """Everything that a user can change, as comparable data without passwords."""
        registry, environment = self.base_image_registry, self.environment
        return {
            **{name: getattr(self, name) for name in SETTINGS},
            "base_image_registry": registry.without_password() if isinstance(registry, ContainerRegistry) else registry,
            "environment": environment.to_dict() if isinstance(environment, Environment) else environment,
        }

    def __repr__(self) -> str:
        return f"InferenceConfig(entry_script={self.entry_script!r}, source_directory={self.source_directory!r})"

    def _script(self) -> Path:
        return Path(os.path.normpath(self._folder / str(self.entry_script)))

    def _absolute(self, path: str | None) -> str | None:
        return None if path is None else os.path.normpath(self._folder / path)

    def _spec(self) -> EnvironmentSpec | None:
        if self.environment is not None:
            return self.environment.to_spec(self._folder)
        if self.conda_file is not None:
            return replace_old_python(read_conda_file(str(self._absolute(self.conda_file))), self.conda_file)
        if self.requirements_file is not None:
            return read_requirements_file(str(self._absolute(self.requirements_file)))
        return None

    def _check_types(self) -> None:
        paths = ("entry_script", "source_directory", "conda_file", "requirements_file", "extra_docker_file_steps")
        given = [(name, getattr(self, name)) for name in (*paths, "base_image", "description")]
        problems = [
            f"{name} is {value!r}, not a {'path' if name in paths else 'string'}"
            for name, value in given
            if value is not None and not isinstance(value, (str, os.PathLike) if name in paths else str)
        ]
        if problems:
            raise _wrong(problems)

    def _check(self) -> None:
        self._check_types()
        problems: list[str] = []
        errors: list[MldeployError] = []  # from the script and the environment; they know their own line
        if self.source_directory is not None and not os.path.isdir(self.source_directory):
            problems.append(f"source_directory {self.source_directory} is not a folder")
        problems += self._script_problems(errors)
        problems += [*self._option_problems(), *self._file_problems(), *self._registry_problems()]
        problems += self._environment_problems(errors)
        if len(errors) == 1 and not problems:
            raise errors[0]
        only_script = not errors and len(problems) == 1 and problems[0].startswith("entry_script ")
        if only_script and self.entry_script and not self._script().exists():
            raise self._no_such_script()
        problems += [
            " ".join(part for part in (e.what, e.why, f"({e.where})" if e.where else "") if part) for e in errors
        ]
        if problems:
            raise _wrong(problems)

    def _no_such_script(self) -> InferenceConfigError:
        script = self._script()
        beside = [path.stem for path in script.parent.glob("*.py")] if script.parent.is_dir() else []
        near = difflib.get_close_matches(script.stem, beside, 1, 0.6)
        found = str(Path(str(self.entry_script)).parent / f"{near[0]}.py") if near else ""
        hint = f"did you mean {found}?" if near else "correct its path, or write the script first"
        here = Path(os.path.abspath(str(self.entry_script)))
        if self.source_directory and here.is_file() and here.is_relative_to(self.source_directory):
            inside = here.relative_to(self.source_directory).as_posix()
            hint = f"write {inside}: the script is named relative to source_directory"
        error = InferenceConfigError([f"looked for {script}"], hint=hint)
        error.what = f"there is no entry script {self.entry_script}"
        return error

    def _script_problems(self, errors: list[MldeployError]) -> list[str]:
        if not self.entry_script:
            return ["entry_script is missing"]
        script = self._script()
        problems = []
        if self.source_directory is not None and not script.is_relative_to(self.source_directory):
            return [f"entry_script {self.entry_script} is outside source_directory {self.source_directory}"]
        if script.suffix != ".py":
            problems.append(f"entry_script {self.entry_script} does not end in .py")
        if not script.is_file():
            kind = "source_directory" if self.source_directory else "the current folder"
            problems.append(f"entry_script {self.entry_script} does not exist in {kind} {self._folder}")
        elif not problems:
            self._parse(script, errors)
        return problems

    def _parse(self, script: Path, errors: list[MldeployError]) -> None:
        from mldeploy_jupyter.core.files import read_user_text
        from mldeploy_jupyter.core.script.name_check import check_source

        try:
            check_source(read_user_text(script, "entry script"), script.name)
        except MldeployError as error:
            errors.append(error)

    def _option_problems(self) -> list[str]:
        problems = []
        if self.runtime is not None and str(self.runtime).lower() not in RUNTIMES:
            problems.append(f"runtime {self.runtime!r} is none of {', '.join(RUNTIMES)}")
        if self.cuda_version is not None and self.cuda_version not in CUDA_VERSIONS:
            problems.append(f"cuda_version {self.cuda_version!r} is none of {', '.join(CUDA_VERSIONS)}")
        if self.enable_gpu is not None and not isinstance(self.enable_gpu, bool):
            problems.append(f"enable_gpu is {self.enable_gpu!r}, not True or False")
        if self.base_image is not None and str(self.runtime or "python").lower() != "python":
            problems.append(f"base_image goes with runtime python only, not {self.runtime}")
        return problems

    def _file_problems(self) -> list[str]:
        problems = []
        for name in ("conda_file", "requirements_file", "extra_docker_file_steps"):
            path = getattr(self, name)
            if path is not None and not os.path.isfile(str(self._absolute(path))):
                problems.append(f"{name} {path} does not exist in {self._folder}")
        if self.conda_file is not None and self.requirements_file is not None:
            problems.append(
                "conda_file and requirements_file are both given; name PyPI packages under `pip:` of conda_file"
            )
        return problems

    def _registry_problems(self) -> list[str]:
        registry = self.base_image_registry
        if not isinstance(registry, ContainerRegistry):
            return [f"base_image_registry is {type(registry).__name__}, not a ContainerRegistry"]
        # A registry read from data has no password, which is never stored.
        was_read = registry.without_password() == self._source_attributes.get("base_image_registry")
        if was_read or _is_complete(registry):
            return []
        return ["base_image_registry needs an address, and username and password together or neither"]

    def _environment_problems(self, errors: list[MldeployError]) -> list[str]:
        environment = self.environment
        problems = []
        if environment is not None:
            if not isinstance(environment, Environment):
                return [f"environment is {type(environment).__name__}, not an Environment"]
            excluded = [name for name in EXCLUDED_BY_ENVIRONMENT if getattr(self, name) is not None]
            if excluded:
                problems.append(f"environment excludes {', '.join(excluded)}; say it in the environment")
            try:
                sections.check_types(environment)
            except MldeployError as error:
                errors.append(error)
                return problems
            if environment.docker.base_image and environment.docker.base_dockerfile:
                problems.append("environment.docker has both base_image and base_dockerfile")
        files = [self._absolute(path) for path in (self.conda_file, self.requirements_file) if path is not None]
        if all(os.path.isfile(str(path)) for path in files) and len(files) < 2:
            from mldeploy_jupyter.environments.pythons import refuse_below_floor

            try:
                spec = self._spec()
                if spec is not None:
                    refuse_below_floor(spec.python, where=spec.places.get("python") or self.conda_file or "")
            except MldeployError as error:
                errors.append(error)
        return problems


def _wrong(problems: list[str]) -> InferenceConfigError:
    return InferenceConfigError(problems, hint=f"correct {'them' if len(problems) > 1 else 'it'} and try again")


def _is_complete(registry: ContainerRegistry) -> bool:
    return bool(registry.username) == bool(registry.password) and bool(registry.address or not registry.username)


def _text(path: str | Path | None) -> str | None:
    """A path as text; anything else is returned unchanged, for `_check_types` to report."""
    return os.fspath(path) if isinstance(path, os.PathLike) else path


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UserErrorException(
            "the current folder is gone",
            why="it was removed while this program stood in it",
            hint="change to a folder that exists with os.chdir(...), or give an absolute source_directory",
        ) from None


def _with_conda_path(environment: dict[str, Any], folders: list[Path]) -> dict[str, Any]:
    """The environment with the path of its `condaDependenciesFile` in the first of the folders that has it."""
    python = environment.get("python") or {}
    name = python.get("condaDependenciesFile")
    if not name:
        return environment
    found = next((str((folder / name).absolute()) for folder in folders if (folder / name).exists()), name)
    return {**environment, "python": {**python, "condaDependenciesFile": found}}
