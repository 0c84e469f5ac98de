"""The program uv as it runs inside a build: this machine's own, or the same version for another architecture."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import tempfile
from pathlib import Path

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.images.layer_tar import LayerFile

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}

_DOWNLOAD_SECONDS = 300


def uv_program(platform_name: str) -> LayerFile:
    """uv for a platform such as "linux/amd64". One for another architecture is downloaded from the package index.

    Raises:
        EnvironmentBuildError: uv is missing, or there is none for the platform.
    """
    import uv

    wanted = _MACHINES.get(platform_name.partition("/")[2].partition("/")[0], "")
    try:
        if wanted == platform.machine():
            return LayerFile.of(Path(uv.find_uv_bin()).read_bytes(), 0o755)
        with tempfile.TemporaryDirectory(prefix="mldeploy-uv-") as folder:
            return LayerFile.of(_download(uv.find_uv_bin(), wanted, Path(folder)).read_bytes(), 0o755)
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or str(error)
        raise EnvironmentBuildError(
            f"the tool uv for {platform_name} was not found",
            why=str(output).strip().splitlines()[-1] if str(output).strip() else type(error).__name__,
            hint="pip install --force-reinstall uv, in the kernel's environment",
            code="UvNotFound",
        ) from None


def _download(uv: str, machine: str, folder: Path) -> Path:
    if not machine:
        raise OSError("there is no uv for this architecture")
    wanted = f"uv=={importlib.metadata.version('uv')}"
    command = [uv, "pip", "install", "--target", str(folder), "--no-deps", "--only-binary", ":all:"]
    command += ["--python-platform", f"{machine}-manylinux2014", "--link-mode", "copy", wanted]
    environ = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, env=environ)
    return folder / "bin" / "uv"
