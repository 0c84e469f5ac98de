from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from mldeploy_jupyter.core.errors import ScoringError, UserErrorException
from mldeploy_jupyter.core.scoring_client import KEY_LIFETIME, ScoringClient
from mldeploy_jupyter.serving.tokens import LIFETIME, REFRESH_AFTER


class Scripted(BaseAdapter):
    """Answers from a list, and keeps what was sent."""

    def __init__(self, *answers: tuple[int, str, str] | Exception) -> None:
        super().__init__()
        self.answers = list(answers)
        self.sent: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        if request.method == "GET":  # the OpenAPI document, which this service does not have
            answer: Any = (404, "application/json", "{}")
        else:
            self.sent.append(request)
            answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code, response.headers["content-type"] = answer[0], answer[1]
        response.headers["x-ms-request-id"] = "id-1"
        response._content = answer[2].encode()
        response.request = request
        return response

    def close(self) -> None:
        pass


def client(adapter: Scripted, keys: list[str] | None = None) -> ScoringClient:
    session = requests.Session()
    session.mount("http://", adapter)
    given = iter(keys or ["k1", "k2"])
    return ScoringClient("http://127.0.0.1:1/score", lambda: next(given), session=session)


def test_json_goes_out_and_comes_back() -> None:
    adapter = Scripted((200, "application/json", "[1.5]"))
    assert client(adapter).run({"data": [[1]]}) == [1.5]
    assert json.loads(adapter.sent[0].body or b"") == {"data": [[1]]}
    assert adapter.sent[0].headers["Authorization"] == "Bearer k1"


@pytest.mark.parametrize("sent", ["{}", b"{}"])
def test_text_and_bytes_are_sent_as_they_are(sent: str | bytes) -> None:
    adapter = Scripted((200, "application/json", "{}"))
    client(adapter).run(sent)
    assert adapter.sent[0].body == b"{}"


def test_numpy_and_pandas_are_written_as_lists() -> None:
    import numpy as np
    import pandas as pd

    adapter = Scripted((200, "application/json", "1"), (200, "application/json", "1"))
    asked = client(adapter)
    asked.run({"data": np.array([[1, 2]]), "n": np.float64(1.5)})
    asked.run({"data": pd.DataFrame({"a": [1]})})
    assert json.loads(adapter.sent[0].body or b"") == {"data": [[1, 2]], "n": 1.5}
    assert json.loads(adapter.sent[1].body or b"") == {"data": [{"a": 1}]}


def test_nan_is_sent_as_null() -> None:
    import numpy as np
    import pandas as pd

    nan = float("nan")
    adapter = Scripted(*[(200, "application/json", "1")] * 3)
    asked = client(adapter)
    for data in ([{"a": nan, "b": [1.5, nan]}], pd.DataFrame({"a": [1.0, None]}), {"data": np.array([nan, 2.0])}):
        asked.run(data)
    sent = [json.loads(request.body or b"") for request in adapter.sent]
    assert sent == [[{"a": None, "b": [1.5, None]}], [{"a": 1.0}, {"a": None}], {"data": [None, 2.0]}]


def test_an_infinity_is_refused_with_its_path() -> None:
    adapter = Scripted()
    with pytest.raises(UserErrorException) as caught:
        client(adapter).run({"rows": [{"a": 1.0}, {"a": float("-inf")}]})
    assert caught.value.why == "rows[1].a: it is -inf, and JSON has no infinity"
    assert adapter.sent == []


def test_the_log_is_named_only_where_it_has_more() -> None:
    see = "see what it takes: curl -H 'Authorization: Bearer KEY' http://127.0.0.1:1/swagger.json"
    for status, hint in ((422, see), (500, "its log has more")):
        with pytest.raises(ScoringError) as caught:
            client(Scripted((status, "application/json", '{"message": "no"}'))).run({})
        assert caught.value.hint.startswith(hint)


def test_an_input_that_is_no_json_is_refused_before_anything_is_sent() -> None:
    adapter = Scripted()
    with pytest.raises(UserErrorException, match="cannot be written as JSON"):
        client(adapter).run({"data": object()})
    assert adapter.sent == []


def test_a_replaced_key_is_fetched_once() -> None:
    adapter = Scripted((200, "application/json", "1"), (401, "application/json", "{}"), (200, "application/json", "2"))
    asked = client(adapter)
    assert [asked.run({}), asked.run({})] == [1, 2]
    assert [r.headers["Authorization"] for r in adapter.sent] == ["Bearer k1", "Bearer k1", "Bearer k2"]


def test_a_refused_key_is_fetched_only_once_more() -> None:
    adapter = Scripted((401, "application/json", '{"message": "no key"}'))
    with pytest.raises(ScoringError) as error:
        client(adapter).run({})
    assert error.value.status_code == 401 and len(adapter.sent) == 1


def test_an_error_has_the_servers_reason_line_and_request_id() -> None:
    body = '{"message": "1.7 is not a whole number", "error": {"code": "x", "where": "data[3].age", "hint": "send 1"}}'
    with pytest.raises(ScoringError) as error:
        client(Scripted((422, "application/json", body))).run({})
    assert str(error.value).splitlines() == [
        "error: the service answered 422",
        "cause: 1.7 is not a whole number (at data[3].age)",
        "hint: send 1",
    ]
    assert (error.value.request_id, error.value.body) == ("id-1", body)


def test_an_answer_that_is_not_json_is_text() -> None:
    assert client(Scripted((200, "text/plain", "hello"))).run({}) == "hello"


def test_an_error_page_does_not_break_the_error() -> None:
    with pytest.raises(ScoringError, match="answered 502"):
        client(Scripted((502, "text/html", "<html>bad gateway</html>"))).run({})


def test_no_answer_is_an_error_with_the_next_command() -> None:
    with pytest.raises(ScoringError) as error:
        client(Scripted(requests.ConnectionError("[Errno 111] Connection refused"))).run({})
    assert "nothing listens there" in error.value.why and "mldeploy service" in error.value.hint


def test_a_token_is_fetched_again_before_it_expires() -> None:
    adapter = Scripted(*[(200, "application/json", "1")] * 3)
    session = requests.Session()
    session.mount("http://", adapter)
    given, now = iter(["t1", "t2"]), [5000.0]
    asked = ScoringClient("http://127.0.0.1:1/score", lambda: next(given), session=session, clock=lambda: now[0])
    for seconds in (0, KEY_LIFETIME, 1):
        now[0] += seconds
        asked.run({})
    assert [r.headers["Authorization"] for r in adapter.sent] == ["Bearer t1", "Bearer t1", "Bearer t2"]
    assert REFRESH_AFTER <= KEY_LIFETIME < LIFETIME


class Described(Scripted):
    """A service whose document can change."""

    parameter = "data"

    def send(self, request: requests.PreparedRequest, **rest: Any) -> requests.Response:  # type: ignore[override]
        response = super().send(request, **rest)
        if request.method == "GET":
            schema = {"type": "object", "properties": {self.parameter: {}}}
            content = {"application/json": {"schema": schema}}
            document = {"paths": {"/score": {"post": {"requestBody": {"content": content}}}}}
            response.status_code, response._content = 200, json.dumps(document).encode()
        return response


def test_the_name_of_the_parameter_is_read_again_after_an_update() -> None:
    adapter = Described((200, "application/json", "1"), (422, "application/json", "{}"), (200, "application/json", "2"))
    asked = client(adapter)
    assert asked.run([1]) == 1
    adapter.parameter = "rows"
    assert asked.run([1]) == 2
    assert [json.loads(request.body or b"") for request in adapter.sent] == [
        {"data": [1]},
        {"data": [1]},
        {"rows": [1]},
    ]


def test_a_refusal_of_what_was_sent_is_not_tried_again() -> None:
    adapter = Described((422, "application/json", '{"message": "data: expected a number"}'))
    with pytest.raises(ScoringError, match="422"):
        client(adapter).run(["x"])
    assert len(adapter.sent) == 1
