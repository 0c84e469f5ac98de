"""The shared folder of environments: built whole, by one process at a time, and swept by age and use."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments import cache


def make(folder: Path, final: Path) -> dict[str, str]:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("")
    return {"kind": "venv"}


def test_a_build_appears_whole_and_removes_leftovers(tmp_path: Path) -> None:
    left = tmp_path / "environments" / ".building-abc-1"
    left.mkdir(parents=True)
    cache.build(tmp_path, "abc", make, "six==1\n")
    folder = cache.environment_folder(tmp_path, "abc")
    assert cache.read_marker(folder) == {"kind": "venv"}
    assert (folder / cache.LOCK_FILE).read_text() == "six==1\n"
    assert [path.name for path in folder.parent.iterdir()] == ["abc"]


def test_a_failed_build_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(folder: Path, final: Path) -> dict[str, str]:
        make(folder, final)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.build(tmp_path, "abc", fail, "")
    assert list((tmp_path / "environments").iterdir()) == []


def test_an_environment_without_its_base_python_is_built_again(tmp_path: Path) -> None:
    cache.build(tmp_path, "abc", make, "")
    folder = cache.environment_folder(tmp_path, "abc")
    (folder / "bin" / "python").unlink()
    (folder / "bin" / "python").symlink_to(tmp_path / "gone")
    assert cache.read_marker(folder) is None
    cache.build(tmp_path, "abc", make, "")
    assert cache.read_marker(folder) is not None


def test_waiting_for_another_process_is_reported_once_and_can_be_cancelled(tmp_path: Path) -> None:
    said: list[str] = []
    asked = iter([None, None, KeyboardInterrupt()])

    def cancel() -> None:
        if (error := next(asked)) is not None:
            raise error

    with cache.exclusive(tmp_path, "x"), pytest.raises(KeyboardInterrupt):
        with cache.exclusive(
            tmp_path, "x", emit=lambda kind, text="", **_: said.append(text), cancel=cancel, sleep=lambda _: None
        ):
            pytest.fail("two held the same lock")
    assert len(said) == 1
    with cache.exclusive(tmp_path, "x"):
        pass


def test_sweep_keeps_environments_that_are_used_or_recent_or_being_built(tmp_path: Path) -> None:
    for digest in ("used", "old", "recent", "held"):
        cache.build(tmp_path, digest, make, "")
        age = 0 if digest == "recent" else 10_000
        marker = cache.environment_folder(tmp_path, digest) / cache.MARKER
        os.utime(marker, (1_000_000 - age, 1_000_000 - age))
    left = tmp_path / "environments" / ".building-dead-1"
    left.mkdir()
    os.utime(left, (1, 1))
    with cache.exclusive(tmp_path, "held"):
        assert cache.sweep({"used"}, cache=tmp_path, now=lambda: 1_000_000.0) == 1
    assert sorted(path.name for path in (tmp_path / "environments").iterdir()) == ["held", "recent", "used"]
    assert cache.sweep(set(), cache=tmp_path, min_age=0, now=lambda: 1_000_001.0) == 3
    assert cache.sweep(set(), cache=tmp_path / "nowhere") == 0


def test_a_full_disk_has_an_error_of_its_own(tmp_path: Path, snapshot: object) -> None:
    with pytest.raises(EnvironmentBuildError) as caught, cache.translate_os_errors(Path("CACHE")):
        raise OSError(errno.ENOSPC, "No space left on device", "CACHE/x")
    assert caught.value.code == "DiskFull"
    assert str(caught.value) == snapshot


def test_the_cache_folder_is_given_or_set_or_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLDEPLOY_CACHE", str(tmp_path / "c"))
    assert cache.cache_root() == tmp_path / "c"
    assert cache.cache_root(tmp_path) == tmp_path
    monkeypatch.delenv("MLDEPLOY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_root() == tmp_path / "mldeploy"
