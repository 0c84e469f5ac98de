from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.latency import payloads
from mldeploy_jupyter.latency.payloads import Payload, call_function, describe, make_sample, raw_bytes, read_lines

DOCUMENT = {
    "paths": {"/score": {"post": {"requestBody": {"content": {"application/json": {"schema": {
        "properties": {"data": {"type": "array"}}, "required": ["data"],
    }}}}}}}
}  # fmt: skip


def test_a_sample_is_sent_as_run_would_send_it() -> None:
    assert make_sample([[1, 2]], DOCUMENT) == [Payload(b'{"data": [[1, 2]]}')]
    assert make_sample([[1, 2]]) == [Payload(b"[[1, 2]]")]
    assert make_sample(b"\x00raw") == [Payload(b"\x00raw")]


def test_lines_are_bodies(tmp_path: Path) -> None:
    file = tmp_path / "inputs.jsonl"
    file.write_text('{"data": [1]}\n\n[2]\r\n"three"')
    assert [each.body for each in read_lines(file, DOCUMENT)] == [
        b'{"data": [1]}',
        b'{"data": [2]}',
        b'{"data": "three"}',
    ]
    assert [each.body for each in read_lines(file)] == [b'{"data": [1]}', b"[2]", b'"three"']


def test_a_function_is_called_before_the_run() -> None:
    assert [each.body for each in call_function(lambda number: {"n": number}, 3)] == [
        b'{"n": 0}',
        b'{"n": 1}',
        b'{"n": 2}',
    ]
    assert [each.body for each in call_function(lambda: "text", 2)] == [b"text", b"text"]
    assert len(call_function(lambda: 1, 10**9)) == payloads.CALLS


def test_a_function_that_returns_too_much_is_stopped_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payloads, "MAX_BYTES", 100)
    calls: list[int] = []
    with pytest.raises(MldeployError):
        call_function(lambda number: calls.append(number) or b"x" * 60, 1000)
    assert len(calls) == 2


def test_a_plan_knows_how_much_is_sent() -> None:
    assert describe(raw_bytes(b"123", "image/png"), "bytes").to_dict() == {"kind": "bytes", "count": 1, "bytes": 3}


def test_the_message_of_a_payload() -> None:
    message = Payload(b"12", "image/png").message("POST /score HTTP/1.1\r\nhost: here\r\n")
    head, _, body = message.partition(b"\r\n\r\n")
    assert body == b"12" and b"content-type: image/png" in head and b"content-length: 2" in head


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: read_lines(folder / "missing.jsonl"),
        lambda folder: read_lines(_write(folder, "")),
        lambda folder: read_lines(_write(folder, '{"a": 1}\n{"b": \n')),
        lambda folder: read_lines(_write(folder, "[" * 100_000)),
        lambda folder: read_lines(_write(folder, "1\n" * (payloads.MAX_COUNT + 1))),
        lambda folder: raw_bytes(b"", "a\r\nb: c"),
        lambda folder: raw_bytes(bytes(payloads.MAX_BYTES + 1)),
        lambda folder: make_sample(object),
        lambda folder: call_function(lambda: object(), 1),
    ],
)
def test_what_cannot_be_sent(
    make: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    with pytest.raises(MldeployError) as caught:
        make(tmp_path)
    assert str(caught.value).replace(str(tmp_path), "FOLDER") == snapshot


def _write(folder: Path, text: str) -> Path:
    path = folder / "inputs.jsonl"
    path.write_text(text)
    return path
