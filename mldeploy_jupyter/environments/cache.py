"""The folder of environments and locks that every workspace of a user shares.

    <cache>/environments/<digest of the lock>/   whole once it is there: built under another name, then renamed
    <cache>/environments/.building-<digest>-*    being built, or left by a killed build; swept by the next one
    <cache>/locks/<key>.json                     the lock that a spec got, so that it is asked for once
    <cache>/held/<name>                          files that processes lock, so that two build once

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

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.core.files import read_json_if_valid, write_json
from mldeploy_jupyter.environments.records import Emit, never, silent

MARKER = "mldeploy-environment.json"  # its time of change is the last use
LOCK_FILE = "mldeploy.lock"


def cache_root(cache: Path | None = None) -> Path:
    """`cache`, else `MLDEPLOY_CACHE`, else the user's cache folder. Absolute; not made here."""
    if cache is not None:
        return Path(cache).absolute()
    if os.environ.get("MLDEPLOY_CACHE"):
        return Path(os.environ["MLDEPLOY_CACHE"]).absolute()
    import platformdirs

    return Path(platformdirs.user_cache_path("mldeploy", appauthor=False))


def folder_of(root: Path, digest: str) -> Path:
    return root / "environments" / digest


def whole(folder: Path) -> dict[str, Any] | None:
    """The marker of a finished environment, or None. One whose base interpreter was removed is not whole."""
    marker = read_json_if_valid(folder / MARKER)
    return marker if marker is not None and (folder / "bin" / "python").exists() else None


def touch(folder: Path) -> None:
    """Mark a use. A read-only cache still serves."""
    with contextlib.suppress(OSError):
        os.utime(folder / MARKER)


@contextlib.contextmanager
def hold(
    root: Path,
    name: str,
    *,
    emit: Emit = silent,
    cancel: Callable[[], None] = never,
    wait: Callable[[float], Any] = time.sleep,
) -> Iterator[int]:
    """Hold a lock between processes; gives its file descriptor.

    A child that inherits the descriptor keeps the lock when its parent is killed, so that nobody builds beside it.
    """
    folder = root / "held"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        waiting = False
        while not _try_lock(descriptor):
            if not waiting:
                emit("log", "another process makes the same environment; waiting for it")
                waiting = True
            cancel()
            wait(0.05)
        yield descriptor
    finally:
        os.close(descriptor)


def build(root: Path, digest: str, make: Callable[[Path, Path], dict[str, Any]], lock_text: str) -> None:
    """Run `make(temporary folder, final folder)` and put the result in place at once. Call with the lock held."""
    final = folder_of(root, digest)
    final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in final.parent.glob(f".building-{digest}-*"):  # killed: we hold the lock, so nobody is at it
        shutil.rmtree(left, ignore_errors=True)
    temporary = final.parent / f".building-{digest}-{os.getpid()}"
    try:
        marker = make(temporary, final)
        (temporary / LOCK_FILE).write_text(lock_text, "utf-8")
        write_json(temporary / MARKER, marker, mode=0o644)
        if final.exists():  # broken: its interpreter is gone
            shutil.rmtree(final)
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sweep(
    used: set[str], *, cache: Path | None = None, min_age: float = 3600.0, now: Callable[[], float] = time.time
) -> int:
    """Remove the environments whose digest is not in `used`, and what killed builds left; returns how many.

    One used within the last `min_age` seconds stays (a deployment may be about to start from it), and so
    does one that a process is building.
    """
    root = cache_root(cache)
    removed = 0
    parent = root / "environments"
    for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
        digest = folder.name.removeprefix(".building-").split("-")[0]
        building = folder.name.startswith(".building-")
        if digest in used and not building:
            continue
        marker = folder if building else folder / MARKER
        with contextlib.suppress(OSError):
            if now() - marker.stat().st_mtime < min_age:
                continue
        with _free(root, digest) as free:
            if free:
                gone = folder.with_name(f".removed-{digest}")
                with contextlib.suppress(OSError):
                    folder.rename(gone)  # at once, so that nobody takes half of it for whole
                shutil.rmtree(gone, ignore_errors=True)
                removed += 0 if building else 1
    return removed


@contextlib.contextmanager
def named_errors(root: Path) -> Iterator[None]:
    """What the file system refuses, as an `EnvironmentBuildError`."""
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
def _free(root: Path, name: str) -> Iterator[bool]:
    (root / "held").mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(root / "held" / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
