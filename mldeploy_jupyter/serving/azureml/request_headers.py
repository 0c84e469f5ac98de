"""The headers that `run()` gets in a parameter named `request_headers`, and what a content type says of a body."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


class Headers(dict[str, str]):
    """Request headers. Look-up ignores the case of names; iteration gives them as `Content-Type`."""

    def __init__(self, pairs: Any = ()) -> None:
        super().__init__()
        for name, value in pairs.items() if isinstance(pairs, dict) else pairs:
            key = name.title()
            if dict.__contains__(self, key):
                value = f"{dict.__getitem__(self, key)}, {value}"
            dict.__setitem__(self, key, value)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.title())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.title())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.title(), default)


@lru_cache(maxsize=64)
def is_json_type(content_type: str) -> bool:
    """Whether a content type, whatever its parameters, is `application/json` or `application/...+json`."""
    media = content_type.partition(";")[0].strip().lower()
    return media == "application/json" or (media.startswith("application/") and media.endswith("+json"))
