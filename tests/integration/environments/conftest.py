"""A package index made here: small wheels in a folder, so that real locks and builds need no network."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.environments import PreparedEnvironment, prepare

# What the scoring server asks for, as empty packages of a version that is new enough.
SERVER = {"httptools": "99.0", "uvloop": "99.0", "orjson": "99.0", "werkzeug": "99.0"}


def wheel(folder: Path, name: str, version: str, requires: tuple[str, ...] = ()) -> Path:
    """A wheel with one module, `VERSION` in it."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {text}\n" for text in requires)
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            archive.writestr(member, text)
    return path


def slow_sdist(folder: Path) -> None:
    """A source package whose build says that it started, then waits until it may end (at most a minute)."""
    backend = """
        import os, pathlib, time

        def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
            place = pathlib.Path(os.environ["SLOW_PLACE"])
            (place / f"started-{os.getpid()}").touch()
            end = time.monotonic() + 60
            while not (place / "go").exists() and time.monotonic() < end:
                time.sleep(0.02)
            import zipfile
            name = "slow-1.0-py3-none-any.whl"
            with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w") as archive:
                archive.writestr("slow.py", "VERSION = '1.0'\\n")
                archive.writestr("slow-1.0.dist-info/METADATA", "Metadata-Version: 2.2\\nName: slow\\nVersion: 1.0\\n")
                archive.writestr("slow-1.0.dist-info/WHEEL",
                    "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
                archive.writestr("slow-1.0.dist-info/RECORD", "slow.py,,\\n")
            return name
    """
    files = {
        "PKG-INFO": "Metadata-Version: 2.2\nName: slow\nVersion: 1.0\n",
        "pyproject.toml": '[project]\nname = "slow"\nversion = "1.0"\n[build-system]\nrequires = []\n'
        'build-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": textwrap.dedent(backend),
    }
    with tarfile.open(folder / "slow-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"slow-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))


def conda_package(
    channel: Path,
    name: str,
    version: str,
    *,
    depends: tuple[str, ...] = (),
    files: dict[str, bytes] | None = None,
    links: dict[str, str] | None = None,
    noarch: bool = True,
) -> None:
    """Add a package to a channel on disk: the archive, and its entry in repodata.json."""
    from rattler import Subdir

    subdir = "noarch" if noarch else str(Subdir.current())
    for each in ("noarch", str(Subdir.current())):
        (channel / each).mkdir(parents=True, exist_ok=True)
        if not (channel / each / "repodata.json").exists():
            empty = {"info": {"subdir": each}, "packages": {}, "packages.conda": {}}
            (channel / each / "repodata.json").write_text(json.dumps(empty))
    files, links = files or {}, links or {}
    index: dict[str, Any] = {"name": name, "version": version, "build": "0", "build_number": 0}
    index |= {"depends": list(depends), "subdir": subdir} | ({"noarch": "python"} if noarch else {})
    entries = [
        {"_path": path, "path_type": "hardlink", "sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}
        for path, data in files.items()
    ]
    entries += [{"_path": path, "path_type": "softlink"} for path in links]
    members = {
        "info/index.json": json.dumps(index).encode(),
        "info/paths.json": json.dumps({"paths_version": 1, "paths": entries}).encode(),
        "info/files": "\n".join([*files, *links]).encode(),
        "info/about.json": b"{}",
        **files,
    }
    if noarch:
        members["info/link.json"] = json.dumps({"noarch": {"type": "python"}, "package_metadata_version": 1}).encode()
    file = f"{name}-{version}-0.tar.bz2"
    with tarfile.open(channel / subdir / file, "w:bz2") as archive:
        for path, data in members.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o755 if "bin/" in path else 0o644
            archive.addfile(member, io.BytesIO(data))
        for path, target in links.items():
            member = tarfile.TarInfo(path)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    data = (channel / subdir / file).read_bytes()
    repodata = json.loads((channel / subdir / "repodata.json").read_text())
    repodata["packages"][file] = index | {
        "sha256": hashlib.sha256(data).hexdigest(),
        "md5": hashlib.md5(data).hexdigest(),
        "size": len(data),
    }
    (channel / subdir / "repodata.json").write_text(json.dumps(repodata))


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheelhouse")
    for name, version in SERVER.items():
        wheel(folder, name, version)
    wheel(folder, "httptools", "0.1.0")
    wheel(folder, "orjson", "1.0")
    wheel(folder, "demo", "1.0")
    wheel(folder, "demo", "2.0", ("helper>=1",))
    wheel(folder, "helper", "1.5")
    wheel(folder, "oldest", "1.0", ("orjson<2",))
    slow_sdist(folder)
    return folder


@pytest.fixture(scope="session")
def add_conda_package() -> Callable[..., None]:
    return conda_package


@pytest.fixture
def uv_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv keeps built wheels; a test of building must not find those of another."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))


Make = Callable[..., PreparedEnvironment]


@pytest.fixture
def spec_of(wheelhouse: Path) -> Callable[..., EnvironmentSpec]:
    """A spec whose PyPI packages come from the wheelhouse alone."""

    def make(*pip: str, **more: Any) -> EnvironmentSpec:
        return EnvironmentSpec(pip=list(pip), pip_options=["--no-index", f"--find-links={wheelhouse}"], **more)

    return make


@pytest.fixture
def lines() -> list[str]:
    """What the last `made` said."""
    return []


@pytest.fixture
def made(tmp_path: Path, lines: list[str], uv_cache: None) -> Make:
    """`prepare` with a cache of the test's own, for the running interpreter."""

    def run(spec: EnvironmentSpec | None, **more: Any) -> PreparedEnvironment:
        lines.clear()
        more.setdefault("cache", tmp_path / "cache")
        emit = lambda kind, text="", **data: lines.append(text)  # noqa: E731
        return prepare(spec, kernel_python=sys.executable, emit=emit, **more)

    return run
