"""The scoring server's files: read once, linked from bundle to bundle, importable from a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mldeploy_jupyter.core.bundle import server_source


def test_link_package_replaces_a_link_to_another_installation(tmp_path: Path) -> None:
    folder = server_source.link_package(tmp_path / "server")
    place = folder / server_source.PACKAGE
    assert os.readlink(place) == server_source.ROOT
    before = place.lstat().st_ino
    assert server_source.link_package(folder) == folder and place.lstat().st_ino == before
    place.unlink()
    place.symlink_to(tmp_path / "another installation")
    server_source.link_package(folder)
    assert os.readlink(place) == server_source.ROOT and os.listdir(folder) == [server_source.PACKAGE]
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); from {server_source.PACKAGE} import settings"
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


def test_every_bundle_gets_files_of_its_own(tmp_path: Path) -> None:
    found = server_source.read_files()
    assert "settings.py" in found and os.path.join("schema", "number_arrays.py") in found
    for name in ("first", "second"):
        server_source.install_files(found, str(tmp_path / name))
    (tmp_path / "first" / "settings.py").write_text("# changed inside the bundle")
    installed = tmp_path / "second" / "settings.py"
    assert installed.read_bytes() == Path(server_source.ROOT, "settings.py").read_bytes()
    assert installed.stat().st_nlink == 1
