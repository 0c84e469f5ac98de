"""What is sent: bodies that are made before the run, so that the load's process does nothing but send them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.files import read_user_text
from mldeploy_jupyter.core.scoring_body import make_body
from mldeploy_jupyter.core.text import format_size
from mldeploy_jupyter.latency.plan import PlannedPayload

MAX_COUNT = 10_000  # bodies; later requests send them again from the first

MAX_BYTES = 64_000_000  # of all bodies: the load's process holds each with its head

CALLS = 1_000  # of a function, at most: the run waits for them


@dataclass(frozen=True)
class Payload:
    """One request's body and its media type."""

    body: bytes
    content_type: str = "application/json"

    def message(self, head: str) -> bytes:
        """The request's bytes, from its first lines."""
        return (
            f"{head}content-type: {self.content_type}\r\naccept: application/json\r\nuser-agent: mldeploy-latency\r\n"
            f"content-length: {len(self.body)}\r\n\r\n"
        ).encode("latin-1") + self.body


def make_sample(value: Any, document: dict[str, Any] | None = None) -> list[Payload]:
    """One input, as `service.run` would send it. `document` is the service's OpenAPI document.

    Raises `UserErrorException` for what has no form in JSON.
    """
    return _check([Payload(make_body(value, document))])


def read_lines(path: Path, document: dict[str, Any] | None = None) -> list[Payload]:
    """One body for each line of a JSON lines file; empty lines are skipped.

    Raises `ConfigError` when the file cannot be read, `UserErrorException` for a line that is not JSON, or too many.
    """
    content = read_user_text(path, "JSON lines file")
    found = _check(_make_lines(path, content, document))
    if not found:
        raise UserErrorException(f"{path} has no line", why="it is empty", hint="write one JSON value a line")
    return found


def _make_lines(path: Path, content: str, document: dict[str, Any] | None) -> Iterator[Payload]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserErrorException(
                f"line {number} of {path} is not JSON",
                why=str(error),
                hint="write one JSON value a line, or send another file as raw bytes",
            ) from None
        yield Payload(make_body(line.strip(), document))


def call_function(function: Callable[..., Any], count: int, document: dict[str, Any] | None = None) -> list[Payload]:
    """What a function returns for the numbers from 0 on, at most `CALLS` of them; without a parameter it gets none.

    `str` and `bytes` are sent as they are, other values as JSON. Raises what the function raises, and
    `UserErrorException` for a value that has no form in JSON.
    """
    takes_number = bool(inspect.signature(function).parameters)
    numbers = range(max(1, min(count, CALLS)))
    values = (function(number) if takes_number else function() for number in numbers)
    return _check(Payload(make_body(value, document)) for value in values)


def raw_bytes(body: bytes, content_type: str = "application/octet-stream") -> list[Payload]:
    """These bytes. Raises `UserErrorException` for a media type that is none."""
    if not content_type.isascii() or not content_type.isprintable() or not 0 < len(content_type) <= 200:
        raise UserErrorException(
            f"{content_type[:60]!r} is not a media type", why="it must be printable ASCII", hint="pass application/json"
        )
    return _check([Payload(bytes(body), content_type)])


def describe(payloads: list[Payload], kind: str) -> PlannedPayload:
    """The payloads as a plan has them."""
    return PlannedPayload(kind, len(payloads), sum(len(payload.body) for payload in payloads))


def _check(payloads: Iterable[Payload]) -> list[Payload]:
    """The payloads. Raises `UserErrorException` at the first one that is too much."""
    found: list[Payload] = []
    size = 0
    for payload in payloads:
        found.append(payload)
        size += len(payload.body)
        if size > MAX_BYTES:
            raise UserErrorException(
                f"the payloads have more than {format_size(MAX_BYTES)}",
                why="a run keeps all of its bodies in memory, and repeats them",
                hint="send fewer or smaller ones",
            )
        if len(found) > MAX_COUNT:
            raise UserErrorException(
                f"there are more than {MAX_COUNT:,} payloads",
                why="a run keeps all of its bodies in memory, and repeats them",
                hint=f"take the first: head -n {MAX_COUNT}",
            )
    return found
