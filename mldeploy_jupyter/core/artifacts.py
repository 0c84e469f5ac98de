"""The bytes of models and finished journals: content-addressed blobs in a folder or behind any fsspec URL.

    blobs/<ab>/<sha256>        one file's content, read-only, never changed
    files/<name>               small named files, such as archived journals
    tmp/<host>-<boot>-<pid>-<start>-<random>/   what a registration is writing at the moment

Every source byte is read once: copied and hashed in one pass, in bounded memory, under a temporary name. Only when
all files are whole do they get their names, so a registration that fails or is killed leaves no blob half written.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote

from mldeploy_jupyter.core import processes
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.files import (
    atomic_write,
    free_bytes,
    fsync_dir,
    locked,
    make_private_dir,
)
from mldeploy_jupyter.core.hashed_copy import copy_hashing, copy_stream, write_all
from mldeploy_jupyter.core.storage_errors import check_digest, disk_full, explained, remote_errors
from mldeploy_jupyter.core.tree import Manifest, list_files, manifest_digest, total_size

GRACE_SECONDS = 24 * 3600  # how long another machine's unfinished files, and any remote blob, are left alone

Progress = Callable[[int, int], object]  # bytes done, bytes in all


class Artifacts:
    """The artifacts at `url`: an absolute path, `file://...`, or any URL fsspec knows (`abfs://`, `s3://`, `memory://`).

    `clock` gives seconds since 1970. Every method raises `StorageError` when bytes cannot be read or written.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        self.url = url
        self._clock = clock
        self._local: Path | None = None
        if url.startswith("file://"):
            self._local = Path(unquote(url.removeprefix("file://")))
        elif "://" not in url:
            self._local = Path(url)
        if self._local is not None:
            with explained(self._local):
                make_private_dir(self._local)
            self._fs: Any = None
        else:
            self._fs, self._root = _open_remote(url)

    # Writing

    @contextmanager
    def registering(self) -> Iterator[None]:
        """Keeps `sweep` away from new blobs until the block's end. Hold it from `put` until the row is written."""
        with locked(self._local / ".lock", shared=True) if self._local else nullcontext():
            yield

    def put(
        self,
        source: Path,
        *,
        basename: str | None = None,
        select: list[str] | None = None,
        progress: Progress | None = None,
    ) -> tuple[str, int, Manifest]:
        """Keeps a file or folder. Gives back the manifest's digest, the size in bytes, and the manifest.

        `basename` and `select` are those of `core.tree.list_files`. Raises `StorageError` when a file vanishes or
        changes while it is read, or when the disk is full; nothing of it is kept then.
        """
        paths = list_files(source, basename, select)
        size = total_size(paths.values())
        stage = self._new_stage(size)
        files: Manifest = {}
        done = 0
        try:
            for number, (name, path) in enumerate(paths.items()):
                already = done

                def step(written: int, already: int = already) -> None:
                    if progress is not None:
                        progress(already + written, size)

                digest, length = self._stage_file(path, f"{stage}/{number}", size, step)
                files[name] = [digest, length]
                done += length
            for number, (digest, length) in enumerate(files.values()):
                self._publish(f"{stage}/{number}", digest, length)
        finally:
            self._remove(stage)
        return manifest_digest(files), done, files

    def put_bytes(self, name: str, content: bytes) -> None:
        """Keeps a small named file, in place of one of the same name."""
        key = f"files/{_safe(name)}"
        if self._local is not None:
            with explained(self._local, needed=len(content)):
                make_private_dir((self._local / key).parent)
                atomic_write(self._local / key, content)
            return
        with remote_errors(self.url), self._fs.open(self._key(key, make=True), "wb") as file:
            file.write(content)

    # Reading

    def read_bytes(self, name: str) -> bytes | None:
        """The named file, or None when there is none."""
        key = f"files/{_safe(name)}"
        try:
            with self._open(key) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def has(self, digest: str) -> bool:
        if self._local is not None:
            return (self._local / _blob(digest)).is_file()
        with remote_errors(self.url):
            return bool(self._fs.exists(self._key(_blob(digest))))

    def open_blob(self, digest: str) -> IO[bytes]:
        """The content as a binary file, not verified. Raises `FileNotFoundError` when there is no such blob."""
        return self._open(_blob(digest))

    def materialize(self, files: Manifest, target: Path, *, link: bool = True) -> None:
        """Builds the tree `files` under `target`, verifying every byte.

        With `link` a file on the same file system becomes a hard link to its read-only blob, and costs no space; else,
        and for root, it is a copy of its own, with the usual mode. Raises `StorageError` naming the file when a blob is
        gone or not what was registered, and `FileExistsError` when a file is in the way.
        """
        for name, (digest, size) in files.items():
            path = target / _safe(name)
            with explained(target, needed=size):
                path.parent.mkdir(parents=True, exist_ok=True)
                if not (link and self._link(name, digest, size, path)):
                    self._copy_out(name, digest, size, path)

    def remove_file(self, name: str) -> None:
        """Removes a named file; one that is not there is no error."""
        self._remove(f"files/{_safe(name)}")

    # Cleaning

    def sweep(self, keep: set[str] | Callable[[], set[str]]) -> tuple[int, int]:
        """Removes blobs whose digest is not in `keep` and what killed registrations left. Count and bytes of it.

        Waits for registrations on this machine to end; `keep` may be a function, asked after that. Remote blobs and
        other machines' unfinished files are removed only when older than `GRACE_SECONDS`.
        """
        with locked(self._local / ".lock") if self._local else nullcontext():
            wanted = keep() if callable(keep) else keep
            old = self._clock() - GRACE_SECONDS
            count = size = 0
            for key, length, modified in list(self._entries("blobs")):
                if key.rpartition("/")[2] not in wanted and (self._local or modified < old):
                    self._remove(key)
                    count, size = count + 1, size + length
            for key, length, modified in list(self._entries("tmp")):
                if _writer_is_dead(key.split("/")[1], modified < old):
                    self._remove(key)
                    count, size = count + 1, size + length
            self._remove_empty_stages()
            return count, size

    def unreferenced(self, keep: set[str]) -> tuple[int, int]:
        """Count and bytes of the blobs `sweep` would remove."""
        found = [length for key, length, _ in self._entries("blobs") if key.rpartition("/")[2] not in keep]
        return len(found), sum(found)

    # Helpers: one file in

    def _new_stage(self, size: int) -> str:
        stage = "/".join(("tmp", _stage_name()))
        if self._local is not None:
            free = free_bytes(self._local)
            if free < size:
                raise disk_full(self._local, size, free)
            with explained(self._local):
                make_private_dir(self._local / stage)
        return stage

    def _stage_file(self, path: Path, key: str, total: int, step: Callable[[int], None]) -> tuple[str, int]:
        if self._local is None:
            with remote_errors(self.url), self._fs.open(self._key(key, make=True), "wb") as target:
                return copy_hashing(path, target.write, step)
        fd = os.open(self._local / key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        try:
            with explained(self._local, needed=total):
                found = copy_hashing(path, lambda chunk: write_all(fd, chunk), step)
                os.fsync(fd)
                return found
        finally:
            os.close(fd)

    def _publish(self, staged: str, digest: str, size: int) -> None:
        blob = _blob(digest)
        if self._local is None:
            with remote_errors(self.url):
                # Also when the blob is there: a fresh one is safe from a sweep that is on its way.
                self._fs.mv(self._key(staged), self._key(blob, make=True))
            return
        path = self._local / blob
        with explained(self._local):
            # One that was damaged since it was written gives way to the whole one.
            if not self._is_whole(path, digest, size):
                make_private_dir(path.parent)
                os.replace(self._local / staged, path)
                fsync_dir(path.parent)
                fsync_dir(path.parent.parent)

    @staticmethod
    def _is_whole(path: Path, digest: str, size: int) -> bool:
        try:
            if path.stat().st_size != size:
                return False
            with path.open("rb", buffering=0) as blob:
                return copy_stream(blob, lambda _: None) == (digest, size)
        except FileNotFoundError:
            return False

    # Helpers: one file out

    def _link(self, name: str, digest: str, size: int, path: Path) -> bool:
        # Root may write into a read-only file, so a script that writes into its model would change the registry's.
        if self._local is None or os.geteuid() == 0:
            return False
        with self._verified(name, digest) as blob:
            check_digest(name, digest, size, *copy_stream(blob, lambda _: None))
        try:
            os.link(self._local / _blob(digest), path)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                return False
            raise
        return True

    def _copy_out(self, name: str, digest: str, size: int, path: Path) -> None:
        temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with self._verified(name, digest) as blob, temporary.open("xb") as file:
                check_digest(name, digest, size, *copy_stream(blob, file.write))
            os.link(temporary, path)  # fails when the name is taken; a rename would not
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _verified(self, name: str, digest: str) -> Iterator[IO[bytes]]:
        try:
            file = self.open_blob(digest)
        except FileNotFoundError:
            raise StorageError(
                f"a registered file is gone from the artifacts: {name}",
                why=f"there is no blob {digest} in {self.url}",
                hint="register the model again; its content is stored anew",
            ) from None
        with file:
            yield file

    # Helpers: keys

    def _key(self, key: str, *, make: bool = False) -> str:
        full = f"{self._root}/{key}"
        if make:
            self._fs.makedirs(full.rpartition("/")[0], exist_ok=True)
        return full

    def _open(self, key: str) -> IO[bytes]:
        if self._local is not None:
            return (self._local / key).open("rb")
        with remote_errors(self.url):
            file: IO[bytes] = self._fs.open(self._key(key), "rb")
        return file

    def _remove(self, key: str) -> None:
        if self._local is not None:
            path = self._local / key
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            return
        with remote_errors(self.url):
            if self._fs.exists(self._key(key)):
                self._fs.rm(self._key(key), recursive=True)

    def _entries(self, folder: str) -> Iterator[tuple[str, int, float]]:
        """Key, size and time of change of every file below `folder`."""
        if self._local is not None:
            for path in sorted((self._local / folder).rglob("*")):
                if path.is_file():
                    info = path.stat()
                    yield path.relative_to(self._local).as_posix(), info.st_size, info.st_mtime
            return
        with remote_errors(self.url):
            found = self._fs.find(self._key(folder), detail=True) if self._fs.exists(self._key(folder)) else {}
            for key, info in found.items():
                yield folder + key.rpartition(self._key(folder))[2], int(info["size"] or 0), self._modified(key)

    def _modified(self, key: str) -> float:
        try:
            return float(self._fs.modified(key).timestamp())
        except NotImplementedError:  # a store without times: never old enough to be removed
            return self._clock()

    def _remove_empty_stages(self) -> None:
        if self._local is None or not (self._local / "tmp").is_dir():
            return
        for stage in (self._local / "tmp").iterdir():
            if _writer_is_dead(stage.name, stage.stat().st_mtime < self._clock() - GRACE_SECONDS):
                shutil.rmtree(stage, ignore_errors=True)


def _open_remote(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    try:
        fs, root = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise StorageError(
            f"the workspace's artifacts cannot be opened: {url}",
            why=str(error),
            hint='install the package it names, or set "artifacts" in .mldeploy/config.json to a folder',
        ) from None
    return fs, str(root).rstrip("/")


def _blob(digest: str) -> str:
    return f"blobs/{digest[:2]}/{digest}"


def _safe(name: str) -> str:
    """A relative path that stays where it is put. Names come from a store that others may write to."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise StorageError(
            f"a registered file has an unsafe name: {name!r}",
            why="it would be written outside of its folder",
            hint="register the model again under plain names",
        )
    return name


def _stage_name() -> str:
    host, _, boot = processes.host().partition("/")
    return "-".join((host, boot, str(os.getpid()), processes.started(os.getpid()), secrets.token_hex(4)))


def _writer_is_dead(stage: str, old: bool) -> bool:
    """Whether what wrote `stage` has ended; of another machine's writers only the age is known."""
    host, _, boot = processes.host().partition("/")
    parts = stage.rsplit("-", 4)
    if len(parts) < 5 or parts[0] != host:
        return old
    return parts[1] != boot or not parts[2].isdigit() or processes.started(int(parts[2])) != parts[3]
