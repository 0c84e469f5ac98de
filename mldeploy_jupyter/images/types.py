"""The inputs and outputs of both builders, as plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

# Called between and during steps. Raises when the deployment was cancelled, or must stop for another reason.
Cancel = Callable[[], None]


class Emit(Protocol):
    """Writes one event of a stage to the journal, as targets do: `emit("image", "log", "text", **data)`.

    A build step is an event `progress` with `fraction` of the build (0 to 1) and `step`, such as "3/7". One that
    concerns a layer has `layer`, the data of a `Layer`.
    """

    def __call__(self, stage: str, kind: str, text: str = "", **data: Any) -> Any: ...


@dataclass(frozen=True)
class BuildSecrets:
    """Settings of the building machine, which must leave no trace in the image.

    `proxies` are environment variables such as HTTP_PROXY, `variables` those that pip and uv read an index and its
    password from (UV_DEFAULT_INDEX, ...). `ca_bundle` is the text of a PEM file that the index's certificate is checked
    with. `registry_username` and `registry_password` are those of the base image's registry.
    """

    proxies: dict[str, str] = field(default_factory=dict, repr=False)
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    ca_bundle: str = field(default="", repr=False)
    registry_username: str = field(default="", repr=False)
    registry_password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Layer:
    """A layer of an image. `name` says what it is for, such as "environment" or "model churn:3".

    `digest` is that of the layer, as the builder knows it, `size` its bytes, uncompressed. `reused` says that it was
    there already, and was neither made nor sent.
    """

    name: str
    digest: str = ""
    size: int = 0
    reused: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "digest": self.digest, "size": self.size, "reused": self.reused}


@dataclass(frozen=True)
class BuiltImage:
    """An image that was made. `id` is that of its configuration, `reference` the name it has, with tag or digest.

    `digest` is that of its manifest: "" as long as no registry has it and the engine made it. `receipt` is described in
    `images/receipt.py`; it names `sbom`, the bill of materials as JSON text, by its digest.
    """

    id: str
    reference: str
    digest: str = ""
    layers: list[Layer] = field(default_factory=list)
    base_digest: str = ""
    receipt: dict[str, Any] = field(default_factory=dict)
    sbom: str = ""
