"""Bytes go in whole or not at all and come out as they went in, in a folder and behind an fsspec URL."""

from __future__ import annotations

import hashlib
import mmap
import os
import socket
import stat
import subprocess
import sys
import threading
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.artifacts import locations
from mldeploy_jupyter.core.artifacts.artifact_store import GRACE_SECONDS, ArtifactStore
from mldeploy_jupyter.core.artifacts.file_tree import Manifest
from mldeploy_jupyter.core.artifacts.verified import WORTH_REMEMBERING
from mldeploy_jupyter.core.copying import CHUNK
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.patience import patience

LONG_AGO = 10 * GRACE_SECONDS


@pytest.fixture(params=["folder", "file", "memory"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ArtifactStore]:
    if request.param == "memory":
        root = f"/{uuid.uuid4().hex}"
        yield ArtifactStore(f"memory:/{root}")
        fsspec.filesystem("memory").rm(root, recursive=True)
        return
    place = tmp_path / "artifacts"
    yield ArtifactStore(str(place) if request.param == "folder" else place.as_uri())


@pytest.fixture
def local(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path / "artifacts"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a hidden file, an empty one, an odd name, one of several chunks, and two alike."""
    folder = tmp_path / "model"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / ".hidden").write_bytes(b"h")
    (folder / "empty").write_bytes(b"")
    (folder / "deep" / "größe 1.bin").write_bytes(os.urandom(2 * CHUNK + 17))
    (folder / "deep" / "er" / "a").write_bytes(b"same")
    (folder / "deep" / "er" / "b").write_bytes(b"same")
    return folder


def names(artifacts: ArtifactStore, folder: str) -> list[str]:
    return [key for key, _, _ in artifacts._location.list_files(folder)]


def test_a_folder_comes_back_byte_for_byte(artifacts: ArtifactStore, model: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    digest, size, files = artifacts.put(model, progress=lambda done, total: seen.append((done, total)))
    expected = {
        f"model/{path.relative_to(model).as_posix()}": path.read_bytes() for path in model.rglob("*") if path.is_file()
    }
    assert files == {name: [hashlib.sha256(data).hexdigest(), len(data)] for name, data in expected.items()}
    assert size == sum(map(len, expected.values()))
    assert seen[-1] == (size, size) and seen == sorted(seen)
    target = tmp_path / "copied"
    artifacts.materialize(files, target)
    found = {p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*") if p.is_file()}
    assert found == expected
    assert artifacts.put(model) == (digest, size, files)
    assert len(names(artifacts, "blobs")) == 4
    assert names(artifacts, "tmp") == []


def test_a_file_is_stored_under_its_basename(artifacts: ArtifactStore, model: Path) -> None:
    _, size, files = artifacts.put(model / "deep" / "er" / "a")
    assert list(files) == ["a"] and size == 4
    assert list(artifacts.put(model / "empty", basename="m.pkl")[2]) == ["m.pkl"]
    assert list(artifacts.put(model, select=["deep/er", ".hidden"])[2]) == [
        "model/.hidden",
        "model/deep/er/a",
        "model/deep/er/b",
    ]


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _write_through_a_map(path: Path) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[0] ^= 255


@pytest.mark.parametrize(
    "change",
    [_append, _write_through_a_map, lambda p: os.truncate(p, 1), lambda p: p.chmod(0o777), Path.unlink,
     lambda p: p.rename(p.with_name("other"))],
    ids=["append", "mmap", "truncate", "chmod", "unlink", "rename"],
)  # fmt: skip
@pytest.mark.parametrize("size", [100, WORTH_REMEMBERING + 5])
def test_what_is_written_to_a_copy_reaches_no_blob(
    local: ArtifactStore, tmp_path: Path, change: Callable[[Path], object], size: int
) -> None:
    content = os.urandom(size)
    (tmp_path / "m").write_bytes(content)
    _, _, files = local.put(tmp_path / "m")
    blob = next((tmp_path / "artifacts" / "blobs").rglob("??*/*"))
    for number in range(2):
        local.materialize(files, tmp_path / str(number))
        copy = tmp_path / str(number) / "m"
        assert copy.read_bytes() == content and copy.stat().st_nlink == 1
        assert stat.S_IMODE(copy.stat().st_mode) & stat.S_IWUSR
        change(copy)
    assert blob.read_bytes() == content and stat.S_IMODE(blob.stat().st_mode) == 0o400


def test_a_large_blob_is_not_read_again_for_its_digest(
    local: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m").write_bytes(os.urandom(WORTH_REMEMBERING))
    _, _, files = local.put(tmp_path / "m")
    hashed: list[object] = []
    copy = locations.copy_stream
    monkeypatch.setattr(locations, "copy_stream", lambda *args: hashed.append(args) or copy(*args))
    local.materialize(files, tmp_path / "a")
    assert not hashed
    blob = next((tmp_path / "artifacts" / "blobs").rglob("??*/*"))
    os.utime(blob)  # its ctime changed, so it may have been written to
    local.materialize(files, tmp_path / "b")
    local.materialize(files, tmp_path / "c")
    assert len(hashed) == 1
    assert {(tmp_path / name / "m").read_bytes() for name in "abc"} == {blob.read_bytes()}


def test_the_folders_are_private(local: ArtifactStore, model: Path, tmp_path: Path) -> None:
    local.put(model)
    root = tmp_path / "artifacts"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (root, *root.rglob("*")) if path.is_dir()} == {0o700}


def test_links_inside_the_folder_are_followed(artifacts: ArtifactStore, model: Path, tmp_path: Path) -> None:
    (model / "link").symlink_to("deep/er/a")
    (model / "folder").symlink_to("deep/er")
    (tmp_path / "named").symlink_to(model)
    _, _, files = artifacts.put(tmp_path / "named")
    assert files["named/link"] == files["named/deep/er/a"] == files["named/folder/b"]


def test_files_that_cannot_be_stored_are_refused(local: ArtifactStore, model: Path, tmp_path: Path, snapshot) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    wrong: dict[str, Path] = {}
    for name in ("leaves", "circle", "itself", "broken", "socket", "empty", "encoding", "deep"):
        wrong[name] = tmp_path / name
        wrong[name].mkdir()
    (wrong["deep"] / "/".join("d" * 201)).mkdir(parents=True)
    (wrong["leaves"] / "link").symlink_to("../outside")
    (wrong["circle"] / "link").symlink_to(".")
    (wrong["itself"] / "link").symlink_to("link")
    (wrong["broken"] / "link").symlink_to("nowhere")
    (wrong["encoding"] / os.fsdecode(b"m\xff.pkl")).write_bytes(b"")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(wrong["socket"] / "s"))
        texts = {}
        for name, folder in wrong.items():
            with pytest.raises(StorageError) as caught:
                local.put(folder)
            texts[name] = str(caught.value).replace(str(tmp_path), "FOLDER")
    assert texts == snapshot
    assert names(local, "blobs") == names(local, "tmp") == []


@pytest.mark.parametrize("what", ["vanishes", "grows", "changes", "is replaced"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    artifacts: ArtifactStore, model: Path, what: str, snapshot
) -> None:
    big = model / "deep" / "größe 1.bin"

    interfered: list[int] = []

    def interfere(done: int, total: int) -> None:
        if done < CHUNK or interfered:
            return
        interfered.append(done)
        if what == "vanishes":
            big.unlink()
        elif what == "grows":
            with big.open("ab") as file:
                file.write(b"more")
        elif what == "changes":
            with big.open("r+b") as file:
                file.write(b"new")
            os.utime(big, ns=(1, 1))
        else:
            (model / "new").write_bytes(big.read_bytes())
            os.replace(model / "new", big)

    with pytest.raises(StorageError) as caught:
        artifacts.put(model, progress=interfere)
    assert str(caught.value).replace(str(model.parent), "FOLDER") == snapshot(name=what)
    assert names(artifacts, "blobs") == names(artifacts, "tmp") == []


def test_a_later_file_that_vanishes_takes_the_earlier_ones_with_it(artifacts: ArtifactStore, model: Path) -> None:
    def interfere(done: int, total: int) -> None:
        (model / "empty").unlink(missing_ok=True)

    with pytest.raises(StorageError, match="vanished"):
        artifacts.put(model, progress=interfere)
    assert names(artifacts, "blobs") == names(artifacts, "tmp") == []


@pytest.mark.parametrize("damage", ["flipped", "truncated", "gone"])
def test_damage_is_found_before_a_model_is_used(local: ArtifactStore, tmp_path: Path, damage: str, snapshot) -> None:
    (tmp_path / "m.pkl").write_bytes(b"0123456789")
    _, _, files = local.put(tmp_path / "m.pkl")
    blob = next((tmp_path / "artifacts" / "blobs").rglob("??*/*"))
    blob.chmod(0o600)
    if damage == "gone":
        blob.unlink()
    else:
        blob.write_bytes(b"0123456780" if damage == "flipped" else b"01234")
    with pytest.raises(StorageError) as caught:
        local.materialize(files, tmp_path / "out")
    assert not (tmp_path / "out" / "m.pkl").exists()
    assert str(caught.value).replace(str(tmp_path), "FOLDER") == snapshot(name=damage)
    local.put(tmp_path / "m.pkl")  # registering it again heals it
    local.materialize(files, tmp_path / "out")


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", ""])
def test_names_from_the_store_stay_inside_the_target(local: ArtifactStore, tmp_path: Path, name: str) -> None:
    (tmp_path / "m").write_bytes(b"x")
    _, _, files = local.put(tmp_path / "m")
    with pytest.raises(StorageError, match="unsafe name"):
        local.materialize({name: files["m"]}, tmp_path / "out")
    assert not (tmp_path / "evil").exists()


def test_a_file_in_the_way_is_not_replaced(artifacts: ArtifactStore, model: Path, tmp_path: Path) -> None:
    _, _, files = artifacts.put(model / "empty")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "empty").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        artifacts.materialize(files, tmp_path / "out")
    assert (tmp_path / "out" / "empty").read_bytes() == b"mine"
    assert os.listdir(tmp_path / "out") == ["empty"]


def test_named_files(artifacts: ArtifactStore) -> None:
    assert artifacts.read_bytes("journals/d1.jsonl") is None
    artifacts.put_bytes("journals/d1.jsonl", b"one\n")
    artifacts.put_bytes("journals/d1.jsonl", b"two\n")
    assert artifacts.read_bytes("journals/d1.jsonl") == b"two\n"
    artifacts.remove_file("journals/d1.jsonl")
    artifacts.remove_file("journals/d1.jsonl")
    assert artifacts.read_bytes("journals/d1.jsonl") is None


def test_a_file_is_copied_in_pieces(artifacts: ArtifactStore, tmp_path: Path) -> None:
    source, size = tmp_path / "events.jsonl", 64 * 1024 * 1024
    with source.open("wb") as file:
        file.truncate(size)
        file.seek(size - 4)
        file.write(b"end\n")
    artifacts.put_bytes("journals/d1.jsonl", b"old\n")
    tracemalloc.start()
    try:
        artifacts.put_file("journals/d1.jsonl", source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    found = artifacts.read_bytes("journals/d1.jsonl") or b""
    assert len(found) == size and found.endswith(b"end\n")
    if "://" not in artifacts.url:  # a file system in memory has it whole
        assert peak < 4 * 1024 * 1024


def test_sweep_keeps_wanted_blobs(model: Path, tmp_path: Path) -> None:
    for url in (str(tmp_path / "swept"), f"memory://{uuid.uuid4().hex}"):
        artifacts = ArtifactStore(url, clock=lambda: time.time() + LONG_AGO)
        _, _, files = artifacts.put(model)
        keep = {files["model/.hidden"][0], files["model/empty"][0]}
        assert artifacts.measure_unreferenced(keep) == (2, 2 * CHUNK + 17 + 4)
        assert artifacts.sweep(lambda keep=keep: keep) == (2, 2 * CHUNK + 17 + 4)
        assert artifacts.sweep(keep) == (0, 0)
        assert {name.rpartition("/")[2] for name in names(artifacts, "blobs")} == keep
        assert artifacts.has(min(keep)) and not artifacts.has(files["model/deep/er/a"][0])


def test_sweep_leaves_fresh_remote_blobs_to_registrations_on_other_machines(model: Path) -> None:
    artifacts = ArtifactStore(f"memory://{uuid.uuid4().hex}")
    artifacts.put(model)
    assert artifacts.sweep(set()) == (0, 0)


def test_sweep_removes_what_dead_writers_left(local: ArtifactStore, tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        host, _, boot = process_identity.host_and_boot().partition("/")
        alive = f"{host}-{boot}-{child.pid}-{process_identity.start_time(child.pid)}-00"
        stages = {
            "alive": alive,
            "pid used again": f"{host}-{boot}-{child.pid}-1-00",
            "before the reboot": f"{host}-other-{child.pid}-{process_identity.start_time(child.pid)}-00",
            "another machine, now": "other-host-1-2-00",
        }
        for stage in stages.values():
            (tmp_path / "artifacts" / "tmp" / stage).mkdir(parents=True)
            (tmp_path / "artifacts" / "tmp" / stage / "0").write_bytes(b"half")
        assert local.sweep(set()) == (2, 8)
        assert set(os.listdir(tmp_path / "artifacts" / "tmp")) == {alive, stages["another machine, now"]}
    finally:
        child.communicate(b"\n")
    later = ArtifactStore(str(tmp_path / "artifacts"), clock=lambda: time.time() + LONG_AGO)
    assert later.sweep(set()) == (2, 8)
    assert os.listdir(tmp_path / "artifacts" / "tmp") == []


def test_a_full_disk_is_found_before_anything_is_read(
    local: ArtifactStore, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, snapshot
) -> None:
    monkeypatch.setattr(locations, "free_bytes", lambda path: 1_500_000)
    with pytest.raises(StorageError) as caught:
        local.put(model, progress=lambda done, total: pytest.fail("read something"))
    assert str(caught.value).replace(str(tmp_path), "FOLDER") == snapshot


def test_errors_of_a_remote_store_are_explained(monkeypatch: pytest.MonkeyPatch, model: Path, snapshot) -> None:
    artifacts = ArtifactStore("memory://broken")

    def fail(*args: object, **more: object) -> None:
        raise TimeoutError("no answer in 5 s")

    monkeypatch.setattr(MemoryFileSystem, "open", fail)
    with pytest.raises(StorageError) as caught:
        artifacts.put(model)
    assert str(caught.value) == snapshot
    with pytest.raises(StorageError, match="cannot be opened"):
        ArtifactStore("nonsense://place")


USES: dict[str, Callable[[ArtifactStore, Path, Manifest], object]] = {
    "put": lambda artifacts, folder, files: artifacts.put(folder / "model")[2],
    "put_bytes": lambda artifacts, folder, files: artifacts.put_bytes("journal", b"2"),
    "put_file": lambda artifacts, folder, files: artifacts.put_file("journal", folder / "model" / "deep" / "er" / "a"),
    "read_bytes": lambda artifacts, folder, files: artifacts.read_bytes("journal"),
    "materialize": lambda artifacts, folder, files: artifacts.materialize(files, folder / "copy"),
}


@pytest.mark.parametrize("use", USES)
def test_a_folder_that_comes_back_costs_a_runner_nothing(model: Path, tmp_path: Path, use: str) -> None:
    local = ArtifactStore(str(tmp_path / "workspace" / "artifacts"))
    files = local.put(model)[2]
    local.put_bytes("journal", b"1")
    workspace, away, notes = tmp_path / "workspace", tmp_path / "away", list[str]()
    workspace.rename(away)

    def note(text: str) -> None:
        notes.append(text)
        if away.exists():
            away.rename(workspace)

    with patience(60, note):
        result = USES[use](local, tmp_path, files)
    assert len(notes) == 2 and "folder of artifacts is unavailable" in notes[0]
    assert {"put": result == files, "read_bytes": result == b"1"}.get(use, True)
    if use == "materialize":
        assert (tmp_path / "copy" / "model" / "deep" / "er" / "a").read_bytes() == b"same"


def test_a_runner_writes_the_first_artifact_without_a_wait(tmp_path: Path) -> None:
    notes = list[str]()
    with patience(60, notes.append):
        artifacts = ArtifactStore(str(tmp_path / "artifacts"))
        assert artifacts.read_bytes("journal") is None
        artifacts.put_bytes("journal", b"1")
        assert artifacts.read_bytes("journal") == b"1"
    assert notes == []


def test_a_share_that_is_not_mounted_is_waited_for(model: Path, tmp_path: Path) -> None:
    share, away = tmp_path / "share", tmp_path / "away"
    files = ArtifactStore(str(share / "artifacts")).put(model)[2]
    share.rename(away)
    share.mkdir()
    back = threading.Timer(0.3, lambda: (share.rmdir(), away.rename(share)))
    back.start()
    with patience(60):
        ArtifactStore(str(share / "artifacts")).materialize(files, tmp_path / "copy")
    back.join()
    assert (tmp_path / "copy" / "model" / "deep" / "er" / "a").read_bytes() == b"same"


def test_a_blob_that_is_gone_is_not_waited_for(local: ArtifactStore, model: Path, tmp_path: Path) -> None:
    _, _, files = local.put(model)
    local.sweep(set())
    notes = list[str]()
    with patience(60, notes.append), pytest.raises(StorageError, match="is gone from the artifacts"):
        local.materialize(files, tmp_path / "copy")
    assert notes == []


def test_a_bucket_that_comes_back_costs_nothing(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts, errors = (
        ArtifactStore(f"memory://{uuid.uuid4().hex}"),
        [ConnectionResetError("reset"), RuntimeError("throttled")],
    )
    move = MemoryFileSystem.mv

    def fail_first(fs: MemoryFileSystem, *args: object, **options: object) -> None:
        if errors:
            raise errors.pop()
        move(fs, *args, **options)

    monkeypatch.setattr(MemoryFileSystem, "mv", fail_first)
    _, _, files = artifacts.put(model)
    assert all(artifacts.has(digest) for digest, _ in files.values()) and names(artifacts, "tmp") == []
