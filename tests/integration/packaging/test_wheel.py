"""The package as it is published: what is in it, and that it works where there is no Node."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[3]
EXTENSION = "share/jupyter/labextensions/mldeploy-jupyter"
CONFIG = "etc/jupyter/jupyter_server_config.d/mldeploy_jupyter.json"
UV = [sys.executable, "-m", "uv"]


def run(*words: str | Path, **options: object) -> str:
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=800, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return str(done.stdout + done.stderr)


@pytest.fixture(scope="module")
def without_node(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which there is neither Node nor npm."""
    folder = tmp_path_factory.mktemp("bin")
    for program in ("sh", "env", "uname", "ldd", "cat"):
        found = shutil.which(program)
        if found:
            (folder / program).symlink_to(found)
    assert shutil.which("node", path=str(folder)) is None
    jupyter = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "VIRTUAL_ENV"))}
    return {**kept, **jupyter, "PATH": str(folder)}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    run(*UV, "build", "--sdist", "--out-dir", folder, ROOT)
    (found,) = folder.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory, without_node: dict[str, str]) -> Path:
    """The wheel, built from the sdist: that needs no Node either."""
    folder = tmp_path_factory.mktemp("wheel")
    run(*UV, "build", "--wheel", "--out-dir", folder, sdist, env=without_node)
    (found,) = folder.glob("*.whl")
    return found


def test_the_sdist_has_sources_and_what_was_built_of_them(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert not [name for name in names if "node_modules" in name]
    for name in ("labextension/src/lab/plugins/index.ts", "labextension/package-lock.json", "hatch_build.py"):
        assert name in names
    assert "mldeploy_jupyter/labextension/package.json" in names
    assert {f"mldeploy_jupyter/notebook/static/{name}.js" for name in ("panel", "api", "latency")} <= set(names)
    assert sdist.stat().st_size < 5_000_000


def test_the_wheel_has_both_extensions_once(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (record,) = [archive.read(name).decode() for name in names if name.endswith(".dist-info/RECORD")]
    data = [name.partition(".data/data/")[2] for name in names if ".data/data/" in name]
    assert CONFIG in data
    for name in ("package.json", "install.json", "schemas/mldeploy-jupyter/plugin.json"):
        assert f"{EXTENSION}/{name}" in data
    static = [name for name in data if name.startswith(f"{EXTENSION}/static/")]
    assert sorted(re.sub(r"\.[0-9a-f]{20}\.", ".", Path(name).name) for name in static) == [
        "api.js",
        "lab.css",
        "lab.js",
        "latency.js",
        "remoteEntry.js",
    ]
    assert all(f".data/data/{name}," in record for name in data)
    assert not [name for name in names if name.startswith("mldeploy_jupyter/labextension/")]
    assert {f"mldeploy_jupyter/notebook/static/{name}.js" for name in ("panel", "api", "latency")} <= set(names)


def test_both_extensions_are_ok_where_there_is_no_node(
    wheel: Path, tmp_path: Path, without_node: dict[str, str]
) -> None:
    environment = tmp_path / "venv"
    run(*UV, "venv", "--python", sys.executable, environment)
    run(*UV, "pip", "install", "--python", environment / "bin" / "python", wheel)
    jupyter = environment / "bin" / "jupyter"
    path = {**without_node, "PATH": f"{environment / 'bin'}{os.pathsep}{without_node['PATH']}"}
    lab = run(jupyter, "labextension", "list", env=path, cwd=tmp_path)
    assert re.search(r"mldeploy-jupyter v[\d.]+ .*enabled.*OK.*\(python, mldeploy-jupyter\)", lab), lab
    server = run(jupyter, "server", "extension", "list", env=path, cwd=tmp_path)
    assert re.search(r"mldeploy_jupyter .*enabled", server) and re.search(r"mldeploy_jupyter .*OK", server), server
