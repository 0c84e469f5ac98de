"""Refuses a setting that does not exist: v1 took a misspelt attribute without a word."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, ClassVar

from mldeploy_jupyter.core.errors import ConfigError


class KnownNames:
    """Only the names in `_names` may be assigned; in a dataclass, its fields. Others raise `ConfigError`."""

    _names: ClassVar[frozenset[str]] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        known = self._names or frozenset(getattr(self, "__dataclass_fields__", ()))
        if name not in known and not name.startswith("_"):
            raise unknown_name(type(self).__name__, name, known)
        super().__setattr__(name, value)


def unknown_name(owner: str, name: str, known: Iterable[str]) -> ConfigError:
    near = get_close_matches(name, sorted(known), n=1)
    return ConfigError(
        f"{owner} has no setting {name!r}",
        why=f"its settings are {', '.join(sorted(known))}",
        hint=f"did you mean {near[0]}?" if near else "use one of these names",
    )
