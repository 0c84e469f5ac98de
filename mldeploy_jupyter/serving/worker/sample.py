"""The sample of an entry script: its request, and the failure of a sample that could not be scored."""

from __future__ import annotations

from typing import Any

import orjson

from ..ipc.failure import failure, from_exception
from ..scoring.messages import Request, Response
from ..scoring.script import Script


def sample_body(script: Script) -> bytes | None:
    """The sample as a request's body; None if a required parameter has none."""
    sample = script.sample
    return None if sample is None else orjson.dumps(sample, option=orjson.OPT_SERIALIZE_NUMPY)


def sample_request(body: bytes) -> Request:
    return Request(headers={"content-type": "application/json"}, body=body, id="sample")


def sample_failure(response: Response) -> dict[str, Any]:
    """The failure of a sample that was not answered with 200."""
    answer = orjson.loads(response.body) if response.body[:1] == b"{" else response.body.decode("utf-8", "replace")
    if response.error is not None:
        return {**from_exception(response.error, "probe"), "response": answer}
    message = answer.get("message", "") if isinstance(answer, dict) else answer
    text = f"the sample was answered with {response.status}: {message}"
    return failure("probe-failed", "probe", text, response=answer)
