"""Where artifacts are kept: a local folder, or anything that fsspec can reach. A location knows only keys and bytes.

A key is a relative path with `/`. A blob is written to a staging folder below `tmp/` first; `publish` gives it its key.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import unquote

from mldeploy_jupyter.core.artifacts.hashed_copy import copy_file
from mldeploy_jupyter.core.artifacts.verified import VerifiedFiles
from mldeploy_jupyter.core.copying import copy_blocks, copy_stream, write_all
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.files import (
    UNREADABLE,
    atomic_write,
    file_lock,
    free_bytes,
    fsync_dir,
    make_private_dir,
    private_opener,
)
from mldeploy_jupyter.core.patience import current_patience
from mldeploy_jupyter.core.storage_errors import (
    disk_full,
    explain_remote_errors,
    explain_write_errors,
    may_come_back,
)
from mldeploy_jupyter.serving.system.removal import remove_tree

Entry = tuple[str, int, float]  # key, size in bytes, time of the last change in seconds since 1970


class Location(Protocol):
    """Bytes under keys. Every method raises `StorageError` when they cannot be read or written."""

    locks_work: bool  # whether `lock` keeps sweeps and registrations apart

    def may_come_back(self, error: Exception, *, expected: bool) -> bool:
        """Whether the location is unavailable and may be back in seconds. `expected`: it had content before."""

    def lock(self, *, shared: bool) -> AbstractContextManager[object]:
        """The lock of this location: shared for a registration, exclusive for a sweep."""

    def create_staging(self, staging: str, size: int) -> None:
        """Creates the folder `staging` for `size` bytes. Raises `StorageError` when the disk has less."""

    def copy_in(self, source: Path, key: str, size: int, progress: Callable[[int], None]) -> tuple[str, int]:
        """Copies the file `source` to the new `key` and returns its digest and its size in bytes.

        `size` is that of all files being registered, for the error on a full disk. `progress` gets the bytes copied
        so far.
        """

    def publish(self, staged: str, key: str, digest: str, size: int) -> None:
        """Moves the staged file to `key`. A file that is there stays if it has this digest and size in bytes."""

    def write(self, key: str, content: IO[bytes], size: int) -> None:
        """Writes `content`, of `size` bytes, to `key`, replacing what was there."""

    def open(self, key: str) -> IO[bytes]:
        """The content, for reading. Raises `FileNotFoundError` when there is none."""

    def exists(self, key: str) -> bool: ...

    def copy_out(self, key: str, target: Path, *, private: bool) -> tuple[str, int]:
        """Copies the content to the new file `target` and returns its digest and its size in bytes.

        The copy shares nothing that a later write could reach; `private` gives it mode 0600. Raises
        `FileNotFoundError` when there is none.
        """

    def find_local(self, key: str, size: int) -> Path | None:
        """The file of a blob, or an empty path where it is gone or damaged; None where there are no files."""

    def remove(self, key: str) -> None:
        """Removes a file or a folder, if there is one."""

    def list_files(self, folder: str) -> Iterator[Entry]:
        """Every file below `folder`."""

    def list_stagings(self) -> Iterator[tuple[str, float]]:
        """The staging folders, also empty ones, and the time of their last change in seconds since 1970."""


def open_location(url: str, clock: Callable[[], float]) -> Location:
    """The location at `url`: an absolute path, `file://...`, or any URL that fsspec knows. Raises `StorageError`."""
    if url.startswith("file://"):
        return LocalFolder(Path(unquote(url.removeprefix("file://"))))
    if "://" not in url:
        return LocalFolder(Path(url))
    return RemoteLocation(url, clock)


class LocalFolder:
    """A folder of this machine."""

    locks_work = True

    def __init__(self, root: Path) -> None:
        self._root = root
        self._verified = VerifiedFiles(root / "verified")
        if not current_patience().is_long:
            with explain_write_errors(root):
                make_private_dir(root)

    def may_come_back(self, error: Exception, *, expected: bool) -> bool:
        folder = self._root if expected else self._root.parent
        return may_come_back(error, folder if current_patience().is_long else None)

    @contextmanager
    def lock(self, *, shared: bool) -> Iterator[None]:
        with ExitStack() as stack:
            with explain_write_errors(self._root):  # the lock file cannot be opened on a read-only disk
                self._make_folder(self._root)
                stack.enter_context(file_lock(self._root / ".lock", shared=shared))
            yield

    def create_staging(self, staging: str, size: int) -> None:
        with explain_write_errors(self._root):
            free = free_bytes(self._root)
            if free < size:
                raise disk_full(self._root, size, free)
            self._make_folder(self._root / staging)

    def copy_in(self, source: Path, key: str, size: int, progress: Callable[[int], None]) -> tuple[str, int]:
        fd = os.open(self._root / key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        try:
            with explain_write_errors(self._root, needed=size):
                copied = copy_file(source, lambda chunk: write_all(fd, chunk), progress)
                os.fsync(fd)
                return copied
        finally:
            os.close(fd)

    def publish(self, staged: str, key: str, digest: str, size: int) -> None:
        path = self._root / key
        with explain_write_errors(self._root):
            if not _is_intact(path, digest, size):
                self._make_folder(path.parent)
                if path.is_dir():  # in the place of the file
                    remove_tree(path)
                os.replace(self._root / staged, path)
                fsync_dir(path.parent)
                fsync_dir(path.parent.parent)
            self._verified.remember(digest, path.stat())

    def write(self, key: str, content: IO[bytes], size: int) -> None:
        with explain_write_errors(self._root, needed=size):
            self._make_folder((self._root / key).parent)
            atomic_write(self._root / key, content)

    def open(self, key: str) -> IO[bytes]:
        return (self._root / key).open("rb")

    def exists(self, key: str) -> bool:
        return (self._root / key).is_file()

    def copy_out(self, key: str, target: Path, *, private: bool) -> tuple[str, int]:
        with (
            self.open(key) as blob,
            open(target, "xb", buffering=0, opener=private_opener if private else None) as copy,
        ):
            before = os.fstat(blob.fileno())
            digest = key.rpartition("/")[2]
            if self._verified.knows(digest, before):
                copy_blocks(blob.fileno(), copy.fileno())
                return digest, os.fstat(copy.fileno()).st_size
            found, size = copy_stream(blob, lambda chunk: write_all(copy.fileno(), chunk))
        if found == digest:
            self._verified.remember(digest, before)
        return found, size

    def find_local(self, key: str, size: int) -> Path | None:
        path, digest = self._root / key, key.rpartition("/")[2]
        try:
            before = path.stat()
        except UNREADABLE:
            return Path()
        if self._verified.knows(digest, before):
            return path
        if not _is_intact(path, digest, size):
            return Path()
        self._verified.remember(digest, before)
        return path

    def remove(self, key: str) -> None:
        path = self._root / key
        if path.is_dir():
            remove_tree(path)
            return
        with suppress(NotADirectoryError):  # a file is in the place of its folder: the key is not there
            path.unlink(missing_ok=True)
        self._verified.forget(path.name)

    def list_files(self, folder: str) -> Iterator[Entry]:
        for path in sorted((self._root / folder).rglob("*")):
            if path.is_file():
                status = path.stat()
                yield path.relative_to(self._root).as_posix(), status.st_size, status.st_mtime

    def _make_folder(self, folder: Path) -> None:
        """Makes a folder of this location. Raises `FileNotFoundError` when it is on a disk that is unavailable."""
        if current_patience().is_long and not self._root.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._root))
        make_private_dir(folder)

    def list_stagings(self) -> Iterator[tuple[str, float]]:
        if (self._root / "tmp").is_dir():
            for folder in sorted((self._root / "tmp").iterdir()):
                yield f"tmp/{folder.name}", folder.stat().st_mtime


class RemoteLocation:
    """Anything that fsspec can reach. Files of a back end without times of change count as changed just now."""

    locks_work = False

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

    def may_come_back(self, error: Exception, *, expected: bool) -> bool:
        return may_come_back(error)

    def lock(self, *, shared: bool) -> AbstractContextManager[object]:
        return nullcontext()

    def create_staging(self, staging: str, size: int) -> None:
        pass

    def copy_in(self, source: Path, key: str, size: int, progress: Callable[[int], None]) -> tuple[str, int]:
        with explain_remote_errors(self._url), self._fs.open(self._prepare(key), "wb") as target:
            return copy_file(source, target.write, progress)

    def publish(self, staged: str, key: str, digest: str, size: int) -> None:
        with explain_remote_errors(self._url):
            # Also when the content is there already: a concurrent sweep spares a blob that has just changed.
            self._fs.mv(f"{self._root}/{staged}", self._prepare(key))

    def write(self, key: str, content: IO[bytes], size: int) -> None:
        with explain_remote_errors(self._url), self._fs.open(self._prepare(key), "wb") as file:
            shutil.copyfileobj(content, file)

    def open(self, key: str) -> IO[bytes]:
        with explain_remote_errors(self._url):
            file: IO[bytes] = self._fs.open(f"{self._root}/{key}", "rb")
        return file

    def exists(self, key: str) -> bool:
        with explain_remote_errors(self._url):
            return bool(self._fs.exists(f"{self._root}/{key}"))

    def copy_out(self, key: str, target: Path, *, private: bool) -> tuple[str, int]:
        with (
            self.open(key) as blob,
            open(target, "xb", buffering=0, opener=private_opener if private else None) as copy,
        ):
            return copy_stream(blob, lambda chunk: write_all(copy.fileno(), chunk))

    def find_local(self, key: str, size: int) -> Path | None:
        return None

    def remove(self, key: str) -> None:
        with explain_remote_errors(self._url):
            if self._fs.exists(f"{self._root}/{key}"):
                self._fs.rm(f"{self._root}/{key}", recursive=True)

    def list_files(self, folder: str) -> Iterator[Entry]:
        full = f"{self._root}/{folder}"
        with explain_remote_errors(self._url):
            found = self._fs.find(full, detail=True) if self._fs.exists(full) else {}
            for key, info in found.items():
                yield folder + key.rpartition(full)[2], int(info["size"] or 0), self._modified(key)

    def list_stagings(self) -> Iterator[tuple[str, float]]:
        return iter(())  # object stores have no empty folders

    def _prepare(self, key: str) -> str:
        """The full key, for writing. Creates its folder, which some file systems require."""
        full = f"{self._root}/{key}"
        self._fs.makedirs(full.rpartition("/")[0], exist_ok=True)
        return full

    def _modified(self, key: str) -> float:
        try:
            return float(self._fs.modified(key).timestamp())
        except NotImplementedError:
            return self._clock()


def _is_intact(path: Path, digest: str, size: int) -> bool:
    try:
        if path.stat().st_size != size:
            return False
        with path.open("rb", buffering=0) as blob:
            return copy_stream(blob, lambda _: None) == (digest, size)
    except UNREADABLE:
        return False
