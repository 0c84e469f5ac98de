"""The scoring server's files: read once, linked from bundle to bundle, importable from a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mldeploy_jupyter.core import server_files


def test_a_folder_s_link_leads_to_this_installation_whatever_was_there(tmp_path: Path) -> None:
    folder = server_files.link(tmp_path / "server")
    place = folder / server_files.PACKAGE
    assert os.readlink(place) == server_files.ROOT
    before = place.lstat().st_ino
    assert server_files.link(folder) == folder and place.lstat().st_ino == before
    place.unlink()
    place.symlink_to(tmp_path / "another installation")
    server_files.link(folder)
    assert os.readlink(place) == server_files.ROOT and os.listdir(folder) == [server_files.PACKAGE]
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); from {server_files.PACKAGE} import settings"
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


def test_what_was_placed_is_linked_and_what_has_changed_is_not(tmp_path: Path) -> None:
    found = server_files.read()
    assert "supervisor.py" in found and os.path.join("schema", "quick.py") in found
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    server_files.settle(found, str(first), server_files.place(found, str(first)))
    server_files.place(found, str(second))
    same = (first / "app.py").stat().st_ino
    assert (second / "app.py").stat().st_ino == same
    (first / "app.py").write_text("# somebody wrote into the bundle")
    server_files.place(found, str(third))
    assert (third / "app.py").read_bytes() == Path(server_files.ROOT, "app.py").read_bytes()
