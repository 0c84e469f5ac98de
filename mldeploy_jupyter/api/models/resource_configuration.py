"""`ResourceConfiguration`: the resources of a model that is deployed without a deploy configuration."""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.core.errors import WebserviceException


class ResourceConfiguration:
    """`cpu` in cores, `memory_in_gb` in gigabytes, `gpu` as a whole number of devices; each above 0 or None.

    Raises `WebserviceException` that lists every other value.
    """

    def __init__(self, cpu: float | None = None, memory_in_gb: float | None = None, gpu: int | None = None) -> None:
        self.cpu = cpu
        self.memory_in_gb = memory_in_gb
        self.gpu = gpu
        found = [
            (name, repr(value), f"must be {words} above 0")
            for name, value, types, words in (
                ("cpu", cpu, (int, float), "a number"),
                ("memory_in_gb", memory_in_gb, (int, float), "a number"),
                ("gpu", gpu, (int,), "a whole number"),
            )
            # `type` and not isinstance, which accepts True as an int. NaN fails the comparison.
            if value is not None and (type(value) not in types or not 0 < value < float("inf"))
        ]
        if found:
            from mldeploy_jupyter.core.configs import Violation, describe

            count = "a value" if len(found) == 1 else f"{len(found)} values"
            raise WebserviceException(
                f"the resource configuration has {count} that cannot be used",
                why="\n       ".join(describe(Violation(*wrong)) for wrong in found),
                hint=f"correct {'it' if len(found) == 1 else 'them'}, or leave out what does not matter",
            )

    def serialize(self) -> dict[str, Any]:
        """The three values by name."""
        return {"cpu": self.cpu, "memory_in_gb": self.memory_in_gb, "gpu": self.gpu}

    @classmethod
    def deserialize(cls, payload_obj: dict[str, Any]) -> ResourceConfiguration:
        """What `serialize` returned, or v1's payload. Raises `WebserviceException` as the class does."""
        if not isinstance(payload_obj, dict):
            raise WebserviceException(
                f"payload_obj is {payload_obj!r:.80}", why="it must be a dict", hint="pass what serialize() returned"
            )
        memory = payload_obj.get("memory_in_gb", payload_obj.get("memoryInGB"))
        return cls(payload_obj.get("cpu"), memory, payload_obj.get("gpu"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResourceConfiguration) and self.serialize() == other.serialize()

    def __hash__(self) -> int:
        return hash(tuple(self.serialize().values()))

    def __repr__(self) -> str:
        return f"ResourceConfiguration(cpu={self.cpu}, memory_in_gb={self.memory_in_gb}, gpu={self.gpu})"


def check_resources(value: Any) -> dict[str, Any] | None:
    """Returns the configuration as data. Raises `WebserviceException` when it is not a `ResourceConfiguration`."""
    if value is None:
        return None
    if not isinstance(value, ResourceConfiguration):
        raise WebserviceException(
            f"resource_configuration is {value!r}",
            why="it must be a ResourceConfiguration",
            hint="pass ResourceConfiguration(cpu=1, memory_in_gb=0.5)",
        )
    return value.serialize()
