from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.panel.scoring import MAX_BODY, find_path, find_problems, read_body, split_time

FRAME = {"data": [{"age": 1, "a.b": 2, "a": {"b": 3}, "x[0]": 4}], "opts": {"rows": [[1, 2]]}}


@pytest.mark.parametrize(
    "where, path",
    [
        ("data[0].age", ["data", 0, "age"]),
        ("data[0].a.b", ["data", 0, "a.b"]),  # the key that was sent, not the object of a shorter one
        ("data[0].x[0]", ["data", 0, "x[0]"]),
        ("opts.rows[0][1]", ["opts", "rows", 0, 1]),
        ("data[7].age", ["data", 7, "age"]),
        ("data", ["data"]),
        ("missing", ["missing"]),
        ("opts.missing", ["opts", "missing"]),
        ("data[x]", ["data"]),
        ("", []),
    ],
)
def test_a_place_in_an_answer_is_a_path_of_the_body(where: str, path: list[str | int]) -> None:
    assert find_path(where, FRAME) == path


@pytest.mark.parametrize("where", ["[", "].", "..", "a[", "a]b", "data[0", "data[0]]"])
@pytest.mark.parametrize("sent", [None, [], {}, FRAME, "text"])
def test_a_place_that_cannot_be_read_ends(where: str, sent: Any) -> None:
    assert all(isinstance(step, str | int) for step in find_path(where, sent))


def test_a_422_names_the_cell_of_a_table_in_words() -> None:
    answer = {"message": "data[1].bmi: expected a number, got a string, 'n/a'", "error": {"where": "data[1].bmi"}}
    body = {"data": [{"bmi": 1}, {"bmi": "n/a"}]}
    assert find_problems(json.dumps(answer).encode(), json.dumps(body).encode()) == [
        {
            "path": ["data", 1, "bmi"],
            "text": "Row 1, bmi: expected a number, got a string, 'n/a'. Nothing was scored.",
        }
    ]


def test_a_422_leaves_names_as_they_are() -> None:
    answer = {"message": "data[1]: expected 3 values, got 1", "error": {"where": "data[1]"}}
    (problem,) = find_problems(json.dumps(answer).encode(), b'{"data": [[1, 2, 3], [4]]}')
    assert problem["text"] == "data[1]: expected 3 values, got 1. Nothing was scored."


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"message": 1, "error": 3}', b"\xff", b"null"])
def test_a_422_of_another_server_has_no_places(content: bytes) -> None:
    assert all(problem["path"] == [] for problem in find_problems(content, b"{}"))


def test_the_time_is_split_into_what_the_server_says_and_the_rest() -> None:
    parts = split_time("queue;dur=0.3, parse;dur=0.8, run;dur=9.1, serialise;dur=0.4", 12.4)
    assert [(part["title"], part["ms"]) for part in parts] == [
        ("Queue", 0.3),
        ("Parse", 0.8),
        ("Run", 9.1),
        ("Serialise", 0.4),
        ("Network, client", 1.8),
    ]
    assert split_time("", 3.0) == []
    assert [part["name"] for part in split_time('cache;desc="hit, warm", db;dur=2', 3.0)] == ["db", "rest"]
    assert split_time("run;dur=9", 5.0)[-1]["ms"] == 0  # two clocks: never below zero


def test_a_body_is_json_or_bytes_with_their_media_type() -> None:
    assert read_body({"json": '{"a": 1}'}) == (b'{"a": 1}', "application/json")
    assert read_body({"base64": base64.b64encode(b"\x00\xff").decode(), "contentType": "image/png"}) == (
        b"\x00\xff",
        "image/png",
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"json": 3},
        {"json": "1", "other": 2},
        {"base64": "%%%", "contentType": "image/png"},
        {"base64": "AAAA"},
        {"base64": "AAAA", "contentType": "image/png\r\nX-Evil: 1"},
        {"base64": "AAAA", "contentType": "a" * 300},
        {"base64": base64.b64encode(bytes(MAX_BODY + 1)).decode(), "contentType": "image/png"},
    ],
)
def test_any_other_body_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(UserErrorException, match="the body cannot be sent"):
        read_body(body)
