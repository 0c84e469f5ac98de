"""A request's body as JSON data: what is not JSON, or says a thing twice, is refused with its place."""

from __future__ import annotations

import json
from typing import Any

import orjson

from .messages import Refused, error_response

BOM = b"\xef\xbb\xbf"

# Levels of lists and objects. What is deeper could be read, but neither walked by a script nor sent back.
MAX_DEPTH = 200


def parse_json(body: bytes) -> tuple[Any, bool]:
    """The data, and whether it is an object of one key that has only numbers and null in it.

    Raises `Refused` (400) for what is not JSON, for a key that comes twice, and for nesting without end.
    """
    try:
        data = orjson.loads(body)
    except ValueError as error:
        if body.startswith(BOM):
            return parse_json(body[len(BOM) :])
        raise Refused(_not_json(body, str(error))) from error
    if type(data) is dict and len(data) == 1:
        end = body.find(b'"', body.find(b'"') + 1)
        if body.find(b'"', end + 1) < 0:  # the only key
            return data, body.find(b"t", end) < 0 and body.find(b"f", end) < 0
    if _may_repeat(data, body):
        _refuse_repeated(body)
    return data, False


def refuse_deep(value: Any, where: str) -> None:
    """Raises `Refused` (400) when lists and objects lie in each other more than `MAX_DEPTH` levels deep."""
    level, depth = [value], 0
    while level := [item for item in level if type(item) in _CONTAINERS]:
        depth += 1
        if depth > MAX_DEPTH:
            raise Refused(_too_deep(where))
        level = [item for box in level for item in (box.values() if type(box) is dict else box)]


_CONTAINERS = (list, dict)


def _not_json(body: bytes, text: str) -> Any:
    where = text[text.rfind("line ") :] if "line " in text else ""
    if "depth limit" in text or "Recursion" in text:
        return _too_deep(where)
    hint = ""
    if b"NaN" in body or b"Infinity" in body:
        hint = "JSON has no NaN and no infinity: send null for a value that is missing."
    return error_response(400, "bad-json", f"the body is not JSON: {text}", where, hint)


def _too_deep(where: str) -> Any:
    text = f"the body is nested more than {MAX_DEPTH} levels deep"
    return error_response(400, "too-deep", text, where, "Send lists and objects that are less deep.")


def _may_repeat(data: Any, body: bytes) -> bool:
    """Whether a key may be there twice. A key has a colon, so as many keys as colons means: none is.

    Colons in texts would spoil that. But a key's colon stands behind a quote or white space.
    """
    if _has_keys(data, body.count(b":")):
        return False
    return not _has_keys(data, sum(map(body.count, (b'":', b" :", b"\t:", b"\n:", b"\r:"))))


def _has_keys(data: Any, wanted: int) -> bool:
    """Whether the objects in `data` have `wanted` keys in all. Looks no further than needed."""
    count, level = 0, [data]
    while level:
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                count += len(item)
                below.extend(item.values())
            elif type(item) is list:
                below.extend(item)
        if count >= wanted:
            return count == wanted
        level = below
    return count == wanted


class _Repeated(Exception):
    pass


def _refuse_repeated(body: bytes) -> None:
    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            raise _Repeated(next(name for name, _ in pairs if name in seen or seen.add(name)))  # type: ignore[func-returns-value]
        return found

    try:
        json.loads(body, object_pairs_hook=check, parse_int=len, parse_float=len)
    except _Repeated as error:
        name = str(error)
        text = f"the key {name!r} comes twice in one object"
        raise Refused(error_response(400, "repeated-key", text, name, "Send each key once.")) from None
    except RecursionError:
        raise Refused(_too_deep("")) from None
