"""Content-addressed storage for the bytes of models and archived journals.

    blobs/<ab>/<sha256>        the content of one file, read-only, never changed
    verified/<sha256>          see `verified.py`
    files/<name>               small named files, such as archived journals
    tmp/<host>-<boot>-<pid>-<start>-<random>/   staging folder of a registration under way

Every source byte is read once: copied and hashed in one pass, in bounded memory, into a staging folder. Files are
published only when all of them are whole, so a registration that fails or is killed leaves no partial blob.
"""

from __future__ import annotations

import io
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.artifacts.file_tree import Manifest, list_files, manifest_digest, total_size
from mldeploy_jupyter.core.artifacts.locations import open_location
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.files import UNREADABLE, make_private_dir
from mldeploy_jupyter.core.patience import retry
from mldeploy_jupyter.core.storage_errors import check_digest, explain_write_errors

NAME = "the workspace's folder of artifacts"  # in notes about waiting for it

GRACE_SECONDS = 24 * 3600  # age below which a sweep spares another machine's staging folders and remote blobs

Result = TypeVar("Result")

Progress = Callable[[int, int], object]  # gets the bytes done and the bytes in all

Spare = Callable[[str, float], bool]  # gets a blob's digest and the time of its last change in seconds since 1970


def spare_none(digest: str, modified: float) -> bool:
    return False


class ArtifactStore:
    """The artifacts at `url`: an absolute path, `file://...`, or any URL that fsspec knows (`abfs://`, `s3://`, ...).

    `clock` returns seconds since 1970. Every method raises `StorageError` when bytes cannot be read or written. An
    unavailable location is waited for, like a store (`core/patience.py`).
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        self.url = url
        self._clock = clock
        self._location = open_location(url, clock)

    # Writing

    @contextmanager
    def pause_sweep(self) -> Iterator[None]:
        """Makes `sweep` wait for the block, which puts files and then writes the record that refers to them.

        A remote location has no lock; there the age of new blobs protects them.
        """
        with self._location.lock(shared=True):
            yield

    def put(
        self,
        source: Path,
        *,
        basename: str | None = None,
        select: list[str] | None = None,
        progress: Progress | None = None,
    ) -> tuple[str, int, Manifest]:
        """Stores a file or a folder. Returns the manifest's digest, the size in bytes, and the manifest.

        `basename` and `select` are those of `list_files`. Raises `StorageError` when a file vanishes or changes while
        it is read, or when the disk is full; nothing is stored then.
        """
        return self._retry(lambda: self._put(source, basename, select, progress))

    def _put(
        self, source: Path, basename: str | None, select: list[str] | None, progress: Progress | None
    ) -> tuple[str, int, Manifest]:
        paths = list_files(source, basename, select)
        size = total_size(paths.values())
        staging = f"tmp/{_staging_name()}"
        self._location.create_staging(staging, size)
        files: Manifest = {}
        done = 0
        try:
            for number, (name, path) in enumerate(paths.items()):
                before = done

                def report(written: int, before: int = before) -> None:
                    if progress is not None:
                        progress(before + written, size)

                digest, length = self._location.copy_in(path, f"{staging}/{number}", size, report)
                files[name] = [digest, length]
                done += length
            for number, (digest, length) in enumerate(files.values()):
                self._location.publish(f"{staging}/{number}", _blob_key(digest), digest, length)
        finally:
            self._location.remove(staging)
        return manifest_digest(files), done, files

    def put_bytes(self, name: str, content: bytes) -> None:
        """Stores a small named file, replacing one of the same name."""
        self._retry(lambda: self._write(name, io.BytesIO(content), len(content)))

    def put_file(self, name: str, source: Path) -> None:
        """Stores a copy of `source` as a named file, replacing one of the same name. Its content is read in pieces.

        Raises `OSError` when `source` cannot be read.
        """

        def put() -> None:
            with source.open("rb") as file:
                self._write(name, file, os.fstat(file.fileno()).st_size)

        self._retry(put)

    def _write(self, name: str, content: IO[bytes], size: int) -> None:
        self._location.write(f"files/{_checked_name(name)}", content, size)

    # Reading

    def open_file(self, name: str) -> IO[bytes] | None:
        """The named file, for the caller to close, or None when there is none."""
        try:
            return self._retry(lambda: self._location.open(f"files/{_checked_name(name)}"))
        except UNREADABLE:
            return None

    def read_bytes(self, name: str) -> bytes | None:
        """The content of a named file, or None when there is none."""

        def read() -> bytes:
            with self._location.open(f"files/{_checked_name(name)}") as file:
                return file.read()

        try:
            return self._retry(read)
        except UNREADABLE:
            return None

    def has(self, digest: str) -> bool:
        """Whether there is a blob with this digest. Its content is not verified."""
        return self._location.exists(_blob_key(digest))

    def open_blob(self, digest: str) -> IO[bytes]:
        """The blob as a binary file, not verified. Raises `FileNotFoundError` when there is none."""
        return self._retry(lambda: self._location.open(_blob_key(digest)), expected=True)

    def materialize(self, files: Manifest, target: Path, *, private: bool = True) -> None:
        """Writes the files of a manifest below `target`, each compared with its digest.

        They are copies, for this user alone unless `private` is False, which share their blocks with the blobs where
        the file system can clone them (Btrfs, XFS): what is written to them reaches no blob. A large blob that was
        compared before and has not changed since is not read again for its digest.

        Raises:
            StorageError: a blob is missing or damaged; the error names the file.
            FileExistsError: a file is in the way.
        """
        for name, (digest, size) in files.items():
            path = target / _checked_name(name)
            self._retry(partial(self._write_file, name, digest, size, path, target, private=private), expected=True)

    def local_paths(self, files: Manifest) -> dict[str, Path] | None:
        """The blobs of a manifest's files, each compared with its digest, to be read only.

        None where the artifacts are not in a folder of this machine. Raises `StorageError` as `materialize` does.
        """
        paths = {}
        for name, (digest, size) in files.items():
            path = self._location.find_local(_blob_key(digest), size)
            if path is None:
                return None
            if not path.name:
                raise StorageError(
                    f"a registered file is gone from the artifacts, or damaged: {name}",
                    why=f"its blob {digest} in {self.url} is not what was registered",
                    hint="register the model again, which stores its content again",
                )
            paths[name] = path
        return paths

    def remove_file(self, name: str) -> None:
        """Removes a named file, if there is one."""
        self._location.remove(f"files/{_checked_name(name)}")

    # Cleaning

    def sweep(self, keep: set[str] | Callable[[], set[str]], spare: Spare = spare_none) -> tuple[int, int]:
        """Removes the blobs whose digest is not in `keep`, and what killed registrations left: their number and bytes.

        Waits for registrations on this machine to end, and only then calls `keep` if it is a function. Blobs that
        `spare` names stay, too. Remote blobs and staging folders of other machines are removed only when they are older
        than `GRACE_SECONDS`.
        """
        with self._location.lock(shared=False):
            wanted = keep() if callable(keep) else keep
            oldest_spared = self._clock() - GRACE_SECONDS
            count = size = 0
            for key, length, modified in list(self._location.list_files("blobs")):
                digest = key.rpartition("/")[2]
                unwanted = digest not in wanted and not spare(digest, modified)
                if unwanted and (self._location.locks_work or modified < oldest_spared):
                    self._location.remove(key)
                    count, size = count + 1, size + length
            for key, length, modified in list(self._location.list_files("tmp")):
                if _is_abandoned(key.split("/")[1], modified < oldest_spared):
                    self._location.remove(key)
                    count, size = count + 1, size + length
            for staging, modified in self._location.list_stagings():
                if _is_abandoned(staging.removeprefix("tmp/"), modified < oldest_spared):
                    self._location.remove(staging)
            return count, size

    def measure_unreferenced(self, keep: set[str], spare: Spare = spare_none) -> tuple[int, int]:
        """The number and bytes of the blobs whose digest is not in `keep`, and that `spare` does not name."""
        sizes = [
            length
            for key, length, modified in self._location.list_files("blobs")
            if (digest := key.rpartition("/")[2]) not in keep and not spare(digest, modified)
        ]
        return len(sizes), sum(sizes)

    # Helpers

    def _retry(self, step: Callable[[], Result], *, expected: bool = False) -> Result:
        return retry(step, partial(self._location.may_come_back, expected=expected), NAME)

    def _write_file(self, name: str, digest: str, size: int, path: Path, target: Path, *, private: bool) -> None:
        with explain_write_errors(target, needed=size):
            if private:
                make_private_dir(path.parent)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._copy_out(name, digest, size, path, private=private)

    def _copy_out(self, name: str, digest: str, size: int, path: Path, *, private: bool) -> None:
        temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            try:
                found = self._location.copy_out(_blob_key(digest), temporary, private=private)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise StorageError(
                    f"a registered file is gone from the artifacts: {name}",
                    why=f"there is no blob {digest} in {self.url}",
                    hint="register the model again, which stores its content again",
                ) from None
            check_digest(name, digest, size, *found)
            os.link(temporary, path)  # unlike a rename, fails when the name is taken
        finally:
            temporary.unlink(missing_ok=True)


def _blob_key(digest: str) -> str:
    return f"blobs/{digest[:2]}/{digest}"


def _checked_name(name: str) -> str:
    """The name, if it stays inside its folder: it comes from a store that others may write to.

    Raises `StorageError` otherwise.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise StorageError(
            f"a registered file has an unsafe name: {name!r}",
            why="it would be written outside of its folder",
            hint="register the model again under plain names",
        )
    return name


def _staging_name() -> str:
    host, _, boot = process_identity.host_and_boot().partition("/")
    start = process_identity.start_time(os.getpid())
    return "-".join((host, boot, str(os.getpid()), start, secrets.token_hex(4)))


def _is_abandoned(staging: str, old: bool) -> bool:
    """Whether the process that wrote the staging folder has ended. Other machines' folders are judged by age only."""
    host, _, boot = process_identity.host_and_boot().partition("/")
    parts = staging.rsplit("-", 4)
    if len(parts) < 5 or parts[0] != host:
        return old
    _, writer_boot, pid, start, _ = parts
    return writer_boot != boot or not pid.isdigit() or process_identity.start_time(int(pid)) != start
