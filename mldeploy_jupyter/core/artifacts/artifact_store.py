"""The bytes of models and finished journals: content-addressed blobs in a folder or behind any fsspec URL.

    blobs/<ab>/<sha256>        one file's content, read-only, never changed
    files/<name>               small named files, such as archived journals
    tmp/<host>-<boot>-<pid>-<start>-<random>/   what a registration is writing at the moment

Every source byte is read once: copied and hashed in one pass, in bounded memory, under a temporary name. Only when
all files are whole do they get their names, so a registration that fails or is killed leaves no blob half written.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.artifacts.file_tree import Manifest, list_files, manifest_digest, total_size
from mldeploy_jupyter.core.artifacts.hashed_copy import copy_stream
from mldeploy_jupyter.core.artifacts.locations import open_location
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.storage_errors import check_digest, explain_write_errors

GRACE_SECONDS = 24 * 3600  # how long another machine's unfinished files, and any remote blob, are left alone

Progress = Callable[[int, int], object]  # bytes done, bytes in all


class ArtifactStore:
    """The artifacts at `url`: an absolute path, `file://...`, or any URL fsspec knows (`abfs://`, `s3://`, `memory://`).

    `clock` gives seconds since 1970. Every method raises `StorageError` when bytes cannot be read or written.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        self.url = url
        self._clock = clock
        self._place = open_location(url, clock)

    # Writing

    @contextmanager
    def pause_sweep(self) -> Iterator[None]:
        """Keeps `sweep` away from new blobs until the block's end. Hold it from `put` until the row is written."""
        with self._place.lock(shared=True):
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
        stage = f"tmp/{_stage_name()}"
        self._place.begin(stage, size)
        files: Manifest = {}
        done = 0
        try:
            for number, (name, path) in enumerate(paths.items()):
                already = done

                def step(written: int, already: int = already) -> None:
                    if progress is not None:
                        progress(already + written, size)

                digest, length = self._place.stage(path, f"{stage}/{number}", size, step)
                files[name] = [digest, length]
                done += length
            for number, (digest, length) in enumerate(files.values()):
                self._place.publish(f"{stage}/{number}", _blob(digest), digest, length)
        finally:
            self._place.remove(stage)
        return manifest_digest(files), done, files

    def put_bytes(self, name: str, content: bytes) -> None:
        """Keeps a small named file, in place of one of the same name."""
        self._place.write(f"files/{_safe(name)}", content)

    # Reading

    def read_bytes(self, name: str) -> bytes | None:
        """The named file, or None when there is none."""
        try:
            with self._place.open(f"files/{_safe(name)}") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def has(self, digest: str) -> bool:
        return self._place.exists(_blob(digest))

    def open_blob(self, digest: str) -> IO[bytes]:
        """The content as a binary file, not verified. Raises `FileNotFoundError` when there is no such blob."""
        return self._place.open(_blob(digest))

    def materialize(self, files: Manifest, target: Path, *, link: bool = True) -> None:
        """Builds the tree `files` under `target`, verifying every byte.

        With `link` a file on the same file system becomes a hard link to its read-only blob, and costs no space; else,
        and for root, it is a copy of its own, with the usual mode. Raises `StorageError` naming the file when a blob is
        gone or not what was registered, and `FileExistsError` when a file is in the way.
        """
        for name, (digest, size) in files.items():
            path = target / _safe(name)
            with explain_write_errors(target, needed=size):
                path.parent.mkdir(parents=True, exist_ok=True)
                if not (link and self._link(name, digest, size, path)):
                    self._copy_out(name, digest, size, path)

    def remove_file(self, name: str) -> None:
        """Removes a named file; one that is not there is no error."""
        self._place.remove(f"files/{_safe(name)}")

    # Cleaning

    def sweep(self, keep: set[str] | Callable[[], set[str]]) -> tuple[int, int]:
        """Removes blobs whose digest is not in `keep` and what killed registrations left. Count and bytes of it.

        Waits for registrations on this machine to end; `keep` may be a function, asked after that. Remote blobs and
        other machines' unfinished files are removed only when older than `GRACE_SECONDS`.
        """
        with self._place.lock(shared=False):
            wanted = keep() if callable(keep) else keep
            old = self._clock() - GRACE_SECONDS
            count = size = 0
            for key, length, modified in list(self._place.entries("blobs")):
                if key.rpartition("/")[2] not in wanted and (self._place.counts_writers or modified < old):
                    self._place.remove(key)
                    count, size = count + 1, size + length
            for key, length, modified in list(self._place.entries("tmp")):
                if _writer_is_dead(key.split("/")[1], modified < old):
                    self._place.remove(key)
                    count, size = count + 1, size + length
            for stage, modified in self._place.stages():
                if _writer_is_dead(stage.removeprefix("tmp/"), modified < old):
                    self._place.remove(stage)
            return count, size

    def measure_unreferenced(self, keep: set[str]) -> tuple[int, int]:
        """Count and bytes of the blobs `sweep` would remove."""
        found = [length for key, length, _ in self._place.entries("blobs") if key.rpartition("/")[2] not in keep]
        return len(found), sum(found)

    # Helpers

    def _link(self, name: str, digest: str, size: int, path: Path) -> bool:
        if not self._place.links:
            return False
        with self._verified(name, digest) as blob:
            check_digest(name, digest, size, *copy_stream(blob, lambda _: None))
        return self._place.link(_blob(digest), path)

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
    host, _, boot = process_identity.host_and_boot().partition("/")
    return "-".join((host, boot, str(os.getpid()), process_identity.start_time(os.getpid()), secrets.token_hex(4)))


def _writer_is_dead(stage: str, old: bool) -> bool:
    """Whether what wrote `stage` has ended; of another machine's writers only the age is known."""
    host, _, boot = process_identity.host_and_boot().partition("/")
    parts = stage.rsplit("-", 4)
    if len(parts) < 5 or parts[0] != host:
        return old
    return parts[1] != boot or not parts[2].isdigit() or process_identity.start_time(int(parts[2])) != parts[3]
