"""What an `Environment` is made from: a conda environment, the kernel, a requirements file, a Dockerfile, a folder."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mldeploy_jupyter.api.arguments import check_keys, check_path
from mldeploy_jupyter.api.environments.conda_dependencies import CondaDependencies
from mldeploy_jupyter.core.environment.requirements_file import read_requirements_file
from mldeploy_jupyter.core.errors import EnvironmentBuildError, UserErrorException
from mldeploy_jupyter.core.files import decode_text

# Installed for the notebook itself; a service does not need them.
NOTEBOOK_PACKAGES = frozenset(
    {"ipykernel", "ipython", "ipywidgets", "notebook", "debugpy", "comm", "widgetsnbextension", "mldeploy-jupyter"}
)


def read_conda_environment(name: str) -> CondaDependencies:
    """The packages that `conda env export --no-builds` lists.

    Raises `EnvironmentBuildError` without a conda command, or when conda knows no environment of that name.
    """
    import subprocess

    import yaml

    conda = shutil.which("conda") or shutil.which("mamba") or os.environ.get("CONDA_EXE")
    if not conda:
        raise EnvironmentBuildError(
            f"the conda environment {name!r} cannot be read",
            why="no conda command was found on PATH",
            hint="install conda, or use Environment.from_conda_specification(name, file_path)",
            code="CondaNotFound",
        )
    done = subprocess.run([conda, "env", "export", "--no-builds", "--name", name], capture_output=True, text=True)
    if done.returncode != 0:
        raise EnvironmentBuildError(
            f"the conda environment {name!r} cannot be read",
            why=(done.stderr.strip().splitlines() or ["conda gave no reason"])[-1],
            hint="conda env list shows the names",
        )
    return CondaDependencies(_underlying_structure=yaml.safe_load(done.stdout))


def pin_kernel(modules: Iterable[str] | None) -> CondaDependencies:
    """Exact pins of the packages that own `modules`, which are import names.

    None means every imported module except the notebook's own machinery.

    Raises `EnvironmentBuildError` for a package that was installed from a local folder.
    """
    from mldeploy_jupyter.environments import capture

    names = [*sys.modules] if modules is None else sorted(check_keys("modules", modules))
    pins = capture(names, sys.executable)
    local = [line.removeprefix("# ") for line in pins if line.startswith("#")]
    if modules is None:
        local = [line for line in local if not _is_notebook_package(line.removeprefix("local: "))]
    if local:
        raise EnvironmentBuildError(
            "the kernel uses packages that cannot be pinned",
            why="installed from a local folder: " + ", ".join(line.removeprefix("local: ") for line in local),
            hint="put their code in source_directory and call from_kernel(modules=[...]) with the others",
        )
    kept = [pin for pin in pins if not pin.startswith("#") and not (modules is None and _is_notebook_package(pin))]
    return CondaDependencies.create(python_version="{}.{}".format(*sys.version_info), pip_packages=kept)


def read_pip_requirements(file_path: str | Path) -> CondaDependencies:
    """The packages, options and constraints of a requirements file. Raises `UserErrorException`, `ConfigError`."""
    spec = read_requirements_file(check_path("file_path", file_path, '"requirements.txt"'))
    data: dict[str, Any] = {"dependencies": [{"pip": [*spec.pip_options, *spec.pip]}]}
    if spec.constraints:
        data["constraints"] = spec.constraints
    return CondaDependencies(_underlying_structure=data)


def read_dockerfile(dockerfile: str | Path) -> str:
    """The text of a Dockerfile, given as its path or as the text itself.

    Raises `UserErrorException` when it cannot be read or has no FROM line.
    """
    text = str(dockerfile)
    if "\n" not in text and not text.lstrip().upper().startswith("FROM "):
        path = Path(text).expanduser()
        try:
            text = decode_text(path.read_bytes())
        except (OSError, UnicodeDecodeError) as error:
            raise UserErrorException(
                f"the Dockerfile {path} cannot be read",
                why=(getattr(error, "strerror", None) or str(error)).lower(),
                hint='pass its path, or its text: "FROM python:3.12\\nRUN ..."',
            ) from None
    if not any(line.strip().upper().startswith("FROM ") for line in text.splitlines()):
        raise UserErrorException(
            "the Dockerfile has no FROM line",
            why="an image starts from another one",
            hint='begin it with a line such as "FROM python:3.12"',
        )
    return text


def find_build_context(context: Any) -> str:
    """The absolute path of a build context, which is a path or v1's object with `location`.

    Raises `UserErrorException` when the folder has no Dockerfile.
    """
    location = getattr(context, "location", context)
    folder = Path(os.path.abspath(os.path.expanduser(str(location))))
    name = getattr(context, "dockerfile_path", None) or "Dockerfile"
    if not (folder / name).is_file():
        raise UserErrorException(
            f"there is no {name} in {folder}",
            why="a build context is a folder with a Dockerfile",
            hint="pass the folder that holds it",
        )
    return str(folder)


def find_interpreter(path: str) -> str:
    """The interpreter's absolute path; "python", v1's default, is the kernel's own.

    Raises `EnvironmentBuildError` when there is none.
    """
    if path == "python":
        return sys.executable
    found = shutil.which(os.path.expanduser(path))
    if found is None:
        raise EnvironmentBuildError(
            f"there is no interpreter {path}",
            why="python.interpreter_path names neither a file nor a command on PATH",
            hint="give an absolute path, or leave it 'python' for the kernel's own",
            code="PythonNotFound",
        )
    return os.path.abspath(found)


def _is_notebook_package(line: str) -> bool:
    name = line.partition("==")[0].lower().replace("_", "-")
    return name in NOTEBOOK_PACKAGES or name.startswith("jupyter")
