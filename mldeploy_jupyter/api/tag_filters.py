"""Filters for tags and properties, as `Model(...)`, `Model.list` and `Webservice.list` accept them."""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.core.errors import UserErrorException

Filter = list[tuple[str, Any]]  # keys and values, all of which must be present

ANY = object()  # stands for every value of a key


def parse_filter(argument: str, value: Any) -> Filter:
    """The filter from a dict, or from a list of `"key"`, `["key", "value"]` or `("key", "value")`; None accepts all.

    Raises `UserErrorException` for anything else.
    """
    if value is None:
        return []
    if isinstance(value, dict):
        return list(value.items())
    if not isinstance(value, (list, tuple)):
        raise _refuse(argument, value, f"pass {argument}=[{value!r}]" if isinstance(value, str) else None)
    parsed: Filter = []
    for item in value:
        if isinstance(item, str):
            parsed.append((item, ANY))
        elif isinstance(item, (list, tuple)) and len(item) == 2 and isinstance(item[0], str):
            parsed.append((item[0], item[1]))
        else:
            raise _refuse(argument, item)
    return parsed


def matches(present: dict[str, Any], wanted: Filter) -> bool:
    """Whether every key of the filter is present with its value; `0.9` and `"0.9"` are equal."""
    return all(
        key in present and (value is ANY or value == present[key] or str(value) == str(present[key]))
        for key, value in wanted
    )


def describe_filter(wanted: Filter) -> str:
    """`key, key=value`, for messages."""
    return ", ".join(key if value is ANY else f"{key}={value}" for key, value in wanted)


def _refuse(argument: str, value: Any, hint: str | None = None) -> UserErrorException:
    return UserErrorException(
        f"{argument} cannot be used as a filter: {value!r}",
        why='it must be a dict, or a list of "key" or ["key", "value"]',
        hint=hint or f'pass {argument}=["key"] or {argument}=[["key", "value"]]',
    )
