"""Whatever the umask, every folder and file of a workspace is for its user alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

import pytest

from mldeploy_jupyter import Environment, Model

from .conftest import Site, ask, live, update


@pytest.fixture(params=[0o000, 0o077], ids=["umask 000", "umask 077"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_every_folder_and_file_of_a_workspace_is_private(umask: int, site: Site) -> None:
    (site.folder / "model").mkdir()
    (site.folder / "model" / "deep").mkdir()
    (site.folder / "model" / "deep" / "weights.bin").write_bytes(b"weights")
    model = Model.register(site.ws, str(site.folder / "model"), "folder")
    service = live(site, models=[model, str(site.folder / "model" / "deep" / "weights.bin")])
    site.script(2)
    update(site, service, wait=True)
    assert ask(service) == 2
    service.regen_key("Primary")
    Environment("env").register(site.ws)
    Model.get_model_path("folder", _workspace=site.ws)
    service.stop()
    service.start()
    root = site.folder / ".mldeploy"
    modes = {path: path.lstat() for path in (root, *root.rglob("*")) if not path.is_symlink()}
    assert len(modes) > 50
    shared = {
        str(path.relative_to(site.folder)): oct(mode.st_mode) for path, mode in modes.items() if mode.st_mode & 0o077
    }
    assert not shared
    ours = [path for path, mode in modes.items() if stat.S_ISDIR(mode.st_mode) and stat.S_IMODE(mode.st_mode) != 0o700]
    assert not ours
