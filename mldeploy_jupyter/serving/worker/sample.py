"""The sample of an entry script: its request, and the failure of a sample that could not be scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from ..ipc.failure import failure, from_exception
from ..scoring.messages import JSON, Request, Response
from ..scoring.script import Script


def sample_body(script: Script) -> bytes | None:
    """The sample as a request's body; None if a required parameter has none."""
    sample = script.sample
    return None if sample is None else orjson.dumps(sample, option=orjson.OPT_SERIALIZE_NUMPY)


def sample_request(body: bytes, headers: Mapping[str, str] | None = None) -> Request:
    """The request that scores the sample, with more headers."""
    more = {name.lower(): value for name, value in (headers or {}).items()}
    return Request(headers={"content-type": "application/json", **more}, body=body, id="sample")


def is_answered(response: Response) -> bool:
    """Whether the script answered the sample as it may: a status below 400, which an `AMLResponse` may choose."""
    return response.status < 400


def is_refused_by_script(response: Response) -> bool:
    """Whether `run()` itself chose a status from 400 to 499, for want of a header perhaps."""
    return 400 <= response.status <= 499 and (response.headers is not JSON or b'"script-refused"' in response.body)


def sample_failure(response: Response) -> dict[str, Any]:
    """The failure of a sample that was not answered as it must be."""
    answer = orjson.loads(response.body) if response.body[:1] == b"{" else response.body.decode("utf-8", "replace")
    if response.error is not None:
        return {**from_exception(response.error, "probe"), "response": answer}
    message = answer.get("message", "") if isinstance(answer, dict) else answer
    text = f"the sample was answered with {response.status}: {message}"
    refused = {"refused": True} if is_refused_by_script(response) else {}
    return failure("probe-failed", "probe", text, response=answer, **refused)
