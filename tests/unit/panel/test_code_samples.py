from __future__ import annotations

import json

import pytest

from mldeploy_jupyter.panel.code_samples import MAX_LITERAL, write_samples

URI = "http://127.0.0.1:8902/score"
HOSTILE = {"data": [{"text": 'it\'s "quoted" `${x}` $(rm) \\ \n ü \u2028 </script>', "big": 12345678901234567890}]}


def samples(text: str, with_key: bool = True) -> dict[str, str]:
    return {one["language"]: one["text"] for one in write_samples(URI, {"json": text}, with_key=with_key)}


def test_python_is_python_whatever_is_sent() -> None:
    for value in (HOSTILE, {"data": [[1.5, None, True]] * 30}, [], "text"):
        code = samples(json.dumps(value))["python"]
        compile(code, "sample", "exec")
    compile(samples("not JSON '\"")["python"], "sample", "exec")


def test_a_key_is_read_from_the_environment_and_only_where_one_is_needed() -> None:
    assert all("SCORING_KEY" in text for text in samples("{}").values())
    assert not any("SCORING_KEY" in text or "Authorization" in text for text in samples("{}", with_key=False).values())


def test_javascript_does_not_round_large_integers() -> None:
    assert "JSON.stringify" not in samples(json.dumps(HOSTILE))["javascript"]
    assert "JSON.stringify" in samples('{"a": 1}')["javascript"]


def test_a_long_body_is_read_from_a_file() -> None:
    found = write_samples(URI, {"json": json.dumps(["x" * MAX_LITERAL])}, with_key=False)
    assert all("input.json" in one["text"] and "input.json" in one["note"] for one in found)


def test_bytes_are_read_from_their_file() -> None:
    body = {"base64": "AAAA", "contentType": "image/png", "fileName": "it's.png"}
    found = {one["language"]: one["text"] for one in write_samples(URI, body, with_key=False)}
    compile(found["python"], "sample", "exec")
    assert "image/png" in found["curl"] and "--data-binary" in found["curl"]


@pytest.mark.parametrize("text", ['{"data": [{"age": 1.5}]}'])
def test_the_samples_as_they_are_printed(text: str, snapshot: object) -> None:
    assert "\n\n".join(samples(text).values()) == snapshot
