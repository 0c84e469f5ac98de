"""Blobs of a registry: looked up, mounted from another repository, uploaded and downloaded in resumable pieces."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.core.files import make_private_dir, open_private
from mldeploy_jupyter.images.registry.backoff import Away
from mldeploy_jupyter.images.registry.connection import Registry, RegistryAnswer
from mldeploy_jupyter.images.registry.manifests import pull_scope, push_scope
from mldeploy_jupyter.images.registry.reference import Reference

SMALL = 1024 * 1024  # bytes up to which a blob is sent in one request

CHUNK = 32 * 1024 * 1024  # bytes of one request of a large blob: what a lost connection may cost at most is less

READ = 256 * 1024  # bytes read or sent at a time

Tell = Callable[[int], object]  # told how many bytes have moved; a negative number takes some back


@dataclass(frozen=True)
class Blob:
    """A layer or a configuration. `read(offset)` yields its bytes from there on.

    `source` is a repository that has it already. `name` is for people.
    """

    digest: str
    size: int
    media_type: str
    read: Callable[[int], Iterator[bytes]] = field(repr=False)
    source: Reference | None = None
    name: str = ""

    def descriptor(self) -> dict[str, Any]:
        """The blob as a manifest names it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


def has_blob(registry: Registry, repository: str, digest: str) -> bool:
    """Whether a repository has the blob."""
    path = f"/v2/{repository}/blobs/{digest}"
    answer = registry.request("HEAD", path, scopes=[push_scope(repository)], expected=(200, 404), doing="asked")
    return bool(answer.status == 200)


def upload_blob(registry: Registry, repository: str, blob: Blob, tell: Tell = lambda count: None) -> str:
    """Brings the blob into the repository: "there" already, "mounted" from another repository, or "uploaded".

    An upload resumes after a lost connection or a restart of the registry. Raises `ImageError`.
    """
    if has_blob(registry, repository, blob.digest):
        return "there"
    location = ""
    if blob.source is not None and blob.source.registry == registry.host:
        location = _mount(registry, repository, blob.digest, blob.source.repository)
        if not location:
            return "mounted"
    for attempt in range(3):
        if attempt and has_blob(registry, repository, blob.digest):
            return "uploaded"  # it was complete, and only the answer was lost
        location = location or _start(registry, repository)
        upload = _Upload(registry, repository, blob, location, tell)
        try:
            upload.run()
            return "uploaded"
        except RegistryAnswer as error:
            lost = error.status == 404 or "BLOB_UPLOAD" in "".join(error.codes) or "DIGEST_INVALID" in error.codes
            if not lost or attempt == 2:
                raise
        tell(-upload.offset)  # the registry has forgotten the upload, as one without a lasting secret does: once more
        location = ""
    raise AssertionError("unreachable")


def _mount(registry: Registry, repository: str, digest: str, source: str) -> str:
    """Has the registry take the blob from another of its repositories; else the address of an upload that it began."""
    try:
        answer = registry.request(
            "POST",
            f"/v2/{repository}/blobs/uploads/?mount={quote(digest)}&from={quote(source, safe='')}",
            scopes=[push_scope(repository), pull_scope(source)],
            headers={"Content-Length": "0"},
            expected=(201, 202),
            doing="asked to mount a layer",
        )
    except ImageError as error:
        if error.code not in ("RegistryRefused", "RegistryFailed"):
            raise
        return _start(registry, repository)  # without access to the other repository, uploading may still be allowed
    return "" if answer.status == 201 else _location(registry, answer)


def _start(registry: Registry, repository: str) -> str:
    answer = registry.request(
        "POST",
        f"/v2/{repository}/blobs/uploads/",
        scopes=[push_scope(repository)],
        headers={"Content-Length": "0"},
        expected=(202,),
        doing=f"pushed to: {repository}",
    )
    return _location(registry, answer)


def _location(registry: Registry, answer: Any) -> str:
    location = answer.headers.get("Location", "")
    if not location:
        raise ImageError(
            f"the registry {registry.host} gave no address for an upload",
            why=f"its answer {answer.status} has no Location",
            hint="check that the address is that of a registry",
            code="RegistryFailed",
        )
    return str(location)


class _Upload:
    """One upload: `offset` is how much of the blob the registry has."""

    def __init__(self, registry: Registry, repository: str, blob: Blob, location: str, tell: Tell) -> None:
        self._registry, self._repository, self._blob = registry, repository, blob
        self._location, self._tell = location, tell
        self.offset = 0

    def run(self) -> None:
        backoff = self._registry.backoff()
        resume = False
        while True:
            try:
                if resume:
                    before = self.offset
                    self._ask_offset()
                    resume = False
                    if self.offset > before:
                        backoff.got_on()
                if self._blob.size - self.offset > (0 if self.offset else SMALL):
                    self._send_chunk()
                    backoff.got_on()
                else:
                    self._finish()
                    return
            except Away as away:
                backoff.wait(away)
                resume = True

    def _send_chunk(self) -> None:
        end = min(self._blob.size, self.offset + CHUNK)
        body = _Body(self._registry, self._blob, self.offset, end, self._tell)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(end - self.offset),
            "Content-Range": f"{self.offset}-{end - 1}",
        }
        try:
            answer = self._request("PATCH", self._location, headers, body, (202, 204))
        except BaseException:
            body.take_back()
            raise
        self._location = answer.headers.get("Location", self._location)
        stored = _range_end(answer.headers.get("Range", ""), end)
        self._tell(stored - end)
        self.offset = stored

    def _finish(self) -> None:
        """Completes the upload, with the whole of a small blob."""
        body = _Body(self._registry, self._blob, self.offset, self._blob.size, self._tell)
        separator = "&" if "?" in self._location else "?"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(self._blob.size - self.offset)}
        address = f"{self._location}{separator}digest={quote(self._blob.digest)}"
        try:
            answer = self._request("PUT", address, headers, body, (201, 202, 204))
        except BaseException:
            body.take_back()
            raise
        stored = answer.headers.get("Docker-Content-Digest", self._blob.digest)
        if stored != self._blob.digest:
            raise ImageError(
                f"the registry {self._registry.host} stored a different layer than it was sent",
                why=f"sent {self._blob.digest}, stored {stored}",
                hint="find out what changes the data on its way to the registry, such as a proxy",
                code="DigestMismatch",
            )

    def _ask_offset(self) -> None:
        """Finds out how much of the blob has arrived, since an answer was lost."""
        answer = self._request("GET", self._location, {}, None, (200, 204))
        self._location = answer.headers.get("Location", self._location)
        stored = _range_end(answer.headers.get("Range", ""), 0)
        self._tell(stored - self.offset)
        self.offset = stored

    def _request(self, method: str, address: str, headers: dict[str, str], body: Any, expected: tuple[int, ...]) -> Any:
        return self._registry.request(
            method,
            address,
            scopes=[push_scope(self._repository)],
            headers=headers,
            body=body,
            expected=expected,
            retry=False,
            doing="sent a layer",
        )


class _Body:
    """A part of a blob as the body of a request; counts what was sent."""

    def __init__(self, registry: Registry, blob: Blob, start: int, end: int, tell: Tell) -> None:
        self._registry, self._blob, self._start, self._end, self._tell = registry, blob, start, end, tell
        self._sent = 0
        self._rest = b""
        self._parts: Iterator[bytes] | None = None

    def read(self, count: int = -1) -> bytes:
        self._registry.check()
        left = self._end - self._start - self._sent
        count = left if count is None or count < 0 else min(count, left)
        if count == 0:
            return b""
        if self._parts is None:
            self._parts = self._blob.read(self._start)
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                raise ImageError(
                    f"the layer {self._blob.name or self._blob.digest} has changed since it was made",
                    why="it is shorter than it was",
                    hint="build the image again",
                    code="LayerChanged",
                )
            self._rest = part
        taken, self._rest = self._rest[:count], self._rest[count:]
        self._sent += len(taken)
        self._tell(len(taken))
        return taken

    def rewind(self) -> None:
        """Prepares to send the part again from the beginning."""
        self.take_back()
        self._parts, self._rest = None, b""

    def take_back(self) -> None:
        """Subtracts what was sent from the progress."""
        self._tell(-self._sent)
        self._sent = 0


def _range_end(header: str, otherwise: int) -> int:
    """The number of bytes that the header `Range` of an upload counts; registries write `0-0` for none, too."""
    match = re.fullmatch(r"(?:bytes=)?0-(\d+)", header.strip())
    if match is None:
        return otherwise
    return int(match[1]) + 1 if int(match[1]) else 0


def download_blob(
    registry: Registry, repository: str, digest: str, size: int, target: Path, tell: Tell = lambda count: None
) -> None:
    """Writes a verified blob to the file `target`, whole or not at all. Continues where a lost connection has ended.

    Raises `ImageError`, and `OSError` where the file cannot be written.
    """
    make_private_dir(target.parent)
    temporary = target.with_name(f".{target.name[:16]}.{os.getpid()}.{os.urandom(4).hex()}")
    hashed = hashlib.sha256()
    try:
        with open_private(temporary, "wb") as file:
            for part in read_blob(registry, repository, digest, size):
                hashed.update(part)
                file.write(part)
                tell(len(part))
        if f"sha256:{hashed.hexdigest()}" != digest:
            raise _another_blob(registry, digest, f"sha256:{hashed.hexdigest()}")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def read_blob(registry: Registry, repository: str, digest: str, size: int, offset: int = 0) -> Iterator[bytes]:
    """The bytes of a blob from `offset` on, over as many connections as it takes. They are not verified here.

    Raises `ImageError`.
    """
    backoff = registry.backoff()
    while offset < size:
        before = offset
        try:
            headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
            answer = registry.request(
                "GET",
                f"/v2/{repository}/blobs/{digest}",
                scopes=[pull_scope(repository)],
                headers=headers,
                expected=(200, 206),
                retry=False,
                stream=True,
                doing="read",
            )
            with contextlib.closing(answer):
                skipped = offset if answer.status == 200 else 0  # it ignores ranges
                for part in _parts(registry, answer):
                    if skipped:
                        part, skipped = part[skipped:], max(0, skipped - len(part))
                    if offset + len(part) > size:
                        raise _another_blob(registry, digest, f"more than {size} bytes")
                    if part:
                        backoff.got_on()
                        offset += len(part)
                        yield part
                answer.release_conn()
            if offset == before:
                raise Away(_another_blob(registry, digest, f"{offset} of {size} bytes"))
        except Away as away:
            backoff.wait(away)


def _parts(registry: Registry, answer: Any) -> Iterator[bytes]:
    """The parts of an answer. Raises `Away` where it breaks off."""
    import urllib3

    try:
        while part := answer.read(READ, decode_content=False):
            registry.check()
            yield part
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise registry.away(error) from None


def _another_blob(registry: Registry, digest: str, found: str) -> ImageError:
    return ImageError(
        f"the registry {registry.host} sent a different layer than requested",
        why=f"expected {digest}, found {found}",
        hint="find out what changes the registry's answers on their way here, such as a proxy",
        code="DigestMismatch",
    )
