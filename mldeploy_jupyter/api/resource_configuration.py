"""`ResourceConfiguration`: what a model asks for when it is deployed without a configuration of its own."""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.core.errors import WebserviceException


class ResourceConfiguration:
    """`cpu` in cores, `memory_in_gb` in gigabytes, `gpu` as a whole number of devices; each above 0 or None.

    Raises `WebserviceException` for anything else.
    """

    def __init__(self, cpu: float | None = None, memory_in_gb: float | None = None, gpu: int | None = None) -> None:
        self.cpu = _positive("cpu", cpu, (int, float), "a number")
        self.memory_in_gb = _positive("memory_in_gb", memory_in_gb, (int, float), "a number")
        self.gpu = _positive("gpu", gpu, (int,), "a whole number")

    def serialize(self) -> dict[str, Any]:
        return {"cpu": self.cpu, "memory_in_gb": self.memory_in_gb, "gpu": self.gpu}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResourceConfiguration) and self.serialize() == other.serialize()

    def __hash__(self) -> int:
        return hash(tuple(self.serialize().values()))

    def __repr__(self) -> str:
        return f"ResourceConfiguration(cpu={self.cpu}, memory_in_gb={self.memory_in_gb}, gpu={self.gpu})"


def _positive(name: str, value: Any, types: tuple[type, ...], words: str) -> Any:
    # bool is an int to Python and never meant here; NaN is not above 0.
    if value is not None and (type(value) not in types or not 0 < value < float("inf")):
        raise WebserviceException(
            f"{name} is {value!r}", why=f"it must be {words} above 0", hint=f"correct {name} of ResourceConfiguration"
        )
    return value
