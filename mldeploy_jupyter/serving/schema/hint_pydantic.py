"""Hints that pydantic validates by its own rules: models, its dataclasses, and types with constraints.

A model decides how strict it is (`model_config = {"strict": True}`); no mode accepts 1.7 for an int.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from typing import Any

import orjson

from .base import HintNode, UnknownHint, ValidationError


def pydantic_node(hint: Any, origin: Any, arguments: tuple[Any, ...]) -> HintNode | None:
    """The node of a hint that needs pydantic, which the script has then imported; None for another hint.

    Raises `UnknownHint` when pydantic cannot validate the hint or describe it.
    """
    pydantic = sys.modules.get("pydantic")
    if pydantic is None or not hasattr(pydantic, "TypeAdapter") or not _needs_pydantic(pydantic, hint, origin):
        return None
    try:
        adapter = pydantic.TypeAdapter(hint)
        schema = inlined(adapter.json_schema())
    except Exception as error:
        raise UnknownHint(f"{hint} ({type(error).__name__})") from error

    def parse(value: Any, where: str) -> Any:
        try:
            # From JSON, because strict models accept dates, enums and sets as strings and lists only there.
            return adapter.validate_json(orjson.dumps(value))
        except orjson.JSONEncodeError as error:  # the value came from JSON, so only its depth can be wrong
            raise RecursionError(str(error)) from error
        except pydantic.ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise ValidationError(_place(where, found["loc"]), found["msg"]) from error

    return HintNode(parse, schema)


def _needs_pydantic(pydantic: Any, hint: Any, origin: Any) -> bool:
    cls = origin if isinstance(origin, type) else hint
    if isinstance(cls, type):
        if issubclass(cls, pydantic.BaseModel) or (
            dataclasses.is_dataclass(cls) and hasattr(cls, "__pydantic_validator__")
        ):
            return True
        if str(cls.__module__).partition(".")[0] == "pydantic":
            return True
    if origin is typing.Annotated:
        libraries = ("pydantic", "annotated_types")
        return any(type(item).__module__.partition(".")[0] in libraries for item in hint.__metadata__)
    return False


def _place(where: str, loc: tuple[Any, ...]) -> str:
    for part in loc:
        where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
    return where


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON Schema without `$defs`: references are replaced by their definitions, recursive ones by any object."""
    definitions = schema.get("$defs", {})

    def resolve(item: Any, outer: tuple[str, ...]) -> Any:
        if isinstance(item, list):
            return [resolve(one, outer) for one in item]
        if not isinstance(item, dict):
            return item
        target = item.get("$ref")
        if isinstance(target, str):
            name = target.rpartition("/")[2]
            if name in outer:
                return {"type": "object"}
            more = {key: value for key, value in item.items() if key != "$ref"}
            return {**resolve(definitions[name], (*outer, name)), **resolve(more, outer)}
        return {key: resolve(value, outer) for key, value in item.items() if key not in ("$defs", "discriminator")}

    return resolve(schema, ())  # type: ignore[no-any-return]
