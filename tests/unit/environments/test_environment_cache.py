"""The shared folder: whole or not there, held by one, swept by age and use."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments import cache
from mldeploy_jupyter.environments.provided import without_provided


def make(folder: Path, final: Path) -> dict[str, str]:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("")
    return {"kind": "venv"}


def test_a_build_appears_whole_and_leavings_go(tmp_path: Path) -> None:
    left = tmp_path / "environments" / ".building-abc-1"
    left.mkdir(parents=True)
    cache.build(tmp_path, "abc", make, "six==1\n")
    folder = cache.folder_of(tmp_path, "abc")
    assert cache.whole(folder) == {"kind": "venv"}
    assert (folder / cache.LOCK_FILE).read_text() == "six==1\n"
    assert [path.name for path in folder.parent.iterdir()] == ["abc"]


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path, final: Path) -> dict[str, str]:
        make(folder, final)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.build(tmp_path, "abc", fail, "")
    assert list((tmp_path / "environments").iterdir()) == []


def test_an_environment_whose_python_went_away_is_made_again(tmp_path: Path) -> None:
    cache.build(tmp_path, "abc", make, "")
    folder = cache.folder_of(tmp_path, "abc")
    (folder / "bin" / "python").unlink()
    (folder / "bin" / "python").symlink_to(tmp_path / "gone")
    assert cache.whole(folder) is None
    cache.build(tmp_path, "abc", make, "")
    assert cache.whole(folder) is not None


def test_waiting_for_the_lock_says_so_once_and_can_be_cancelled(tmp_path: Path) -> None:
    said: list[str] = []
    asked = iter([None, None, KeyboardInterrupt()])

    def cancel() -> None:
        if (error := next(asked)) is not None:
            raise error

    with cache.hold(tmp_path, "x"), pytest.raises(KeyboardInterrupt):
        with cache.hold(
            tmp_path, "x", emit=lambda kind, text="", **_: said.append(text), cancel=cancel, wait=lambda _: None
        ):
            pytest.fail("two held the same lock")
    assert len(said) == 1
    with cache.hold(tmp_path, "x"):
        pass


def test_sweep_keeps_the_used_the_recent_and_the_held(tmp_path: Path) -> None:
    for digest in ("used", "old", "recent", "held"):
        cache.build(tmp_path, digest, make, "")
        age = 0 if digest == "recent" else 10_000
        marker = cache.folder_of(tmp_path, digest) / cache.MARKER
        os.utime(marker, (1_000_000 - age, 1_000_000 - age))
    left = tmp_path / "environments" / ".building-dead-1"
    left.mkdir()
    os.utime(left, (1, 1))
    with cache.hold(tmp_path, "held"):
        assert cache.sweep({"used"}, cache=tmp_path, now=lambda: 1_000_000.0) == 1
    assert sorted(path.name for path in (tmp_path / "environments").iterdir()) == ["held", "recent", "used"]
    assert cache.sweep(set(), cache=tmp_path, min_age=0, now=lambda: 1_000_001.0) == 3
    assert cache.sweep(set(), cache=tmp_path / "nowhere") == 0


def test_a_full_disk_is_named(tmp_path: Path, snapshot: object) -> None:
    with pytest.raises(EnvironmentBuildError) as caught, cache.named_errors(Path("CACHE")):
        raise OSError(errno.ENOSPC, "No space left on device", "CACHE/x")
    assert caught.value.code == "DiskFull"
    assert str(caught.value) == snapshot


def test_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLDEPLOY_CACHE", str(tmp_path / "c"))
    assert cache.cache_root() == tmp_path / "c"
    assert cache.cache_root(tmp_path) == tmp_path
    monkeypatch.delenv("MLDEPLOY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_root() == tmp_path / "mldeploy"


def test_what_the_server_provides_is_dropped_but_not_its_extras() -> None:
    asked = ["azureml-defaults>=1.0", "inference-schema[numpy-support]", "Azureml_Core", "six==1.0 --hash=sha256:aa"]
    kept, dropped = without_provided(asked)
    assert kept == ["numpy", "six==1.0 --hash=sha256:aa"]
    assert dropped == ["azureml-defaults>=1.0", "inference-schema[numpy-support]", "Azureml_Core"]


def test_the_servers_own_requirements_are_part_of_a_locks_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade of this package no lock of before is taken."""
    from mldeploy_jupyter.core.environment.spec import EnvironmentSpec
    from mldeploy_jupyter.environments import locking

    before = locking._key(EnvironmentSpec(pip=["six"]), "/nowhere/python")
    assert locking._key(EnvironmentSpec(name="n", pip=["six"]), "/nowhere/python") == before
    monkeypatch.setattr(locking, "server_requirements", lambda: ["uvicorn>=1000"])
    assert locking._key(EnvironmentSpec(pip=["six"]), "/nowhere/python") != before


def test_work_of_rattler_can_be_cancelled() -> None:
    import asyncio

    from mldeploy_jupyter.environments import conda

    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("yes")

    def cancel() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conda._run(endless(), cancel)
    assert ended == ["yes"]
