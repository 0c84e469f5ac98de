"""Stand-ins for classes of v1 that can be imported but not used."""

from __future__ import annotations

from typing import Any


class StandIn(type):
    """The metaclass of stand-ins: calling the class or reading an attribute of it raises what `_refusal` returns."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise cls._refusal("()")

    def __getattr__(cls, name: str) -> Any:
        # Displays, inspect and pickle look for underscored names.
        if name.startswith("_"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        raise cls._refusal(f".{name}")

    def _refusal(cls, used: str) -> Exception:
        """The error for a use: `used` is `()` or `.attribute`."""
        raise NotImplementedError
