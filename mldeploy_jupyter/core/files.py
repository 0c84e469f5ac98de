"""Small helpers for files that must be whole or absent, and for the file systems they are on."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MOUNTS = Path("/proc/self/mountinfo")

# File systems whose locks and shared memory other machines do not see.
NETWORK_FILESYSTEMS = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "beegfs", "gpfs", "afs",
        "ncpfs", "orangefs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.gcsfuse",
        "fuse.rclone", "fuse.blobfuse", "fuse.blobfuse2", "fuse.juicefs", "virtiofs", "vboxsf",
    }
)  # fmt: skip


def make_private_dir(path: Path) -> Path:
    """Makes `path` and its missing parents for this user only, 0700. What is there is left as it is."""
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(exist_ok=True, mode=0o700)
    return path


def fsync_dir(path: Path) -> None:
    """Makes renames inside `path` last through a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def atomic_write(
    path: Path, content: bytes | str, *, mode: int = 0o600, exclusive: bool = False, durable: bool = True
) -> None:
    """Writes `path` whole or not at all: temporary name, fsync, rename. Without `durable` nobody waits for the disk.

    With `exclusive` an existing file is never replaced and `FileExistsError` is raised, also when another
    process makes it at the same moment.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(fd)
        if exclusive:
            os.link(temporary, path)  # fails when the name is taken; a rename would not
        else:
            os.replace(temporary, path)
        if durable:
            fsync_dir(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in the file `path`, which may begin with a byte order mark.

    Raises `OSError` when the file cannot be read and `ValueError` when it does not hold one JSON object.
    """
    data = json.loads(path.read_text("utf-8-sig"))
    if not isinstance(data, dict):
        raise ValueError("it is not a JSON object")
    return data


def read_json_if_valid(path: Path) -> dict[str, Any] | None:
    """The JSON object in the file `path`; None when the file is missing, unreadable or something else."""
    try:
        return read_json(path)
    except (OSError, ValueError):
        return None


def write_json(path: Path, data: Any, *, mode: int = 0o600, exclusive: bool = False) -> None:
    """Writes `data` as indented JSON with `atomic_write`."""
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    atomic_write(path, text, mode=mode, exclusive=exclusive)


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Holds the lock file `path` for this block; waits for others. Ends with the process in any case."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def free_bytes(path: Path) -> int:
    """Bytes this user may still write on the file system of `path`."""
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize


def upwards(start: Path, *, home: Path | None = None) -> list[Path]:
    """`start` and the folders above it, up to the home directory when it is inside and to the file system's border."""
    home = home or Path.home()
    found: list[Path] = []
    try:
        device = start.stat().st_dev
        for directory in (start, *start.parents):
            if directory.stat().st_dev != device:
                break
            found.append(directory)
            if directory == home:
                break
    except OSError:
        pass
    return found


def filesystem_type(path: Path, mounts: Path = MOUNTS) -> str:
    """The type of the file system `path` is on, such as `ext4`; "" where the system does not say."""
    target = os.path.realpath(path)
    best, found = -1, ""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        before, separator, after = line.partition(" - ")
        fields = before.split()
        if not separator or len(fields) < 5 or not after:
            continue
        point = _unescape(fields[4])
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:  # of two mounts on one point the later one hides the first
            best, found = len(point), after.split()[0]
    return found


def on_network_filesystem(path: Path, mounts: Path = MOUNTS) -> bool:
    return filesystem_type(path, mounts) in NETWORK_FILESYSTEMS


def _unescape(text: str) -> str:
    """Mount points write space, tab, newline and backslash as octal."""
    for octal, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(octal, char)
    return text
