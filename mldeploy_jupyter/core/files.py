"""Files that are written whole or not at all, JSON files, lock files, and facts about file systems."""

from __future__ import annotations

import codecs
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import ConfigError, StorageError

# What opening a file raises where it is not, where something else is, and where it may not be read.
UNREADABLE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)

WORKSPACE_FOLDER = ".mldeploy"

MOUNTS = Path("/proc/self/mountinfo")

LOCKS = Path("/proc/locks")

LOCK_PAUSE = 0.02  # seconds between two attempts to get a lock

STOPPED_ATTEMPTS = 50  # attempts after which the holders of a lock are looked at: once a second

# File systems whose file locks and shared memory do not reach other machines.
NETWORK_FILESYSTEMS = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "beegfs", "gpfs", "afs",
        "ncpfs", "orangefs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.gcsfuse",
        "fuse.rclone", "fuse.blobfuse", "fuse.blobfuse2", "fuse.juicefs", "virtiofs", "vboxsf",
    }
)  # fmt: skip


def make_private_dir(path: Path) -> Path:
    """Creates `path` and its missing parents with mode 0700. Folders that exist keep their mode.

    Raises `OSError`: `FileNotFoundError` where the folder of a workspace is among the missing parents. The workspace
    is unavailable or deleted, and another folder in its place would keep it from coming back.
    """
    if path.is_dir():  # nearly always: one look, and not one for each parent
        return path
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            if folder.name == WORKSPACE_FOLDER and folder != path:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
            folder.mkdir(exist_ok=True, mode=0o700)
    return path


def open_private(path: Path | str, mode: str) -> IO[Any]:
    """Opens a file for writing as `open` does; a new one gets mode 0600, whatever the umask."""
    return open(path, mode, encoding=None if "b" in mode else "utf-8", opener=private_opener)


def private_opener(path: str, flags: int) -> int:
    """For the parameter `opener` of `open`: a new file gets mode 0600, whatever the umask."""
    return os.open(path, flags, 0o600)


def copy_private(source: Path | str, target: Path | str) -> None:
    """Copies a file's bytes; a new `target` gets mode 0600, whatever the umask. Raises `OSError`."""
    import shutil

    open_private(target, "wb").close()
    shutil.copyfile(source, target)


def fsync_dir(path: Path) -> None:
    """Makes renames inside the folder `path` survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def atomic_write(
    path: Path, content: bytes | str | IO[bytes], *, mode: int = 0o600, exclusive: bool = False, durable: bool = True
) -> None:
    """Writes `path` whole or not at all: to a temporary name, then renamed. Text is written as UTF-8, a file copied.

    With `durable` it waits until the file and its name are on the disk. With `exclusive` it raises `FileExistsError`
    when the file exists, even if another process creates it at the same moment.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(fd, "wb") as file:
            if isinstance(data, bytes):
                file.write(data)
            else:
                shutil.copyfileobj(data, file)
            file.flush()
            if durable:
                os.fsync(fd)
        if exclusive:
            os.link(temporary, path)  # unlike a rename, fails when the name is taken
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
    try:
        data = json.loads(path.read_text("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
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


# The longer mark first: that of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_user_text(path: Path, kind: str) -> str:
    """The text of a file that the user named, a `kind` of file. Raises `ConfigError` when it cannot be read.

    It is UTF-8, or what its byte order mark says: PowerShell's `>` writes UTF-16.
    """
    try:
        return decode_text(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(
            f"there is no {kind} at {path}",
            why=f"looked in the folder {path.absolute().parent}",
            hint="give the path of an existing file",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the {kind} {path} cannot be read", why=str(error), hint="give a readable UTF-8 text file"
        ) from None


def decode_text(content: bytes) -> str:
    """The text of a file, by its byte order mark, else UTF-8; with "\\n" at the ends of lines.

    Raises `UnicodeDecodeError`.
    """
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8-sig")
    return content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def open_lock_file(path: Path) -> int:
    """A descriptor of the lock file, which is created if need be. Raises `OSError`.

    A folder in its place can be locked as well, and one without rights gets them back: no damage of it is in the way.
    """
    for _ in range(2):
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except IsADirectoryError:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except PermissionError:
            path.chmod(0o600)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextmanager
def file_lock(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Holds a lock on the file `path` during the block, after waiting for other holders.

    `shared` holders exclude only those that are not. The system releases the lock when the process ends. Raises
    `StorageError` when a signal has stopped a holder: it would be waited for without an end.
    """
    fd = open_lock_file(path)
    try:
        kind, attempts = fcntl.LOCK_SH if shared else fcntl.LOCK_EX, 0
        while True:
            try:
                fcntl.flock(fd, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                attempts += 1
            if attempts % STOPPED_ATTEMPTS == 0:
                refuse_stopped_holder(path, fd)
            time.sleep(LOCK_PAUSE)
        yield
    finally:
        os.close(fd)


def refuse_stopped_holder(path: Path, descriptor: int) -> None:
    """Raises `StorageError` when a signal has stopped a process that has a lock on the open file `path`."""
    for pid in _lock_holders(os.fstat(descriptor).st_ino):
        if process_identity.is_stopped(process_identity.identify_process(pid)):
            raise StorageError(
                f"{path.parent} is locked by a process that does nothing",
                why=f"process {pid} has the lock, and is stopped by a signal (SIGSTOP, or Ctrl+Z in a terminal)",
                hint=f"resume it with `kill -CONT {pid}`, or end it with `kill -9 {pid}`",
            )


def _lock_holders(inode: int) -> list[int]:
    """The processes of this machine with a lock on the file of that inode; none where the system does not tell."""
    try:
        lines = [line.split() for line in LOCKS.read_text().splitlines()]
    except OSError:
        return []
    # "1: FLOCK ADVISORY WRITE <pid> <major>:<minor>:<inode> 0 EOF"; one that waits has "->" in the second place.
    return [int(f[4]) for f in lines if len(f) > 5 and f[1] == "FLOCK" and f[5].rpartition(":")[2] == str(inode)]


def free_bytes(path: Path) -> int:
    """Bytes that this user can still write to the file system of `path`."""
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize


def file_identity(status: os.stat_result) -> tuple[int, int]:
    """Which file it is, whatever its name: another one put in its place has another identity."""
    return status.st_dev, status.st_ino


def file_version(status: os.stat_result) -> tuple[int, int, int, int]:
    """Which file it is and when it last changed: a file that was written to has another version."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def search_folders(start: Path, *, home: Path | None = None) -> list[Path]:
    """`start` and its parent folders, nearest first: where to look for a workspace or a settings file.

    Ends at the home directory, if `start` is inside it, and at the border of the file system.
    """
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
    """The type of the file system `path` is on, such as `ext4`; "" where the system does not tell."""
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
        if inside and len(point) >= best:  # a later mount on the same point hides the earlier one
            best, found = len(point), after.split()[0]
    return found


def on_network_filesystem(path: Path, mounts: Path = MOUNTS) -> bool:
    """Whether `path` is on a file system that other machines may write to, too."""
    return filesystem_type(path, mounts) in NETWORK_FILESYSTEMS


def _unescape(text: str) -> str:
    """A mount point as a path: mountinfo writes space, tab, newline and backslash as octal."""
    for octal, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(octal, char)
    return text
