"""Test requests: what a service takes, samples of it, and the answer to one, with its times and what was wrong.

A request goes only to a service in the store, at the address where it serves now: no view names an address.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import MldeployError, ScoringError
from mldeploy_jupyter.core.text import capital
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.failures import bad_request, describe_error
from mldeploy_jupyter.panel.services.descriptions import find_service

if TYPE_CHECKING:
    import requests

    from mldeploy_jupyter.api.webservices import Webservice

MAX_TESTS = 20  # tests of a service that are kept; only in memory, since inputs may be personal data

MAX_SHOWN = 1_000_000  # characters or bytes of an answer that a view gets; a page is not a place for more

MAX_BODY = 50_000_000  # bytes of a body

TITLES = {"queue": "Queue", "parse": "Parse", "run": "Run", "serialise": "Serialise"}  # of Server-Timing's names

REST = "Network, client"  # what the client waited beyond what the server accounts for

PHRASES = {int(status): status.phrase for status in HTTPStatus}

# Headers that say nothing about this answer, or hold a secret.
_HIDDEN_HEADERS = frozenset({"authorization", "connection", "set-cookie", "transfer-encoding"})


def answer_openapi(context: PanelContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """The answer to `service.openapi`. Raises `ScoringError` when the service does not answer."""
    service = find_service(context, parameters)
    document = service.read_openapi()
    if document is None:
        raise ScoringError(
            f"{service.name} has no OpenAPI document",
            why="it answered, but not with one",
            hint=f"see its log with `mldeploy service get-logs {service.name}`",
        )
    return {"document": document}


def answer_samples(context: PanelContext, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer to `service.samples`: the example of the service's own document, when it has one."""
    example = read_example(find_service(context, parameters))
    if example is None:
        return []
    return [{"title": "Sample", "body": {"json": json.dumps(example, ensure_ascii=False)}}]


def read_example(service: Webservice) -> Any:
    """The example in the service's document; None without one, or when the service does not answer."""
    from mldeploy_jupyter.core.scoring_body import find_example

    try:
        return find_example(service.read_openapi())
    except MldeployError:
        return None


def answer_score(
    context: PanelContext, parameters: dict[str, Any], clock: Callable[[], float] = time.perf_counter
) -> dict[str, Any]:
    """The answer to `service.score`: what the service answered, whatever its status.

    Raises `ScoringError` when there is no answer, `UserErrorException` for a body that is none.
    """
    service, (body, content_type) = find_service(context, parameters), read_body(parameters["body"])
    sent, start = context.time(), clock()
    response = service.send(body, content_type)
    milliseconds = (clock() - start) * 1000
    answer = _describe(context, service, response, body, milliseconds, sent)
    _tests(context, parameters).appendleft({"time": sent, "body": parameters["body"], "answer": answer})
    return answer


def answer_tests(context: PanelContext, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer to `service.tests`: the last tests of the service, newest first."""
    find_service(context, parameters)
    return list(_tests(context, parameters))


def _tests(context: PanelContext, parameters: dict[str, Any]) -> deque[dict[str, Any]]:
    workspace = context.folder(parameters.get("workspace", "")).id
    return context.kept(("tests", workspace, parameters["service"]), lambda: deque(maxlen=MAX_TESTS))


def read_body(body: dict[str, Any]) -> tuple[bytes, str]:
    """The bytes and the media type of a body as the protocol has it. Raises `UserErrorException`."""
    if set(body) == {"json"} and isinstance(body["json"], str):
        data, content_type = body["json"].encode("utf-8", "surrogatepass"), "application/json"
    elif isinstance(body.get("base64"), str) and isinstance(body.get("contentType"), str):
        content_type = body["contentType"]
        if not content_type.isascii() or not content_type.isprintable() or len(content_type) > 200:
            raise bad_request("the body cannot be sent", f"{content_type[:60]!r} is not a media type")
        try:
            data = base64.b64decode(body["base64"], validate=True)
        except (binascii.Error, ValueError):
            raise bad_request("the body cannot be sent", "its bytes are not base64") from None
    else:
        raise bad_request("the body cannot be sent", "it is neither JSON nor bytes with their media type")
    if len(data) > MAX_BODY:
        raise bad_request("the body cannot be sent", f"it has {len(data):,} bytes; {MAX_BODY:,} can be sent from here")
    return data, content_type


def _describe(
    context: PanelContext, service: Webservice, response: requests.Response, body: bytes, milliseconds: float, sent: str
) -> dict[str, Any]:
    content, content_type = response.content, response.headers.get("content-type", "")
    is_text = content_type.startswith("text/") or re.search("json|xml|javascript", content_type) is not None
    text = content[:MAX_SHOWN].decode("utf-8", "replace") if is_text or not content_type else ""
    status = response.status_code
    return {
        "status": status,
        "reason": response.reason or PHRASES.get(status, ""),
        "ms": round(milliseconds, 3),
        "bytes": len(content),
        "time": sent,
        "contentType": content_type,
        "text": text,
        "base64": "" if text or not content else base64.b64encode(content[:MAX_SHOWN]).decode(),
        "cut": len(content) > MAX_SHOWN,
        "headers": [
            [name.lower(), value] for name, value in response.headers.items() if name.lower() not in _HIDDEN_HEADERS
        ],
        "timing": split_time(response.headers.get("server-timing", ""), milliseconds),
        "requestId": response.headers.get("x-ms-request-id", ""),
        "problems": find_problems(content, body) if status == 422 else [],
        "failure": _explain(context, service, response) if status >= 500 else None,
    }


def split_time(header: str, milliseconds: float) -> list[dict[str, Any]]:
    """The parts of `Server-Timing` in milliseconds, and the rest of the time that the client waited."""
    parts: list[dict[str, Any]] = []
    for part in header.split(","):
        name, _, more = part.strip().partition(";")
        duration = next((word.strip()[4:] for word in more.split(";") if word.strip().startswith("dur=")), "")
        try:
            parts.append({"name": name, "title": TITLES.get(name, name), "ms": float(duration)})
        except ValueError:
            continue
    if parts:
        rest = max(0.0, milliseconds - sum(part["ms"] for part in parts))
        parts.append({"name": "rest", "title": REST, "ms": round(rest, 3)})
    return parts


def find_problems(content: bytes, body: bytes) -> list[dict[str, Any]]:
    """Which values of `body` a 422 refuses: the path from its root, and a sentence. One, since the server says one."""
    try:
        data = json.loads(content)
        message, where = str(data["message"]), str((data.get("error") or {}).get("where") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        sent = None
    path = find_path(where, sent)
    text = message
    if len(path) >= 2 and message.startswith(f"{where}: "):
        text = f"{_place(path)}: {message.removeprefix(where + ': ')}"
    return [{"path": path, "text": f"{capital(text)}. Nothing was scored."}]


def find_path(where: str, sent: Any) -> list[str | int]:
    """`data[0].age` as `["data", 0, "age"]`. A key may hold dots and brackets: what was sent says where it ends."""
    path: list[str | int] = []
    while where:
        if isinstance(sent, list):
            number, closed, rest = where.removeprefix("[").partition("]")
            if not closed or not number.isdecimal():
                break
            path.append(int(number))
            sent, where = sent[int(number)] if int(number) < len(sent) else None, rest
            continue
        where = where.removeprefix(".")
        key = _leading_key(where, sent)
        path.append(key)
        sent, where = sent.get(key) if isinstance(sent, dict) else None, where[len(key) :]
        if not key:
            break
    return path


def _leading_key(where: str, sent: Any) -> str:
    """The key that `where` begins with: the longest of those that were sent, else up to the next bracket or dot."""
    sent_keys = [str(key) for key in sent] if isinstance(sent, dict) else []
    found = [key for key in sent_keys if where == key or where.startswith((f"{key}.", f"{key}["))]
    return max(found, key=len) if found else where.partition("[")[0].partition(".")[0]


def _place(path: list[str | int]) -> str:
    """`Row 1, bmi` for a cell of a table, else the path."""
    if len(path) == 3 and isinstance(path[1], int):
        return f"Row {path[1]}, {path[2] if isinstance(path[2], str) else f'column {path[2]}'}"
    words = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(words).removeprefix(".")


def _explain(context: PanelContext, service: Webservice, response: requests.Response) -> dict[str, Any] | None:
    """What the owner may know of a failed call: the exception, the line of the cell."""
    error = ScoringError(
        f"the service answered {response.status_code}",
        why="",
        hint=f"see its log with `mldeploy service get-logs {service.name}`",
        status_code=response.status_code,
        request_id=response.headers.get("x-ms-request-id", ""),
    )
    service.explain(error)
    return describe_error(error, context) if error.why or error.where else None
