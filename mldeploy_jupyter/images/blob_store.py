"""The cache of the builder without an engine: unchanged layers are neither made nor sent again.

    <cache>/blobs/sha256/<digest>     layers and configurations; those of base images too, as soon as they are read
    <cache>/layers/<key>.json         what a layer is, by the content that it is made of
    <cache>/bases/<key>.json          what was found in layers of base images, and where tags pointed
    <cache>/images/<digest>.json      images that were made: the manifest, and where each layer comes from
    <cache>/kept/<key>.json           images that something outside needs, and the file that says so

A model's layer is not stored: it is generated from the model's files each time it is read.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.core.files import make_private_dir, open_private, read_json_if_valid, write_json
from mldeploy_jupyter.images.layer_tar import Entry, iterate_tar

PIECE = 1024 * 1024  # bytes

MEMBER = 2 * 1024 * 1024  # bytes that are compressed at a time, each by a thread of its own

LEVEL = 4  # of gzip: twice as fast as 6, and 3 in 100 larger

# A gzip member without name and time, by an unknown system: equal on every machine.
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


@dataclass(frozen=True)
class StoredLayer:
    """A layer: `digest` and `size` are those of the blob, `diff_id` and `content_size` those of its archive."""

    digest: str
    size: int
    diff_id: str
    content_size: int
    media_type: str


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Raises `ImageError` where the disk ends what the block does, with the code `DiskFull` when it has no room left.

    Other `OSError`s, such as those of a connection, are left alone.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if not full and error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO):
            raise
        raise ImageError(
            "the image cannot be written: the disk is full" if full else "the image cannot be written",
            why=str(error),
            hint=f"free space below {folder} (mldeploy prune), or set MLDEPLOY_CACHE to another folder",
            code="DiskFull" if full else "ImageFailed",
        ) from None


class BlobStore:
    """Files below `folder`, shared by processes: each is written under another name first, then renamed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def has(self, digest: str, size: int) -> bool:
        try:
            return self.path(digest).stat().st_size == size
        except OSError:
            return False

    def read(self, digest: str, offset: int = 0) -> Iterator[bytes]:
        """The bytes of a blob. Raises `ImageError` when it is no longer stored."""
        try:
            with self.path(digest).open("rb") as file:
                file.seek(offset)
                while piece := file.read(PIECE):
                    yield piece
        except FileNotFoundError:
            raise ImageError(
                "a layer of the image is no longer on this disk",
                why=f"{digest} was removed from {self.folder}",
                hint="build the image again",
                code="LayerGone",
            ) from None

    def add(self, content: bytes) -> str:
        """Stores some bytes. Returns their digest."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if not self.has(digest, len(content)):
            with self._temporary() as writer:
                writer.write(content)
                writer.finish(digest)
        return digest

    def add_pieces(self, pieces: Iterable[bytes], digest: str) -> None:
        """Stores the bytes of a blob. Raises `ImageError` where they have another digest."""
        counter = ByteCounter()
        with self._temporary() as writer:
            for piece in counter.through(pieces):
                writer.write(piece)
            if counter.digest != digest:
                raise ImageError(
                    "a layer is damaged",
                    why=f"expected {digest}, computed {counter.digest}",
                    hint="fetch or write the image again",
                    code="DigestMismatch",
                )
            writer.finish(digest)

    def add_layer(
        self, entries: Mapping[str, Entry], media_type: str, *, compressed: bool, check: Callable[[], None]
    ) -> StoredLayer:
        """Writes the archive of some files. Raises what `iterate_tar` raises."""
        plain, packed = ByteCounter(), ByteCounter()
        pieces: Iterator[bytes] = plain.through(iterate_tar(entries, check=check))
        with self._temporary() as writer:
            for piece in packed.through(compress(pieces) if compressed else pieces):
                writer.write(piece)
            writer.finish(packed.digest)
        return StoredLayer(packed.digest, packed.size, plain.digest, plain.size, media_type)

    def measure(self, entries: Mapping[str, Entry], media_type: str, *, check: Callable[[], None]) -> StoredLayer:
        """The same for an archive that is not kept."""
        plain = ByteCounter()
        for _ in plain.through(iterate_tar(entries, check=check)):
            pass
        return StoredLayer(plain.digest, plain.size, plain.digest, plain.size, media_type)

    def recall(self, room: str, key: str) -> dict[str, Any] | None:
        """What was remembered of `key`; sets the time of its last use."""
        path = self.folder / room / f"{key.removeprefix('sha256:')}.json"
        with suppress(OSError):
            os.utime(path)
        return read_json_if_valid(path)

    def remember(self, room: str, key: str, data: Mapping[str, Any]) -> None:
        path = self.folder / room / f"{key.removeprefix('sha256:')}.json"
        make_private_dir(path.parent)
        write_json(path, dict(data))

    def recall_layer(self, key: str) -> StoredLayer | None:
        """The layer that was made of this content; None where it was not, or is gone."""
        data = self.recall("layers", key)
        try:
            layer = StoredLayer(**data) if data else None
        except TypeError:
            return None
        if layer is not None:
            with suppress(OSError):
                os.utime(self.path(layer.digest))
        return layer

    def sweep(self, *, min_age: float, now: Callable[[], float] = time.time) -> int:
        """Removes what nothing keeps and has not been used for `min_age` seconds. Returns how many bytes that freed."""
        freed, kept = 0, self._list_kept()
        for path in [*self.folder.glob("blobs/sha256/*"), *self.folder.glob("*/*.json")]:
            if path in kept:
                continue
            with suppress(OSError):
                status = path.stat()
                if now() - status.st_mtime > min_age:
                    path.unlink()
                    freed += status.st_size
        return freed

    def keep(self, image: str, blobs: Iterable[str], user: Path) -> None:
        """Has `sweep` leave an image and its blobs alone, all by digest, for as long as the file `user` exists."""
        key = hashlib.sha256(f"{image} {user}".encode()).hexdigest()
        self.remember("kept", key, {"image": image, "blobs": list(blobs), "user": str(user)})

    def _list_kept(self) -> set[Path]:
        found: set[Path] = set()
        for path in self.folder.glob("kept/*.json"):
            data = read_json_if_valid(path) or {}
            if not os.path.lexists(str(data.get("user") or "")):
                path.unlink(missing_ok=True)
                continue
            image = str(data.get("image")).removeprefix("sha256:")
            blobs = data.get("blobs")
            found |= {path, self.folder / "images" / f"{image}.json"}
            found |= {self.path(str(digest)) for digest in (blobs if isinstance(blobs, list) else [])}
        return found

    def _temporary(self) -> _Writer:
        folder = self.folder / "blobs" / "sha256"
        make_private_dir(folder)
        return _Writer(folder)


class _Writer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / f".{os.getpid()}.{os.urandom(4).hex()}"

    def __enter__(self) -> _Writer:
        self._file = open_private(self._path, "wb")
        return self

    def write(self, piece: bytes) -> None:
        self._file.write(piece)

    def finish(self, digest: str) -> None:
        self._file.close()
        os.replace(self._path, self._folder / digest.removeprefix("sha256:"))

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


class ByteCounter:
    """Size and SHA-256 of what has passed."""

    def __init__(self) -> None:
        self.size = 0
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def through(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._hash.update(piece)
            self.size += len(piece)
            yield piece


def compress(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces with gzip, as members of a fixed length that threads compress at the same time."""
    workers = min(4, os.cpu_count() or 1)
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for member in _members(pieces):
            waiting.append(pool.submit(_compress_member, member))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _members(pieces: Iterable[bytes]) -> Iterator[bytes]:
    collected = bytearray()
    for piece in pieces:
        collected += piece
        while len(collected) >= MEMBER:
            yield bytes(collected[:MEMBER])
            del collected[:MEMBER]
    if collected:
        yield bytes(collected)


def _compress_member(content: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(content) + packer.flush()
    return _HEADER + body + zlib.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")


def decompress(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of a gzip file, or the same bytes where it is none. Raises `ValueError` for a damaged or other one."""
    first = next(pieces, b"")
    if first.startswith(b"\x28\xb5\x2f\xfd"):
        raise ValueError("it is compressed with zstd")
    if not first.startswith(b"\x1f\x8b"):
        yield first
        yield from pieces
        return
    reader = gzip.GzipFile(fileobj=cast(IO[bytes], PieceReader(pieces, first)), mode="rb")
    try:
        while piece := reader.read(PIECE):
            yield piece
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(str(error)) from None


class PieceReader:
    """Pieces as a file that is read forwards."""

    def __init__(self, pieces: Iterator[bytes], first: bytes = b"") -> None:
        self._pieces, self._rest = pieces, first

    def read(self, count: int = -1) -> bytes:
        while count < 0 or len(self._rest) < count:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rest += piece
        count = len(self._rest) if count < 0 else count
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken
