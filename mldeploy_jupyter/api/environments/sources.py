"""What an `Environment` can be read from on this machine: a conda environment, the running kernel."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable

from mldeploy_jupyter.api.environments.conda_dependencies import CondaDependencies
from mldeploy_jupyter.core.errors import EnvironmentBuildError

# What a notebook's kernel brings for itself and a service does not need.
NOTEBOOK_PACKAGES = frozenset(
    {"ipykernel", "ipython", "ipywidgets", "notebook", "debugpy", "comm", "widgetsnbextension", "mldeploy-jupyter"}
)


def conda_environment(name: str) -> CondaDependencies:
    """What `conda env export --no-builds` says. Raises `EnvironmentBuildError`."""
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


def kernel(modules: Iterable[str] | None) -> CondaDependencies:
    """Exact pins of the packages that own `modules`; None means all that is imported, less the notebook's own.

    Raises `EnvironmentBuildError` for a package that was installed from a local folder.
    """
    from mldeploy_jupyter.environments import capture

    names = [*sys.modules] if modules is None else [*modules]
    pins = capture(names, sys.executable)
    local = [line.removeprefix("# ") for line in pins if line.startswith("#")]
    if modules is None:
        local = [line for line in local if not _is_notebook(line.removeprefix("local: "))]
    if local:
        raise EnvironmentBuildError(
            "the kernel uses packages that cannot be pinned",
            why="installed from a local folder: " + ", ".join(line.removeprefix("local: ") for line in local),
            hint="put their code in source_directory and call from_kernel(modules=[...]) with the others",
        )
    kept = [pin for pin in pins if not pin.startswith("#") and not (modules is None and _is_notebook(pin))]
    return CondaDependencies.create(python_version="{}.{}".format(*sys.version_info), pip_packages=kept)


def _is_notebook(line: str) -> bool:
    name = line.partition("==")[0].lower().replace("_", "-")
    return name in NOTEBOOK_PACKAGES or name.startswith("jupyter")
