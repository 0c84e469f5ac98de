"""The entries that a worker writes: access log, messages, and text that tries to break a line."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mldeploy_jupyter.serving.log import entry, writer
from tests.unit.serving.log.output_pipe import ACCESS, captured_output


def test_access_entries_are_written_when_they_are_flushed() -> None:
    with captured_output() as pipe:
        writer.add_access(b'"id-1"', "POST", "/score", 200, **ACCESS, batch=1)
        writer.add_access(b'"id-2"', "GET", '/"\n{"time"', 500, **ACCESS, batch=3)
        assert pipe.chunks == []
        writer.flush_access()
        writer.flush_access()
        first, second = pipe.read_entries()
    time = first.pop("time")
    assert len(time) == len("2026-01-01T00:00:00.000Z") and time.endswith("Z")
    assert first == {
        "level": "info", "revision": "3", "pid": os.getpid(), "logger": "access", "request_id": "id-1",
        "method": "POST", "path": "/score", "message": "POST /score", "status": 200, "ms": 3.123, "queue_ms": 0.1,
        "run_ms": 0.5, "bytes_in": 5, "bytes_out": 42, "batch": 1,
    }  # fmt: skip
    assert entry.text_of(first) == "[id-1] POST /score 200 3.1 ms 42 bytes"
    assert (second["level"], second["path"], second["batch"]) == ("error", '/"\n{"time"', 3)
    assert entry.text_of(second) == '[id-2] GET \'/"\\n{"time"\' 500 3.1 ms 42 bytes'


def test_a_long_path_is_cut() -> None:
    with captured_output() as pipe:
        for end in ("a", "b"):
            writer.add_access(b'"i"', "GET", "/" + "\x1b" * 60_000 + end, 404, **ACCESS, batch=1)
        writer.flush_access()
        entries = pipe.read_entries()
    assert [entry["path"] for entry in entries] == ["/" + "\x1b" * 999 + "..."] * 2
    assert all(len(str(entry)) < 10_000 for entry in entries)


HOSTILE = st.text(
    st.one_of(st.characters(codec=None), st.sampled_from('\n\r\x1e\x00"\\{},\x85\u2028\ud800')), max_size=60
)


@settings(max_examples=150)
@given(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=1, max_size=6))
def test_no_text_breaks_a_line_or_forges_one(pairs: list[tuple[str, str]]) -> None:
    with captured_output() as pipe:
        for text, identity in pairs:
            writer.request_id.set(identity)
            print(text)
            writer.request_id.set("")
            writer.log(text, request_id=identity, traceback=text, extra=[text, float("nan"), 1, None, 2.5])
            writer.add_access(entry.quote(identity).encode(), text, text, 200, **ACCESS, batch=1)
            writer.flush_access()
        found = pipe.read_entries()
    # As many entries as lines were printed, each in its own request's name.
    assert len(found) == sum(text.count("\n") + 1 for text, _ in pairs) + 2 * len(pairs)
    assert {entry["logger"] for entry in found} <= {"print", "server", "access"}
    expected = {identity.encode("utf-8", "backslashreplace").decode() for _, identity in pairs if identity}
    assert {entry["request_id"] for entry in found if entry.get("request_id")} <= expected


def test_before_the_start_a_failure_is_printed_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    writer.log("run() raised ValueError: x", level="error", request_id="sample", traceback="Traceback:\n  line")
    writer.add_access(b'"i"', "POST", "/score", 200, **ACCESS, batch=1)
    writer.flush_access()
    assert capsys.readouterr().err == ("[sample] run() raised ValueError: x\n[sample] Traceback:\n[sample]   line\n")


def test_entries_of_a_batch_equal_single_entries() -> None:
    with captured_output() as pipe:
        writer.add_access(b'"id-1"', "POST", "/score", 200, **ACCESS, batch=2)
        requests = [(b'"id-1"', ACCESS["ms"], ACCESS["queue_ms"], ACCESS["bytes_in"], ACCESS["bytes_out"])]
        writer.add_access_batch("POST", "/score", requests, ACCESS["run_ms"], batch=2)
        single, batched = pipe.read_entries()
    del single["time"], batched["time"]
    assert batched == single
