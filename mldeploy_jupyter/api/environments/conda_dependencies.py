"""`CondaDependencies`: the content of a conda environment file, under v1's names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mldeploy_jupyter.api.arguments import check_path
from mldeploy_jupyter.api.azure_names import CONDA, AzureNames
from mldeploy_jupyter.core.environment.conda_file import load_yaml, parse_conda
from mldeploy_jupyter.core.environment.requirements_file import parse_requirements
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec, parse_python
from mldeploy_jupyter.core.errors import ConfigError
from mldeploy_jupyter.core.storage_errors import explain_write_errors

if TYPE_CHECKING:
    from packaging.requirements import Requirement

FILE_NAME = "conda_dependencies.yml"


class CondaDependencies(AzureNames):
    """Python version, conda packages, PyPI packages and channels.

    `conda_dependencies_file_path` is a conda YAML file to start from; without one the dependencies are empty and the
    Python is the kernel's. Raises `ConfigError` naming the line or key that is wrong.
    """

    _azure_owner, _azure_names = "CondaDependencies", CONDA

    def __init__(
        self,
        conda_dependencies_file_path: str | Path | None = None,
        _underlying_structure: dict[str, Any] | None = None,
    ) -> None:
        self._folder = Path.cwd()
        self._where = "the conda dependencies"
        self._data: dict[str, Any] = {"dependencies": []}
        self._lines: dict[str, int] = {}  # of the file, for what was read from it
        if conda_dependencies_file_path is not None:
            path = Path(check_path("conda_dependencies_file_path", conda_dependencies_file_path, '"conda.yml"'))
            self._folder, self._where = path.absolute().parent, path.name
            data, self._lines = load_yaml(path)
            parse_conda(data, folder=self._folder, where=self._where, lines=self._lines)  # raises unless a mapping
            self._data = data
        elif _underlying_structure is not None:
            self._data = _underlying_structure
        self.to_spec()

    @classmethod
    def create(
        cls,
        pip_indexurl: str | None = None,
        pip_packages: Iterable[str] | None = None,
        conda_packages: Iterable[str] | None = None,
        python_version: str | None = None,
        pin_sdk_version: bool = True,
    ) -> CondaDependencies:
        """New dependencies. `pip_indexurl` is an index to use instead of the default one.

        `pin_sdk_version` is v1's and has no effect, as no SDK is installed into a service. Raises `ConfigError` for a
        package or a version that is not understood.
        """
        for argument, packages in (("pip_packages", pip_packages), ("conda_packages", conda_packages)):
            if packages is not None:
                _require_list(argument, packages)
        created = cls()
        if python_version is not None:
            created.set_python_version(python_version)
        for package in conda_packages or []:
            created.add_conda_package(package)
        if pip_indexurl is not None:
            created._pip().append(f"--index-url {pip_indexurl}")
        for package in pip_packages or []:
            created.add_pip_package(package)
        created.to_spec()
        return created

    @property
    def python_version(self) -> str | None:
        """The requested Python, or None."""
        return self.to_spec().python

    @property
    def conda_packages(self) -> list[str]:
        """The conda packages, including python."""
        return [item for item in self._dependencies() if isinstance(item, str)]

    @property
    def conda_channels(self) -> list[str]:
        """The conda channels, in the order in which they are searched."""
        return list(self._data.get("channels") or [])

    @property
    def pip_packages(self) -> list[str]:
        """The PyPI requirements, without options."""
        return [line for line in self._pip_lines() if not line.startswith("-")]

    @property
    def pip_options(self) -> list[str]:
        """The options of pip, such as `--index-url URL`."""
        return [line for line in self._pip_lines() if line.startswith("-")]

    def add_conda_package(self, conda_package: str) -> None:
        """Adds a conda package ("numpy", "numpy=1.26"), replacing one of the same name.

        Raises `ConfigError` when it is not a package.
        """
        name = _package_name(conda_package)
        parse_conda({"dependencies": [conda_package]}, folder=self._folder, where="add_conda_package")
        self.remove_conda_package(name)
        self._dependencies().append(conda_package)

    def remove_conda_package(self, conda_package: str) -> None:
        """Removes a conda package by its name; a package that is not there is no error."""
        name = _package_name(conda_package)
        self._data["dependencies"] = [
            item for item in self._dependencies() if not (isinstance(item, str) and _package_name(item) == name)
        ]

    def add_pip_package(self, pip_package: str) -> None:
        """Adds a PyPI requirement ("numpy", "numpy>=1.26"), replacing one of the same name.

        Raises `ConfigError` when it is not a requirement.
        """
        _package_name(pip_package)  # raises unless it is a string
        parse_requirements(pip_package, folder=self._folder, where="add_pip_package")
        self.remove_pip_package(pip_package)
        self._pip().append(pip_package)

    def remove_pip_package(self, pip_package: str) -> None:
        """Removes a PyPI requirement by its name; a package that is not there is no error."""
        lines, name = self._pip_lines(), _package_name(pip_package)
        if any(_package_name(line) == name for line in lines if not line.startswith("-")):
            self._pip()[:] = [line for line in lines if line.startswith("-") or _package_name(line) != name]

    def add_tensorflow_pip_package(self, core_type: str = "cpu", version: str | None = None) -> None:
        """Adds TensorFlow from PyPI. One package serves "cpu" and "gpu", so `core_type` has no effect."""
        self.add_pip_package(f"tensorflow=={version}" if version else "tensorflow")

    def add_tensorflow_conda_package(self, core_type: str = "cpu", version: str | None = None) -> None:
        """Adds TensorFlow as a conda package; `core_type` is v1's and has no effect."""
        self.add_conda_package(f"tensorflow={version}" if version else "tensorflow")

    def add_cntk_package(self, core_type: str = "cpu") -> NoReturn:
        """Raises `ConfigError`: CNTK has no package for a Python that services run with."""
        raise ConfigError(
            "CNTK cannot be installed",
            why="its last release is of 2019 and has no package for Python 3.11 or newer",
            hint='convert the model to ONNX, and add_pip_package("onnxruntime")',
        )

    def add_channel(self, channel: str) -> None:
        """Adds `channel` after those already there."""
        if channel not in self.conda_channels:
            self._data["channels"] = [*self.conda_channels, channel]

    def remove_channel(self, channel: str) -> None:
        """Removes a channel; one that is not there is no error."""
        self._data["channels"] = [item for item in self.conda_channels if item != channel]

    def set_python_version(self, version: str) -> None:
        """Requests a Python: "3.11", "3.11.7" or a range. Raises `ConfigError` for another form."""
        requested = parse_python(str(version))
        self.remove_conda_package("python")
        self._dependencies().insert(0, f"python={requested}" if requested[0].isdigit() else f"python{requested}")

    def get_python_version(self) -> str | None:
        """The requested Python, or None."""
        return self.python_version

    def set_pip_option(self, pip_option: str) -> None:
        """Adds an option such as "--pre" or "--extra-index-url URL", replacing the same option with another value.

        Raises `ConfigError` for an option that is not understood.
        """
        if not isinstance(pip_option, str) or not pip_option.startswith("-"):
            raise ConfigError(
                f"{pip_option!r} is not an option of pip",
                why="an option starts with '-'",
                hint="for a package call add_pip_package(...)",
            )
        key = _option_name(pip_option)
        before = [*self._pip()]
        repeats = key in ("--extra-index-url", "--find-links", "-f", "-r", "-c")  # allowed several times
        kept = [line for line in before if line != pip_option and (repeats or _option_name(line) != key)]
        self._pip()[:] = [pip_option, *kept]
        try:
            self.to_spec()
        except Exception:
            self._pip()[:] = before
            raise

    def remove_pip_option(self, pip_option: str) -> None:
        """Removes an option, given with or without its value."""
        self._pip()[:] = [line for line in self._pip_lines() if line != pip_option and _option_name(line) != pip_option]

    def set_pip_requirements(self, pip_requirements: Iterable[str]) -> None:
        """Replaces the PyPI packages with the lines of a requirements file; options among them are added.

        Raises `ConfigError` for a line that is not understood.
        """
        _require_list("pip_requirements", pip_requirements)
        lines = [str(line).strip() for line in pip_requirements]
        lines = [line for line in lines if line and not line.startswith("#")]
        self._pip()[:] = [*self.pip_options, *(line for line in lines if line not in self.pip_options)]
        self.to_spec()

    @staticmethod
    def merge_requirements(requirements: Iterable[str]) -> list[str]:
        """One line a package, with all of its limits: `["a>=1", "b", "a<2"]` gives `["a<2,>=1", "b"]`.

        Packages keep their order; requirements with different markers stay separate. Raises `ConfigError` for a line
        that is not a requirement.
        """
        _require_list("requirements", requirements)
        merged: dict[tuple[str, str, str], Requirement] = {}
        for line in requirements:
            requirement = _parse_requirement(line)
            key = (_package_name(requirement.name), str(requirement.marker or ""), requirement.url or "")
            if key in merged:
                merged[key].specifier &= requirement.specifier
                merged[key].extras |= requirement.extras
            else:
                merged[key] = requirement
        return [str(requirement) for requirement in merged.values()]

    def set_pip_index_url(self, index_url: str) -> None:
        """Replaces the default package index."""
        others = [line for line in self._pip_lines() if not line.startswith("--index-url")]
        self._pip()[:] = [f"--index-url {index_url}", *others]

    def serialize_to_string(self) -> str:
        """The dependencies as the text of a conda YAML file."""
        import yaml

        return str(yaml.safe_dump(self._data, sort_keys=False, default_flow_style=False))

    def save(self, path: str | Path | None = None) -> None:
        """Writes the YAML file `path`; in a folder (by default the current one) it is `conda_dependencies.yml`.

        Raises `StorageError` when it cannot be written.
        """
        target = Path.cwd() if path is None else Path(check_path("path", path, '"conda.yml"'))
        target = target / FILE_NAME if target.is_dir() else target
        with explain_write_errors(target.parent):
            target.write_text(self.serialize_to_string(), "utf-8")

    def save_to_file(self, base_directory: str | Path, conda_file_path: str | None = None) -> str:
        """Writes `conda_file_path` (default `conda_dependencies.yml`) in `base_directory` and returns its name.

        Raises `StorageError` when it cannot be written.
        """
        name = check_path("conda_file_path", conda_file_path or FILE_NAME, f'"{FILE_NAME}"')
        folder = Path(check_path("base_directory", base_directory, '"."'))
        with explain_write_errors(folder):
            (folder / name).write_text(self.serialize_to_string(), "utf-8")
        return name

    def as_dict(self) -> dict[str, Any]:
        """The content as plain data; changing it changes nothing here."""
        import copy

        return copy.deepcopy(self._data)

    def to_spec(self) -> EnvironmentSpec:
        """The dependencies as the room `environments` installs them. Raises `ConfigError` naming what is wrong."""
        return parse_conda(self._data, folder=self._folder, where=self._where, lines=self._lines)

    def _dependencies(self) -> list[Any]:
        if self._data.get("dependencies") is None:
            self._data["dependencies"] = []
        dependencies: list[Any] = self._data["dependencies"]
        return dependencies

    def _pip(self) -> list[str]:
        """The list under `pip:`, created when there is none."""
        for item in self._dependencies():
            if isinstance(item, dict) and isinstance(item.get("pip"), list):
                lines: list[str] = item["pip"]
                return lines
        lines = []
        self._dependencies().append({"pip": lines})
        return lines

    def _pip_lines(self) -> list[str]:
        return [line for item in self._dependencies() if isinstance(item, dict) for line in item.get("pip") or []]

    def __repr__(self) -> str:
        return f"CondaDependencies({self.conda_packages + self.pip_packages})"


def _option_name(line: str) -> str:
    """The name of an option, without its value; "" for a package."""
    return line.replace("=", " ").split()[0] if line.startswith("-") else ""


def _package_name(package: str) -> str:
    import re

    if not isinstance(package, str) or not package.strip():
        raise ConfigError(f"{package!r} is not a package", why="a package is a string", hint="such as 'numpy>=1.26'")
    name = re.split(r"[\s=<>!~\[;@]", package.strip().split("::")[-1], maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def _parse_requirement(line: Any) -> Requirement:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(str(line))
    except InvalidRequirement as error:
        raise ConfigError(
            f"{line!r} is not a requirement",
            why=str(error).splitlines()[0],
            hint="write a package and its limits, such as numpy>=1.26,<3",
        ) from None


def _require_list(argument: str, lines: Any) -> None:
    """Raises `ConfigError` unless `lines` is a list; a string is refused, as its letters would count as lines."""
    if isinstance(lines, str) or not isinstance(lines, Iterable):
        raise ConfigError(f"{argument} is {lines!r}", why="it must be a list", hint=f"pass {argument}=[{lines!r}]")
