"""The folder of environments and locks that all workspaces of a user share.

    <cache>/environments/<digest of the lock>/   complete once it exists: built under another name, then renamed
    <cache>/environments/.building-<digest>-*    being built, or left by a killed build, and removed by the next one
    <cache>/locks/<key>.json                     the lock of a spec, so that it is resolved once
    <cache>/held/<name>                          lock files between processes, so that one process builds at a time

`MLDEPLOY_CACHE` moves the folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core import files
from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.core.files import make_private_dir
from mldeploy_jupyter.environments.types import Cancel, Emit, never, silent

MARKER = "mldeploy-environment.json"  # its modification time is the last use
LOCK_FILE = "mldeploy.lock"

_POLL = 0.05  # seconds between two attempts to get a lock file


def cache_root(cache: Path | None = None) -> Path:
    """`cache`, `MLDEPLOY_CACHE` or the user's cache folder, whichever is set first. Absolute; not created here."""
    if cache is not None:
        return Path(cache).absolute()
    if os.environ.get("MLDEPLOY_CACHE"):
        return Path(os.environ["MLDEPLOY_CACHE"]).absolute()
    import platformdirs

    return Path(platformdirs.user_cache_path("mldeploy", appauthor=False))


def environment_folder(root: Path, digest: str) -> Path:
    """The folder of the environment that a lock of this digest describes."""
    return root / "environments" / digest


def read_marker(folder: Path) -> dict[str, Any] | None:
    """The marker of a complete environment. None for a broken one, whose base interpreter was removed."""
    marker = files.read_json_if_valid(folder / MARKER)
    return marker if os.path.exists(folder / "bin" / "python") else None


def mark_used(folder: Path) -> None:
    """Sets the time of the last use. Does nothing in a read-only cache, which can still serve."""
    with contextlib.suppress(OSError):
        os.utime(folder / MARKER)


@contextlib.contextmanager
def exclusive(
    root: Path,
    name: str,
    *,
    emit: Emit = silent,
    cancel: Cancel = never,
    sleep: Callable[[float], Any] = time.sleep,
) -> Iterator[int]:
    """Admits one process at a time to the block; the others wait, until `cancel` raises. `sleep` takes seconds.

    Yields the descriptor of the lock file. A child process that inherits it holds the lock even if its parent is
    killed, so that no other process builds at the same place. Raises `StorageError` when a signal has stopped the
    holder.
    """
    with _open_lock_file(root, name) as descriptor:
        waiting = False
        while not _try_lock(descriptor):
            if not waiting:
                emit("log", "another process makes the same environment; waiting for it")
                waiting = True
            cancel()
            files.refuse_stopped_holder(root / "held" / name, descriptor)
            sleep(_POLL)
        yield descriptor


def build(root: Path, digest: str, make: Callable[[Path, Path], dict[str, Any]], lock_text: str) -> None:
    """Builds an environment with `make(temporary folder, final folder)`, which returns its marker; then renames it.

    Call it inside `exclusive`. Raises what `make` raises, and leaves nothing behind then.
    """
    final = environment_folder(root, digest)
    make_private_dir(final.parent)
    for leftover in final.parent.glob(f".building-{digest}-*"):  # of a killed process: no other one is admitted here
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = final.parent / f".building-{digest}-{os.getpid()}"
    try:
        marker = make(temporary, final)
        (temporary / LOCK_FILE).write_text(lock_text, "utf-8")
        files.write_json(temporary / MARKER, marker)
        if final.exists():  # broken: its base interpreter is gone
            shutil.rmtree(final)
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sweep(
    used: set[str], *, cache: Path | None = None, min_age: float = 3600.0, now: Callable[[], float] = time.time
) -> int:
    """Removes the environments whose digest is not in `used`, and leftovers of killed builds. Returns how many.

    One used within the last `min_age` seconds stays, because a deployment may be about to start from it; so does one
    that a process is building.
    """
    root = cache_root(cache)
    removed = 0
    parent = root / "environments"
    for folder in sorted(parent.iterdir()) if os.path.isdir(parent) else []:
        digest = folder.name.removeprefix(".building-").split("-")[0]
        building = folder.name.startswith(".building-")
        if digest in used and not building:
            continue
        marker = folder if building else folder / MARKER
        with contextlib.suppress(OSError):
            if now() - marker.stat().st_mtime < min_age:
                continue
        with _open_lock_file(root, digest) as descriptor:
            if _try_lock(descriptor):
                doomed = folder.with_name(f".removed-{digest}")
                with contextlib.suppress(OSError):
                    folder.rename(doomed)  # first, so that a half-removed environment never looks complete
                shutil.rmtree(doomed, ignore_errors=True)
                removed += 0 if building else 1
    return removed


@contextlib.contextmanager
def translate_os_errors(root: Path) -> Iterator[None]:
    """Raises `EnvironmentBuildError` for an `OSError` in the block, with a code of its own for a full disk."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise EnvironmentBuildError(
            "the environment cannot be written: the disk is full" if full else "the environment cannot be written",
            why=str(error),
            hint=f"free space below {root} (mldeploy prune), or set MLDEPLOY_CACHE to another folder",
            code="DiskFull" if full else "EnvironmentFailed",
        ) from None


@contextlib.contextmanager
def _open_lock_file(root: Path, name: str) -> Iterator[int]:
    """Yields the descriptor of the lock file; closing it releases the lock."""
    folder = root / "held"
    make_private_dir(folder)
    descriptor = files.open_lock_file(folder / name)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
