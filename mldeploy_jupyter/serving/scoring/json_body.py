"""A request's body as JSON data. What is not JSON, or has a key twice, is refused with its place."""

from __future__ import annotations

import json
from typing import Any

import orjson

from ..json_encoder import MAX_DEPTH
from .messages import Refused, Response, error_response

BOM = b"\xef\xbb\xbf"

_CONTAINERS = (list, dict)


def parse_json(body: bytes) -> tuple[Any, bool]:
    """The data, and whether it is an object of one key whose value has only numbers and null.

    Raises `Refused` (400) for a body that is not JSON, has a key twice in one object, or is nested too deeply.
    """
    try:
        data = orjson.loads(body)
    except ValueError as error:
        if body.startswith(BOM):
            return parse_json(body[len(BOM) :])
        raise Refused(_not_json(body, str(error))) from error
    if type(data) is dict and len(data) == 1:
        key_end = body.find(b'"', body.find(b'"') + 1)
        if body.find(b'"', key_end + 1) < 0:  # no other key and no string; "t" and "f" occur in true and false only
            return data, body.find(b"t", key_end) < 0 and body.find(b"f", key_end) < 0
    if _may_repeat_keys(data, body):
        _refuse_repeated_keys(body)
    return data, False


def refuse_deep_nesting(value: Any, where: str) -> None:
    """Raises `Refused` (400) when lists and objects are nested more than `MAX_DEPTH` levels deep."""
    level, depth = [value], 0
    while level := [item for item in level if type(item) in _CONTAINERS]:
        depth += 1
        if depth > MAX_DEPTH:
            raise Refused(_too_deep(where))
        level = [item for box in level for item in (box.values() if type(box) is dict else box)]


def _not_json(body: bytes, text: str) -> Response:
    where = text[text.rfind("line ") :] if "line " in text else ""
    if "depth limit" in text or "Recursion" in text:
        return _too_deep(where)
    hint = ""
    if b"NaN" in body or b"Infinity" in body:
        hint = "JSON has no NaN and no infinity: send null for a value that is missing."
    return error_response(400, "bad-json", f"the body is not JSON: {text}", where, hint)


def _too_deep(where: str) -> Response:
    text = f"the body is nested more than {MAX_DEPTH} levels deep"
    return error_response(400, "too-deep", text, where, "Send lists and objects that are less deep.")


def _may_repeat_keys(data: Any, body: bytes) -> bool:
    """Whether a key may be there twice, which orjson accepts: the last one wins.

    Each key has a colon, so data with as many keys as `body` has colons has lost none. Strings may have colons too;
    then only those count that follow a quote or white space, as those of keys do.
    """
    if _has_keys(data, body.count(b":")):
        return False
    return not _has_keys(data, sum(map(body.count, (b'":', b" :", b"\t:", b"\n:", b"\r:"))))


def _has_keys(data: Any, wanted: int) -> bool:
    """Whether the objects in `data` have exactly `wanted` keys in all. Stops as soon as there are more."""
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


class _RepeatedKey(Exception):
    pass


def _refuse_repeated_keys(body: bytes) -> None:
    """Reads the body again, slowly. Raises `Refused` (400) for a key that is there twice in one object."""

    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            raise _RepeatedKey(next(name for name, _ in pairs if name in seen or seen.add(name)))  # type: ignore[func-returns-value]
        return found

    try:
        # parse_int, parse_float: the numbers are not needed, and a long one is slow to convert.
        json.loads(body, object_pairs_hook=check, parse_int=len, parse_float=len)
    except _RepeatedKey as error:
        name = str(error)
        text = f"the key {name!r} comes twice in one object"
        raise Refused(error_response(400, "repeated-key", text, name, "Send each key once.")) from None
    except RecursionError:
        raise Refused(_too_deep("")) from None
