"""Hints that pydantic understands: models, its dataclasses, and types with constraints. By its own rules.

A model says itself how strict it is (`model_config = {"strict": True}`); in no mode is 1.7 taken for an int.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from typing import Any

import orjson

from .base import HintNode, UnknownHint, ValidationError


def pydantic_node(hint: Any, origin: Any, arguments: tuple[Any, ...]) -> HintNode | None:
    """The node of a hint that needs pydantic, which the script then has imported; None for others."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None or not hasattr(pydantic, "TypeAdapter") or not _needs_it(pydantic, hint, origin):
        return None
    try:
        adapter = pydantic.TypeAdapter(hint)
        schema = inlined(adapter.json_schema())
    except Exception as error:
        raise UnknownHint(f"{hint} ({type(error).__name__})") from error

    def parse(value: Any, where: str) -> Any:
        try:
            # As JSON, so that dates, enums and sets are read as strict models want them.
            return adapter.validate_json(orjson.dumps(value))
        except orjson.JSONEncodeError as error:  # what was read can be written, but for its depth
            raise RecursionError(str(error)) from error
        except pydantic.ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise ValidationError(_place(where, found["loc"]), found["msg"]) from error

    return HintNode(parse, schema)


def _needs_it(pydantic: Any, hint: Any, origin: Any) -> bool:
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
    """A JSON Schema without `$defs`: each reference replaced by what it names, one to itself by any object."""
    definitions = schema.get("$defs", {})

    def resolve(item: Any, around: tuple[str, ...]) -> Any:
        if isinstance(item, list):
            return [resolve(one, around) for one in item]
        if not isinstance(item, dict):
            return item
        target = item.get("$ref")
        if isinstance(target, str):
            name = target.rpartition("/")[2]
            if name in around:
                return {"type": "object"}
            more = {key: value for key, value in item.items() if key != "$ref"}
            return {**resolve(definitions[name], (*around, name)), **resolve(more, around)}
        return {key: resolve(value, around) for key, value in item.items() if key not in ("$defs", "discriminator")}

    return resolve(schema, ())  # type: ignore[no-any-return]
