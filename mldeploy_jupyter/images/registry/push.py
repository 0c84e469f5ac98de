"""Pushes an image: the blobs that the repository lacks, several at a time, then the manifest."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mldeploy_jupyter.images.registry.blobs import Blob, upload_blob
from mldeploy_jupyter.images.registry.connection import Registry
from mldeploy_jupyter.images.registry.credentials import Credentials
from mldeploy_jupyter.images.registry.manifests import Manifest, has_manifest, put_manifest
from mldeploy_jupyter.images.registry.reference import Reference, parse_reference
from mldeploy_jupyter.images.registry.transfers import Progress, megabytes, run_parallel
from mldeploy_jupyter.images.types import Emit


@dataclass(frozen=True)
class PushedBlob:
    """What became of a blob: "there", "mounted" or "uploaded"."""

    blob: Blob
    how: str


@dataclass(frozen=True)
class Pushed:
    """A pushed image. `reference` is pinned to its digest; `uploaded_bytes` counts blobs only."""

    reference: Reference
    blobs: list[PushedBlob] = field(default_factory=list)

    @property
    def uploaded_bytes(self) -> int:
        return sum(pushed.blob.size for pushed in self.blobs if pushed.how == "uploaded")


def push_image(
    manifest: Manifest,
    blobs: Sequence[Blob],
    reference: Reference | str,
    credentials: Credentials | None,
    emit: Emit,
    cancel: Callable[[], None],
    *,
    registry: Registry | None = None,
    stage: str = "push",
) -> Pushed:
    """Pushes manifest, configuration and layers to `reference`. What the repository has is not sent again.

    Emits `progress` of `stage` with bytes and the time left, and a line for each blob. Raises `ImageError`, and
    whatever `cancel` raises; nothing refers to what was uploaded by then.
    """
    reference = parse_reference(reference) if isinstance(reference, str) else reference
    connection = registry or Registry(reference.registry, credentials)
    distinct = list({blob.digest: blob for blob in blobs}.values())
    progress = Progress(emit, stage, f"pushing to {reference.name}", sum(blob.size for blob in distinct))
    lines = _Lines(emit, stage)
    with contextlib.closing(connection) if registry is None else contextlib.nullcontext():
        pushed = Pushed(reference.with_digest(manifest.digest))
        if has_manifest(connection, reference, manifest.digest):
            emit(stage, "log", f"{reference} is there already: {manifest.digest}")
            pushed.blobs.extend(PushedBlob(blob, "there") for blob in distinct)
            return pushed

        def send(blob: Blob) -> PushedBlob:
            sent = 0

            def tell(count: int) -> None:
                nonlocal sent
                sent += count
                progress.add(count)

            how = upload_blob(connection, reference.repository, blob, tell)
            progress.add(-sent)
            if how == "uploaded":
                progress.add(blob.size)
            else:
                progress.skip(blob.size)
            lines.add(blob, how)
            return PushedBlob(blob, how)

        def tick() -> None:
            cancel()
            lines.flush()
            progress.tick()

        largest_first = sorted(distinct, key=lambda blob: -blob.size)
        pushed.blobs.extend(run_parallel(largest_first, send, tick=tick, stop=connection.close))
        lines.flush()
        put_manifest(connection, reference, manifest)
    emit(stage, "log", f"pushed {pushed.reference}: {megabytes(pushed.uploaded_bytes)} uploaded")
    return pushed


class _Lines:
    """Lines of several threads, written by one of them."""

    def __init__(self, emit: Emit, stage: str) -> None:
        self._emit, self._stage = emit, stage
        self._waiting: list[tuple[Blob, str]] = []
        self._lock = threading.Lock()

    def add(self, blob: Blob, how: str) -> None:
        with self._lock:
            self._waiting.append((blob, how))

    def flush(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for blob, how in waiting:
            name = blob.name or blob.digest[:19]
            words = {"there": "there already", "mounted": "taken from the base image's repository"}
            self._emit(
                self._stage,
                "log",
                f"{name} ({megabytes(blob.size)}): {words.get(how, how)}",
                layer={"name": name, "size": blob.size, "reused": how != "uploaded"},
            )
