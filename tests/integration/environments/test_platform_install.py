"""Environments for the platform of an image: real wheels, installed for another place than the one they are in."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments import install_for_platform, lock
from tests.integration.environments.conftest import wheel

Specs = Callable[..., EnvironmentSpec]
Add = Callable[..., None]
MINOR = "{}.{}".format(*sys.version_info)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with a package that has a script, a data file and a template that is no Python."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    path = wheel(folder, "tool", "1.0")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("tool-1.0.dist-info/entry_points.txt", "[console_scripts]\ntool = tool:main\n")
        archive.writestr("tool-1.0.data/data/share/tool/notes.txt", "notes")
        archive.writestr("tool-1.0.data/scripts/old-tool", "#!python\nprint('old')\n")
        archive.writestr("tool_template.py", "{{ this is no Python }}\n")
    return folder


def lock_of(spec: EnvironmentSpec) -> str:
    return lock(spec, kernel_python=sys.executable).text


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def with_wheels(spec: EnvironmentSpec, folder: Path) -> EnvironmentSpec:
    return replace(spec, pip_options=[*spec.pip_options, f"--find-links={folder}"])


def test_environment_depends_on_the_lock_alone(spec_of: Specs, wheels: Path, tmp_path: Path) -> None:
    spec = with_wheels(spec_of("tool==1.0"), wheels)
    text = lock_of(spec)
    first = install_for_platform(text, "linux/amd64", tmp_path / "first", spec=spec)
    mask = os.umask(0o077)
    try:
        install_for_platform(text, "linux/amd64", tmp_path / "a" / "b" / "second", spec=spec)
    finally:
        os.umask(mask)
    found = content(tmp_path / "first")
    assert found == content(tmp_path / "a" / "b" / "second")
    assert (first.python, first.has_python, first.compiled) == (MINOR, False, True)
    site = f"lib/python{MINOR}/site-packages"
    tag = f"cpython-{MINOR.replace('.', '')}"
    assert f"{site}/__pycache__/tool.{tag}.pyc" in found
    assert f"{site}/__pycache__/tool_template.{tag}.pyc" not in found
    assert "share/tool/notes.txt" in found
    assert not [name for name in found if "activate" in name or "pyvenv" in name or name == "bin/python"]
    for name in ("bin/tool", "bin/old-tool"):
        assert (tmp_path / "first" / name).read_text().startswith("#!/opt/venv/bin/python\n"), name
    everything = b"".join(path.read_bytes() for path in (tmp_path / "first").rglob("*") if path.is_file())
    assert str(tmp_path).encode() not in everything


def test_record_tells_of_the_scripts_as_they_are(spec_of: Specs, wheels: Path, tmp_path: Path) -> None:
    spec = with_wheels(spec_of("tool==1.0"), wheels)
    folder = tmp_path / "made"
    install_for_platform(lock_of(spec), "linux/amd64", folder, spec=spec)
    check = (
        "import base64, hashlib, importlib.metadata as m, sys\n"
        "for f in m.Distribution.at(sys.argv[1]).files:\n"
        "    if f.hash: \n"
        "        d = hashlib.sha256(f.locate().read_bytes()).digest()\n"
        "        assert base64.urlsafe_b64encode(d).rstrip(b'=').decode() == f.hash.value, f\n"
    )
    info = folder / "lib" / f"python{MINOR}" / "site-packages" / "tool-1.0.dist-info"
    subprocess.run([sys.executable, "-c", check, str(info)], check=True, timeout=60)


def test_files_of_the_cache_are_not_changed(spec_of: Specs, wheels: Path, tmp_path: Path) -> None:
    """uv links files of its cache into an environment; a script that is written anew is another file."""
    spec = with_wheels(spec_of("tool==1.0"), wheels)
    text = lock_of(spec)
    for number in range(2):
        install_for_platform(text, "linux/amd64", tmp_path / f"made-{number}", spec=spec, prefix=f"/opt/{number}")
        assert (tmp_path / f"made-{number}" / "bin" / "tool").read_text().startswith(f"#!/opt/{number}/bin/python\n")


def test_package_without_a_wheel_is_refused_by_name(spec_of: Specs, tmp_path: Path) -> None:
    spec = spec_of("slow==1.0")  # the wheelhouse has its source only
    text = lock_of(spec_of()) + "slow==1.0\n"
    with pytest.raises(EnvironmentBuildError) as refused:
        install_for_platform(text, "linux/amd64", tmp_path / "made", spec=spec)
    assert refused.value.code == "SourceOnly"
    assert "slow" in refused.value.what
    assert "builder docker" in refused.value.hint


def test_wheel_for_another_platform_does_not_count(spec_of: Specs, wheels: Path, tmp_path: Path) -> None:
    path = wheel(wheels, "native", "1.0")
    path.rename(
        path.with_name(f"native-1.0-cp{MINOR.replace('.', '')}-cp{MINOR.replace('.', '')}-manylinux_2_34_x86_64.whl")
    )
    spec = with_wheels(spec_of(), wheels)
    text = lock_of(spec) + "native==1.0\n"
    install_for_platform(text, "linux/amd64", tmp_path / "new", spec=spec, glibc=(2, 36))
    for platform, glibc in (("linux/amd64", (2, 31)), ("linux/arm64", (2, 36))):
        with pytest.raises(EnvironmentBuildError):
            install_for_platform(text, platform, tmp_path / f"{platform}-{glibc[1]}", spec=spec, glibc=glibc)


def test_conda_packages_are_linked_for_their_place(spec_of: Specs, add_conda_package: Add, tmp_path: Path) -> None:
    channel = tmp_path / "channel"
    files = {
        "site-packages/greet.py": b"VERSION = '1.0'\n",
        "site-packages/greet-1.0.dist-info/METADATA": b"Name: greet\n",
    }
    add_conda_package(channel, "greet", "1.0", depends=("python",), files=files)
    spec = replace(spec_of(python=MINOR), conda=["greet"], channels=[channel.as_uri()])
    made = install_for_platform(lock_of(spec), "linux/amd64", tmp_path / "made", spec=spec, cache=tmp_path / "cache")
    found = content(tmp_path / "made")
    assert not made.has_python
    assert f"lib/python{MINOR}/site-packages/greet.py" in found
    assert not [name for name in found if name.startswith("conda-meta")]


def test_conda_package_with_a_link_script_is_refused(spec_of: Specs, add_conda_package: Add, tmp_path: Path) -> None:
    channel = tmp_path / "channel"
    files = {"site-packages/greet.py": b"", "bin/.greet-post-link.sh": b"#!/bin/sh\n"}
    add_conda_package(channel, "greet", "1.0", depends=("python",), files=files)
    spec = replace(spec_of(python=MINOR), conda=["greet"], channels=[channel.as_uri()])
    with pytest.raises(EnvironmentBuildError, match="greet") as refused:
        install_for_platform(lock_of(spec), "linux/amd64", tmp_path / "made", spec=spec, cache=tmp_path / "cache")
    assert refused.value.code == "LinkScripts"
    assert "builder docker" in refused.value.hint
