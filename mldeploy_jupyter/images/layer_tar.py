"""Archives whose bytes depend on their content alone: sorted names, fixed times, owners and modes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from mldeploy_jupyter.core.errors import StorageError

TIME = 315_532_800  # 1980-01-01: the oldest time that zip files can have, so that a script may pack what it finds

CHUNK = 1024 * 1024  # bytes

FOLDER_MODE = 0o755


@dataclass(frozen=True)
class LayerFile:
    """A file of an archive: bytes, or a file on disk of which `digest` (SHA-256) and `size` are known."""

    source: Path | bytes
    digest: str
    size: int
    mode: int = 0o644

    @classmethod
    def of(cls, content: bytes, mode: int = 0o644) -> LayerFile:
        return cls(content, hashlib.sha256(content).hexdigest(), len(content), mode)


@dataclass(frozen=True)
class LayerFolder:
    """A folder of an archive that needs another owner or mode than root's 0755, or that is empty."""

    uid: int = 0
    gid: int = 0
    mode: int = FOLDER_MODE


@dataclass(frozen=True)
class LayerLink:
    """A symbolic link of an archive."""

    target: str


Entry = LayerFile | LayerFolder | LayerLink


def iterate_tar(
    entries: Mapping[str, Entry], *, prefix: str = "", offset: int = 0, check: Callable[[], None] = lambda: None
) -> Iterator[bytes]:
    """The archive in pieces of at most 1 MiB. `entries` are files and folders by their path, without a leading slash.

    The folders that lead to an entry are added, those of `prefix` too. `offset` bytes are left out; a file that they
    end in is not verified. `check` is called between pieces; an error that it raises ends the archive.

    Raises:
        StorageError: a file on disk vanished, could not be read, or is not the one that its entry describes.
    """
    for name, entry in sorted(_with_parents(entries, prefix).items()):
        check()
        header = _header(name, entry)
        if offset < len(header):
            yield header[offset:]
        offset = max(0, offset - len(header))
        if not isinstance(entry, LayerFile):
            continue
        padding = -entry.size % tarfile.BLOCKSIZE
        if offset >= entry.size + padding:
            offset -= entry.size + padding
            continue
        if offset < entry.size:
            yield from _content(name, entry, offset, check)
        yield bytes(padding - max(0, offset - entry.size))
        offset = 0
    yield bytes(max(0, 2 * tarfile.BLOCKSIZE - offset))


def write_tar(
    entries: Mapping[str, Entry], out: IO[bytes], *, check: Callable[[], None] = lambda: None
) -> tuple[str, int]:
    """Writes the archive to `out`. Returns its SHA-256 and size. Raises what `iterate_tar` raises, and `OSError`."""
    digest, size = hashlib.sha256(), 0
    for piece in iterate_tar(entries, check=check):
        out.write(piece)
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size


def tar_size(entries: Mapping[str, Entry], *, prefix: str = "") -> int:
    """The bytes of the archive, without reading a file."""
    size = 2 * tarfile.BLOCKSIZE
    for name, entry in _with_parents(entries, prefix).items():
        size += len(_header(name, entry))
        if isinstance(entry, LayerFile):
            size += entry.size + -entry.size % tarfile.BLOCKSIZE
    return size


def _with_parents(entries: Mapping[str, Entry], prefix: str) -> dict[str, Entry]:
    found: dict[str, Entry] = {f"{prefix}{name}": entry for name, entry in entries.items()}
    folders: Iterable[PurePosixPath] = {parent for name in found for parent in PurePosixPath(name).parents}
    for folder in folders:
        if folder.name:
            found.setdefault(str(folder), LayerFolder())
    return found


def _header(name: str, entry: Entry) -> bytes:
    info = tarfile.TarInfo(f"{name}/" if isinstance(entry, LayerFolder) else name)
    info.mtime = TIME
    if isinstance(entry, LayerLink):
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
    elif isinstance(entry, LayerFolder):
        info.type, info.mode = tarfile.DIRTYPE, entry.mode
        info.uid, info.gid = entry.uid, entry.gid
    else:
        info.size, info.mode = entry.size, entry.mode
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _content(name: str, entry: LayerFile, offset: int, check: Callable[[], None]) -> Iterator[bytes]:
    digest, size = hashlib.sha256(), offset
    try:
        with closing(_open(entry)) as file:
            file.seek(offset)
            while piece := file.read(min(CHUNK, entry.size + 1 - size)):
                check()
                digest.update(piece)
                size += len(piece)
                if size > entry.size:
                    break
                yield piece
    except OSError as error:
        raise StorageError(
            f"a file of the image could not be read: {name}",
            why=f"{error.strerror or error}: {error.filename or entry.source!r}",
            hint="restore the file, then deploy again; nothing was changed",
        ) from error
    if size != entry.size or (not offset and digest.hexdigest() != entry.digest):
        raise StorageError(
            f"a file of the image is damaged: {name}",
            why=f"{entry.source if isinstance(entry.source, Path) else 'it'} is not what was registered or bundled",
            hint="register the model again, or deploy the script again, which makes a new bundle",
        )


def _open(entry: LayerFile) -> IO[bytes]:
    return io.BytesIO(entry.source) if isinstance(entry.source, bytes) else entry.source.open("rb")
