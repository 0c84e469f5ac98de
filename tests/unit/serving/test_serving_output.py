"""What a worker writes and how the supervisor keeps it: every line one JSON object, whatever is printed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mldeploy_jupyter.serving.log import capture, writer
from mldeploy_jupyter.serving.log import entry as entries
from mldeploy_jupyter.serving.log.service_log import ServiceLog
from mldeploy_jupyter.serving.log.worker_output import Tail, read_output

MARK = "0123456789abcdef"
ROOT = Path(__file__).parents[3]


def wrap(text: str) -> bytes:
    return entries.format_line(text, logger="raw", revision="3", pid=7)


class Pipe:
    """A worker's output in this process: what is written through `output` is read as the supervisor reads it."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.read, self.fd = os.pipe()
        self._reader = threading.Thread(target=read_output, args=(self.read, MARK, wrap, self.chunks.append))
        self._reader.start()

    def entries(self) -> list[dict[str, Any]]:
        """All that was written, each line of it strict JSON; ends the pipe."""
        capture.flush()
        os.close(self.fd)
        self._reader.join()
        return [strict(line) for line in b"".join(self.chunks)[:-1].split(b"\n")] if self.chunks else []


def strict(line: bytes) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    entry: dict[str, Any] = json.loads(line.decode("ascii"), parse_constant=refuse)
    json.dumps(entry, ensure_ascii=False).encode("utf-8")  # no lone surrogates
    assert {"time", "level", "logger", "message", "pid", "revision"} <= set(entry)
    return entry


@contextlib.contextmanager
def installed() -> Iterator[Pipe]:
    pipe, kept = Pipe(), (sys.stdout, sys.stderr, logging.lastResort)
    writer.start(pipe.fd, "3", MARK)
    capture.replace_streams()
    try:
        yield pipe
    finally:
        sys.stdout, sys.stderr, logging.lastResort = kept
        writer.start(-1, "", "")


def messages(pipe: Pipe) -> list[str]:
    return [entry["message"] for entry in pipe.entries()]


def test_a_print_is_an_entry_with_its_request() -> None:
    with installed() as pipe:
        print("before", 1)
        token = writer.request_id.set("caller-7")
        print("inside\ntwo lines", file=sys.stderr)
        writer.request_id.reset(token)
        writer.request_id.set(("a", "b,c"))
        print("for both")
        writer.request_id.set("")
        first, second, third, both = pipe.entries()
    assert (first["message"], first["logger"], first["revision"], first["pid"]) == (
        "before 1",
        "print",
        "3",
        os.getpid(),
    )
    assert "request_id" not in first
    assert [second["message"], third["message"]] == ["inside", "two lines"]
    assert second["request_id"] == third["request_id"] == "caller-7" and third["logger"] == "stderr"
    assert both["request_ids"] == ["a", "b,c"] and "request_id" not in both
    assert entries.text_of(both) == "[a +1] for both" and entries.text_of(third) == "[caller-7] two lines"


def test_tasks_and_threads_with_a_copy_of_the_context_have_the_request_and_others_do_not() -> None:
    async def call(name: str) -> None:
        writer.request_id.set(name)
        print(f"task {name}")
        await asyncio.to_thread(print, f"thread of {name}")

    async def both() -> None:
        await asyncio.gather(call("a"), call("b"))

    with installed() as pipe:
        asyncio.run(both())
        writer.request_id.set("c")
        stranger = threading.Thread(target=print, args=("stranger",))
        stranger.start()
        stranger.join()
        writer.request_id.set("")
        by_text = {entry["message"]: entry.get("request_id") for entry in pipe.entries()}
    assert by_text == {"task a": "a", "thread of a": "a", "task b": "b", "thread of b": "b", "stranger": None}


def test_lines_of_threads_are_not_mixed_and_none_is_lost() -> None:
    def talk(name: int) -> None:
        for number in range(200):
            print(name, end=" ")
            print(number, "x" * 5000 if number % 50 == 0 else "x")

    with installed() as pipe:
        threads = [threading.Thread(target=talk, args=(name,)) for name in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = messages(pipe)
    assert sorted(found) == sorted(
        f"{n} {i} {'x' * 5000 if i % 50 == 0 else 'x'}" for n in range(5) for i in range(200)
    )


def test_half_a_line_waits_for_its_end_its_flush_or_another_request() -> None:
    with installed() as pipe:
        sys.stdout.write("a")
        sys.stdout.write("b\nc")
        sys.stdout.flush()
        sys.stdout.flush()
        writer.request_id.set("one")
        print("of one", end="")
        writer.request_id.set("")
        print("of none", end="")
        found = pipe.entries()
    assert [(entry["message"], entry.get("request_id")) for entry in found] == [
        ("ab", None), ("c", None), ("of one", "one"), ("of none", None),
    ]  # fmt: skip


def test_threads_that_end_in_half_a_line_are_heard() -> None:
    with installed() as pipe:
        alive = threading.Event()
        threads = [
            threading.Thread(target=lambda n=n: (print(n, end=""), alive.wait(20)))  # type: ignore[misc]
            for n in range(70)
        ]
        for thread in threads:
            thread.start()
        alive.set()
        for thread in threads:
            thread.join()
        assert sorted(map(int, messages(pipe))) == list(range(70))


def test_progress_bars_and_long_lines_survive() -> None:
    with installed() as pipe:
        for percent in (0, 50, 100):
            print(f"\r{percent}%", end="", flush=True)
        print("\r")
        print("dos\r")
        sys.stdout.write("z" * 200_000)
        print()
        found = messages(pipe)
    assert found[:5] == ["0%", "50%", "100%", "", "dos"]
    assert "".join(found[5:]) == "z" * 200_000 and max(map(len, found)) <= 65_536


def test_the_streams_have_what_scripts_ask_of_them() -> None:
    with installed() as pipe:
        out: Any = sys.stdout
        assert (out.encoding, out.isatty(), out.writable(), out.fileno(), out.closed) == (
            "utf-8",
            False,
            True,
            1,
            False,
        )
        out.reconfigure(line_buffering=True, encoding="ascii")
        out.buffer.write(b"bytes \xc3\xa9 \xff\n")
        out.writelines(["l1\n", "l2\n"])
        with pytest.raises(TypeError, match="must be str, not bytes"):
            out.write(b"bytes")
        wrapped = io.TextIOWrapper(out.buffer, encoding="utf-8", line_buffering=True)
        print("wrapped é", file=wrapped)
        wrapped.close()
        out.close()
        print("after it was closed")
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        log = logging.getLogger("test_output.own")
        log.propagate = False
        log.addHandler(handler)
        log.error("by a handler")
        found = pipe.entries()
    assert [entry["message"] for entry in found] == [
        "bytes é \\xff", "l1", "l2", "wrapped é", "after it was closed", "ERROR by a handler",
    ]  # fmt: skip


def test_a_logger_without_handlers_logs_under_its_name() -> None:
    log, root = logging.getLogger("test_output.plain"), logging.getLogger()
    kept, root.handlers = root.handlers, []
    try:
        with installed() as pipe:
            log.info("too quiet")
            log.warning("careful %d", 1)
            try:
                raise ValueError("inner")
            except ValueError:
                log.exception("broken")
            warning, error = pipe.entries()
    finally:
        root.handlers = kept
    assert (warning["message"], warning["level"], warning["logger"]) == ("careful 1", "warning", "test_output.plain")
    assert error["level"] == "error" and error["traceback"].endswith("ValueError: inner")
    assert entries.text_of(error).splitlines()[0] == "error: test_output.plain: broken"
    assert entries.text_of(error).splitlines()[-1] == "ValueError: inner"


ARGUMENTS: dict[str, Any] = {"ms": 3.1234, "queue_ms": 0.1, "run_ms": 0.5, "bytes_in": 5, "bytes_out": 42}


def test_requests_are_written_together() -> None:
    with installed() as pipe:
        writer.add_access("id-1", "POST", "/score", 200, **ARGUMENTS, batch=1)
        writer.add_access("id-2", "GET", '/"\n{"time"', 500, **ARGUMENTS, batch=3)
        assert pipe.chunks == []
        writer.flush_access()
        writer.flush_access()
        first, second = pipe.entries()
    time = first.pop("time")
    assert len(time) == len("2026-01-01T00:00:00.000Z") and time.endswith("Z")
    assert first == {
        "level": "info", "revision": "3", "pid": os.getpid(), "logger": "access", "request_id": "id-1",
        "method": "POST", "path": "/score", "message": "POST /score", "status": 200, "ms": 3.123, "queue_ms": 0.1,
        "run_ms": 0.5, "bytes_in": 5, "bytes_out": 42, "batch": 1,
    }  # fmt: skip
    assert entries.text_of(first) == "[id-1] POST /score 200 3.1 ms 42 bytes"
    assert (second["level"], second["path"], second["batch"]) == ("error", '/"\n{"time"', 3)
    assert entries.text_of(second) == '[id-2] GET \'/"\\n{"time"\' 500 3.1 ms 42 bytes'


HOSTILE = st.text(
    st.one_of(st.characters(codec=None), st.sampled_from('\n\r\x1e\x00"\\{},\x85\u2028\ud800')), max_size=60
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=1, max_size=6))
def test_no_text_breaks_a_line_or_makes_one(pairs: list[tuple[str, str]]) -> None:
    with installed() as pipe:
        for text, identity in pairs:
            writer.request_id.set(identity)
            print(text)
            writer.request_id.set("")
            writer.log(text, request_id=identity, traceback=text, extra=[text, float("nan"), 1, None, 2.5])
            writer.add_access(identity, text, text, 200, **ARGUMENTS, batch=1)
            writer.flush_access()
        found = pipe.entries()
    # As many entries as lines were printed, each in its own request's name.
    assert len(found) == sum(text.count("\n") + 1 for text, _ in pairs) + 2 * len(pairs)
    assert {entry["logger"] for entry in found} <= {"print", "server", "access"}
    expected = {identity.encode("utf-8", "backslashreplace").decode() for _, identity in pairs if identity}
    assert {entry["request_id"] for entry in found if entry.get("request_id")} <= expected


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"\n", b"\x1e", b'{"time":"x","logger":"access"}\n'])))
)
def test_what_goes_past_the_streams_is_wrapped_and_forges_nothing(parts: list[bytes]) -> None:
    with installed() as pipe:
        for part in parts:
            os.write(pipe.fd, part)
            print("mine")
        found = pipe.entries()
    mine = [entry for entry in found if entry["logger"] == "print"]
    assert [entry["message"] for entry in mine] == ["mine"] * len(parts)
    assert {entry["logger"] for entry in found} <= {"print", "raw"}
    raw = "".join(entry["message"] for entry in found if entry["logger"] == "raw")
    assert raw == "".join(line.decode("utf-8", "backslashreplace") for part in parts for line in part.split(b"\n"))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=20))
def test_chunks_cut_anywhere_give_the_same_entries(cuts: list[int]) -> None:
    with installed() as pipe:
        print("one")
        os.write(pipe.fd, b"raw\nhalf ")
        print("two é")
        writer.add_access("i", "POST", "/score", 200, **ARGUMENTS, batch=1)
        whole = [(entry["logger"], entry["message"]) for entry in pipe.entries()]
    leader = b"\x1e" + MARK.encode()
    data = b"".join(
        leader + line if b'"logger":"raw"' not in line else {0: b"raw\n", 1: b"half "}[number]
        for number, line in _numbered(b"".join(pipe.chunks).splitlines(keepends=True))
    )
    read, write = os.pipe()
    chunks: list[bytes] = []
    reader = threading.Thread(target=read_output, args=(read, MARK, wrap, chunks.append))
    reader.start()
    for size in cuts:
        os.write(write, data[:size])
        data = data[size:]
    os.write(write, data)
    os.close(write)
    reader.join()
    assert [(e["logger"], e["message"]) for e in map(strict, b"".join(chunks).splitlines())] == whole


def _numbered(lines: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each line with how many raw ones came before it."""
    raw = 0
    for line in lines:
        yield raw, line
        raw += b'"logger":"raw"' in line


def test_a_killed_process_loses_nothing_that_it_printed(tmp_path: Path) -> None:
    source = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from mldeploy_jupyter.serving.log import capture
capture.install("3", {MARK!r})
import os, signal, subprocess
print("first")
os.close(1)  # a script may do anything
sys.stderr.write("second\\n")
sys.stdout = None
subprocess.run(["echo", '{{"time": "forged", "logger": "access"}}'], stdout=2)
sys.stderr.write("of the parent")
if (child := os.fork()) == 0:
    sys.stderr.write("of the child\\n")
    sys.stderr.flush()
    os._exit(0)
os.waitpid(child, 0)
sys.stderr.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
    read, write = os.pipe()
    chunks: list[bytes] = []
    reader = threading.Thread(target=read_output, args=(read, MARK, wrap, chunks.append))
    reader.start()
    process = subprocess.Popen([sys.executable, "-c", source], stdout=write, stderr=write)
    os.close(write)
    assert process.wait(60) == -9
    reader.join()
    found = [strict(line) for line in b"".join(chunks).splitlines()]
    assert [entry["message"] for entry in found] == [
        "first", "second", '{"time": "forged", "logger": "access"}', "of the child",
        "of the parent",
    ]  # fmt: skip
    assert found[2]["logger"] == "raw" and found[3]["pid"] not in (process.pid, os.getpid())


def test_before_the_streams_are_in_place_a_failure_is_printed_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    writer.log("run() raised ValueError: x", level="error", request_id="sample", traceback="Traceback:\n  line")
    writer.add_access("i", "POST", "/score", 200, **ARGUMENTS, batch=1)
    writer.flush_access()
    assert capsys.readouterr().err == ("[sample] run() raised ValueError: x\n[sample] Traceback:\n[sample]   line\n")


def test_the_tail_has_the_last_lines_that_are_no_requests() -> None:
    tail = Tail()
    access = b'{"time":"t","level":"info","logger":"access","message":"POST /score"}\n'
    tail.add(access * 100)
    assert tail.texts() == []
    tail.add(b"".join(wrap(f"line {number}") + access for number in range(80)))
    tail.add(entries.format_line("failed", logger="server", traceback="a\nb"))
    assert tail.texts() == [*(f"line {number}" for number in range(33, 80)), "failed", "a", "b"]


def test_the_log_rotates_and_never_holds_more_than_it_may(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "service.log"
    log = ServiceLog(path, max_bytes=400)
    for number in range(20):
        log.write(f"line {number} " + "x" * 30)
    files = {file.name: file for file in path.parent.iterdir()}
    assert sorted(files) == ["service.log", "service.log.1", "service.log.2", "service.log.3"]
    assert all(file.stat().st_size <= 400 for file in files.values())
    last = json.loads(path.read_text().splitlines()[-1])
    assert last["message"] == "line 19 " + "x" * 30
    assert (last["logger"], last["level"], last["pid"]) == ("supervisor", "info", os.getpid())
    assert entries.source_of(last) == "supervisor" and entries.text_of(last) == last["message"]
