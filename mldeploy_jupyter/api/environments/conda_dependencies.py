"""`CondaDependencies`: a conda environment file's content, in v1's words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mldeploy_jupyter.api.arguments import check_path
from mldeploy_jupyter.core.environment.requirements_file import parse_requirements
from mldeploy_jupyter.core.environment.spec import EnvironmentSpec, from_conda, load_conda_file, parse_python
from mldeploy_jupyter.core.errors import ConfigError
from mldeploy_jupyter.core.storage_errors import explain_write_errors

FILE_NAME = "conda_dependencies.yml"


class CondaDependencies:
    """Python version, conda packages, PyPI packages and channels.

    `conda_dependencies_file_path` is a conda YAML file to start from; without one the dependencies are empty,
    and the Python is that of the kernel. Wrong content raises `ConfigError` with its place.
    """

    def __init__(
        self,
        conda_dependencies_file_path: str | Path | None = None,
        _underlying_structure: dict[str, Any] | None = None,
    ) -> None:
        self._folder = Path.cwd()
        self._where = "the conda dependencies"
        self._data: dict[str, Any] = {"dependencies": []}
        if conda_dependencies_file_path is not None:
            path = Path(check_path("conda_dependencies_file_path", conda_dependencies_file_path, '"conda.yml"'))
            self._folder, self._where = path.absolute().parent, path.name
            data = load_conda_file(path)
            from_conda(data, folder=self._folder, where=self._where)  # refuses what is not a mapping
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
        """New dependencies. `pip_indexurl` is an index to use in place of the usual one.

        `pin_sdk_version` is taken and has no meaning: no SDK is installed into a service.
        """
        for argument, packages in (("pip_packages", pip_packages), ("conda_packages", conda_packages)):
            if packages is not None:
                refuse_text(argument, packages)
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
        """The Python asked for, or None."""
        return self.to_spec().python

    @property
    def conda_packages(self) -> list[str]:
        """The conda packages, python included."""
        return [item for item in self._dependencies() if isinstance(item, str)]

    @property
    def conda_channels(self) -> list[str]:
        return list(self._data.get("channels") or [])

    @property
    def pip_packages(self) -> list[str]:
        """The PyPI requirements, without options."""
        return [line for line in self._pip_lines() if not line.startswith("-")]

    @property
    def pip_options(self) -> list[str]:
        return [line for line in self._pip_lines() if line.startswith("-")]

    def add_conda_package(self, conda_package: str) -> None:
        """Add a conda package ("numpy", "numpy=1.26"). One of the same name is replaced. Raises `ConfigError`."""
        _name(conda_package)
        from_conda({"dependencies": [conda_package]}, folder=self._folder, where="add_conda_package")
        self.remove_conda_package(_name(conda_package))
        self._dependencies().append(conda_package)

    def remove_conda_package(self, conda_package: str) -> None:
        name = _name(conda_package)
        self._data["dependencies"] = [
            item for item in self._dependencies() if not (isinstance(item, str) and _name(item) == name)
        ]

    def add_pip_package(self, pip_package: str) -> None:
        """Add a PyPI requirement ("numpy", "numpy>=1.26"). One of the same name is replaced. Raises `ConfigError`."""
        _name(pip_package)
        parse_requirements(pip_package, folder=self._folder, where="add_pip_package")
        self.remove_pip_package(pip_package)
        self._pip().append(pip_package)

    def remove_pip_package(self, pip_package: str) -> None:
        lines, name = self._pip_lines(), _name(pip_package)
        if any(_name(line) == name for line in lines if not line.startswith("-")):
            self._pip()[:] = [line for line in lines if line.startswith("-") or _name(line) != name]

    def add_channel(self, channel: str) -> None:
        """Search `channel` too, after those already there."""
        if channel not in self.conda_channels:
            self._data["channels"] = [*self.conda_channels, channel]

    def remove_channel(self, channel: str) -> None:
        self._data["channels"] = [item for item in self.conda_channels if item != channel]

    def set_python_version(self, version: str) -> None:
        """Ask for a Python: "3.11", "3.11.7" or a range. Raises `ConfigError` for another form."""
        asked = parse_python(str(version))
        self.remove_conda_package("python")
        self._dependencies().insert(0, f"python={asked}" if asked[0].isdigit() else f"python{asked}")

    def get_python_version(self) -> str | None:
        """The Python asked for, or None."""
        return self.python_version

    def set_pip_option(self, pip_option: str) -> None:
        """Adds an option, such as "--pre" or "--extra-index-url URL"; the same option with another value is replaced.

        Raises `ConfigError` for one that is not understood.
        """
        if not isinstance(pip_option, str) or not pip_option.startswith("-"):
            raise ConfigError(
                f"{pip_option!r} is not an option of pip",
                why="an option starts with '-'",
                hint="for a package call add_pip_package(...)",
            )
        key = _option(pip_option)
        before = [*self._pip()]
        repeats = key in ("--extra-index-url", "--find-links", "-f", "-r", "-c")  # may be there several times
        kept = [line for line in before if line != pip_option and (repeats or _option(line) != key)]
        self._pip()[:] = [pip_option, *kept]
        try:
            self.to_spec()
        except Exception:
            self._pip()[:] = before
            raise

    def remove_pip_option(self, pip_option: str) -> None:
        """Removes an option, named with or without its value."""
        self._pip()[:] = [line for line in self._pip_lines() if line != pip_option and _option(line) != pip_option]

    def set_pip_requirements(self, pip_requirements: Iterable[str]) -> None:
        """Replaces the PyPI packages with the lines of a requirements file. Options among them are added."""
        refuse_text("pip_requirements", pip_requirements)
        lines = [str(line).strip() for line in pip_requirements]
        lines = [line for line in lines if line and not line.startswith("#")]
        self._pip()[:] = [*self.pip_options, *(line for line in lines if line not in self.pip_options)]
        self.to_spec()

    @staticmethod
    def merge_requirements(requirements: Iterable[str]) -> list[str]:
        """One line for each package, with all of its limits: `["a>=1", "b", "a<2"]` gives `["a<2,>=1", "b"]`.

        Raises `ConfigError` for a line that is no requirement.
        """
        return merge(requirements)

    def set_pip_index_url(self, index_url: str) -> None:
        self._pip()[:] = [
            f"--index-url {index_url}",
            *(x for x in self._pip_lines() if not x.startswith("--index-url")),
        ]

    def serialize_to_string(self) -> str:
        """The dependencies as the text of a conda YAML file."""
        import yaml

        return str(yaml.safe_dump(self._data, sort_keys=False, default_flow_style=False))

    def save(self, path: str | Path | None = None) -> None:
        """Write the YAML file at `path`, a file or a folder; default `conda_dependencies.yml` in the current folder.

        Raises `StorageError` when it cannot be written, as `save_to_file` does.
        """
        target = Path.cwd() if path is None else Path(check_path("path", path, '"conda.yml"'))
        target = target / FILE_NAME if target.is_dir() else target
        with explain_write_errors(target.parent):
            target.write_text(self.serialize_to_string(), "utf-8")

    def save_to_file(self, base_directory: str | Path, conda_file_path: str | None = None) -> str:
        """Write `conda_file_path` (default `conda_dependencies.yml`) in `base_directory`; returns its name."""
        name = conda_file_path or FILE_NAME
        folder = Path(check_path("base_directory", base_directory, '"."'))
        with explain_write_errors(folder):
            (folder / name).write_text(self.serialize_to_string(), "utf-8")
        return name

    def as_dict(self) -> dict[str, Any]:
        """A copy as plain data."""
        import copy

        return copy.deepcopy(self._data)

    def to_spec(self) -> EnvironmentSpec:
        return from_conda(self._data, folder=self._folder, where=self._where)

    def _dependencies(self) -> list[Any]:
        if self._data.get("dependencies") is None:
            self._data["dependencies"] = []
        dependencies: list[Any] = self._data["dependencies"]
        return dependencies

    def _pip(self) -> list[str]:
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


def _option(line: str) -> str:
    """The name of an option, without its value; "" for a package."""
    return line.replace("=", " ").split()[0] if line.startswith("-") else ""


def _name(package: str) -> str:
    import re

    if not isinstance(package, str) or not package.strip():
        raise ConfigError(f"{package!r} is not a package", why="a package is a string", hint="such as 'numpy>=1.26'")
    name = re.split(r"[\s=<>!~\[;@]", package.strip().split("::")[-1], maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def refuse_text(argument: str, lines: Any) -> None:
    """Raises `ConfigError` for one string (its letters would be taken for lines) and for what is no list."""
    if isinstance(lines, str) or not isinstance(lines, Iterable):
        raise ConfigError(f"{argument} is {lines!r}", why="it must be a list", hint=f"pass {argument}=[{lines!r}]")


def merge(requirements: Iterable[str]) -> list[str]:
    """See `CondaDependencies.merge_requirements`. Packages keep their order; different markers stay apart."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    refuse_text("requirements", requirements)
    merged: dict[tuple[str, str, str], Requirement] = {}
    for line in requirements:
        try:
            wanted = Requirement(str(line))
        except InvalidRequirement as error:
            raise ConfigError(
                f"{line!r} is not a requirement",
                why=str(error).splitlines()[0],
                hint="write a package and its limits, such as numpy>=1.26,<3",
            ) from None
        key = (canonicalize_name(wanted.name), str(wanted.marker or ""), wanted.url or "")
        if key in merged:
            merged[key].specifier &= wanted.specifier
            merged[key].extras |= wanted.extras
        else:
            merged[key] = wanted
    return [str(requirement) for requirement in merged.values()]
