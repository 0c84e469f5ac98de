"""Where artifacts' bytes are kept: a folder, or anything fsspec can reach. Both know only keys and bytes.

A key is a relative path with `/`. What is written under `tmp/` becomes visible only through `publish`.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import unquote

from mldeploy_jupyter.core.artifacts.hashed_copy import copy_hashing, copy_stream, write_all
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.files import atomic_write, free_bytes, fsync_dir, locked, make_private_dir
from mldeploy_jupyter.core.storage_errors import disk_full, explain_write_errors, remote_errors

Entry = tuple[str, int, float]  # key, bytes, time of the last change


class Place(Protocol):
    """Bytes under keys. Every method raises `StorageError` when they cannot be read or written."""

    counts_writers: bool  # whether `lock` keeps a sweep and every registration apart

    @property
    def links(self) -> bool:
        """Whether `link` may be tried."""

    def lock(self, *, shared: bool) -> AbstractContextManager[object]:
        """Registrations share it, a sweep has it alone."""

    def begin(self, stage: str, size: int) -> None:
        """Prepares the folder `stage` for `size` bytes."""

    def stage(self, source: Path, key: str, size: int, step: Callable[[int], None]) -> tuple[str, int]:
        """Copies the file `source`, one of `size` bytes in all, to the new `key`: its digest and size."""

    def publish(self, staged: str, key: str, digest: str, size: int) -> None:
        """Gives staged content its name. One that is damaged there is replaced."""

    def write(self, key: str, content: bytes) -> None:
        """Keeps `content`, in place of what was there."""

    def open(self, key: str) -> IO[bytes]:
        """The content, for reading. Raises `FileNotFoundError`."""

    def exists(self, key: str) -> bool: ...

    def link(self, key: str, path: Path) -> bool:
        """Makes `path` another name of the content. False where that is not possible."""

    def remove(self, key: str) -> None:
        """Removes a file or a folder; one that is not there is no error."""

    def entries(self, folder: str) -> Iterator[Entry]:
        """Every file below `folder`."""

    def stages(self) -> Iterator[tuple[str, float]]:
        """The folders under `tmp/`, also empty ones, and when they were changed."""


def open_location(url: str, clock: Callable[[], float]) -> Place:
    """The place at `url`: an absolute path, `file://...`, or any URL fsspec knows. Raises `StorageError`."""
    if url.startswith("file://"):
        return Folder(Path(unquote(url.removeprefix("file://"))))
    if "://" not in url:
        return Folder(Path(url))
    return Remote(url, clock)


class Folder:
    """A folder of this machine."""

    counts_writers = True

    def __init__(self, root: Path) -> None:
        self._root = root
        with explain_write_errors(root):
            make_private_dir(root)

    @property
    def links(self) -> bool:
        # Root may write into a read-only file, so a script that writes into its model would change the registry's.
        return os.geteuid() != 0

    def lock(self, *, shared: bool) -> AbstractContextManager[object]:
        return locked(self._root / ".lock", shared=shared)

    def begin(self, stage: str, size: int) -> None:
        free = free_bytes(self._root)
        if free < size:
            raise disk_full(self._root, size, free)
        with explain_write_errors(self._root):
            make_private_dir(self._root / stage)

    def stage(self, source: Path, key: str, size: int, step: Callable[[int], None]) -> tuple[str, int]:
        fd = os.open(self._root / key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        try:
            with explain_write_errors(self._root, needed=size):
                found = copy_hashing(source, lambda chunk: write_all(fd, chunk), step)
                os.fsync(fd)
                return found
        finally:
            os.close(fd)

    def publish(self, staged: str, key: str, digest: str, size: int) -> None:
        path = self._root / key
        with explain_write_errors(self._root):
            if not _is_whole(path, digest, size):
                make_private_dir(path.parent)
                os.replace(self._root / staged, path)
                fsync_dir(path.parent)
                fsync_dir(path.parent.parent)

    def write(self, key: str, content: bytes) -> None:
        with explain_write_errors(self._root, needed=len(content)):
            make_private_dir((self._root / key).parent)
            atomic_write(self._root / key, content)

    def open(self, key: str) -> IO[bytes]:
        return (self._root / key).open("rb")

    def exists(self, key: str) -> bool:
        return (self._root / key).is_file()

    def link(self, key: str, path: Path) -> bool:
        try:
            os.link(self._root / key, path)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                return False
            raise
        return True

    def remove(self, key: str) -> None:
        path = self._root / key
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def entries(self, folder: str) -> Iterator[Entry]:
        for path in sorted((self._root / folder).rglob("*")):
            if path.is_file():
                info = path.stat()
                yield path.relative_to(self._root).as_posix(), info.st_size, info.st_mtime

    def stages(self) -> Iterator[tuple[str, float]]:
        if (self._root / "tmp").is_dir():
            for stage in sorted((self._root / "tmp").iterdir()):
                yield f"tmp/{stage.name}", stage.stat().st_mtime


class Remote:
    """Anything fsspec can reach. A store without times of change never has anything old enough to be swept."""

    counts_writers = False
    links = False

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        from fsspec.core import url_to_fs

        self._url = url
        self._clock = clock
        try:
            fs, root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise StorageError(
                f"the workspace's artifacts cannot be opened: {url}",
                why=str(error),
                hint='install the package it names, or set "artifacts" in .mldeploy/config.json to a folder',
            ) from None
        self._fs: Any = fs
        self._root = str(root).rstrip("/")

    def lock(self, *, shared: bool) -> AbstractContextManager[object]:
        return nullcontext()

    def begin(self, stage: str, size: int) -> None:
        pass

    def stage(self, source: Path, key: str, size: int, step: Callable[[int], None]) -> tuple[str, int]:
        with remote_errors(self._url), self._fs.open(self._made(key), "wb") as target:
            return copy_hashing(source, target.write, step)

    def publish(self, staged: str, key: str, digest: str, size: int) -> None:
        with remote_errors(self._url):
            # Also when the content is there: a fresh one is safe from a sweep that is on its way.
            self._fs.mv(f"{self._root}/{staged}", self._made(key))

    def write(self, key: str, content: bytes) -> None:
        with remote_errors(self._url), self._fs.open(self._made(key), "wb") as file:
            file.write(content)

    def open(self, key: str) -> IO[bytes]:
        with remote_errors(self._url):
            file: IO[bytes] = self._fs.open(f"{self._root}/{key}", "rb")
        return file

    def exists(self, key: str) -> bool:
        with remote_errors(self._url):
            return bool(self._fs.exists(f"{self._root}/{key}"))

    def link(self, key: str, path: Path) -> bool:
        return False

    def remove(self, key: str) -> None:
        with remote_errors(self._url):
            if self._fs.exists(f"{self._root}/{key}"):
                self._fs.rm(f"{self._root}/{key}", recursive=True)

    def entries(self, folder: str) -> Iterator[Entry]:
        full = f"{self._root}/{folder}"
        with remote_errors(self._url):
            found = self._fs.find(full, detail=True) if self._fs.exists(full) else {}
            for key, info in found.items():
                yield folder + key.rpartition(full)[2], int(info["size"] or 0), self._modified(key)

    def stages(self) -> Iterator[tuple[str, float]]:
        return iter(())  # a folder without files is not there

    def _made(self, key: str) -> str:
        """The full key, for writing: some file systems want the folder first."""
        full = f"{self._root}/{key}"
        self._fs.makedirs(full.rpartition("/")[0], exist_ok=True)
        return full

    def _modified(self, key: str) -> float:
        try:
            return float(self._fs.modified(key).timestamp())
        except NotImplementedError:
            return self._clock()


def _is_whole(path: Path, digest: str, size: int) -> bool:
    try:
        if path.stat().st_size != size:
            return False
        with path.open("rb", buffering=0) as blob:
            return copy_stream(blob, lambda _: None) == (digest, size)
    except FileNotFoundError:
        return False
