"""Prints, warnings and unfinished lines of a script: each line is one entry, with its request."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

from mldeploy_jupyter.serving.log import entry, writer
from mldeploy_jupyter.serving.log.worker_output import OutputReader
from tests.unit.serving.log.output_pipe import MARK, captured_output, messages, strict, wrap

ROOT = str(Path(__file__).parents[4])


def test_a_print_is_an_entry_with_its_request() -> None:
    with captured_output() as pipe:
        print("before", 1)
        token = writer.request_id.set("caller-7")
        print("inside\ntwo lines", file=sys.stderr)
        writer.request_id.reset(token)
        writer.request_id.set(("a", "b,c"))
        print("for both")
        writer.request_id.set("")
        first, second, third, both = pipe.read_entries()
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
    assert entry.text_of(both) == "[a +1] for both" and entry.text_of(third) == "[caller-7] two lines"


def test_tasks_and_threads_with_a_copied_context_log_under_the_request() -> None:
    async def call(name: str) -> None:
        writer.request_id.set(name)
        print(f"task {name}")
        await asyncio.to_thread(print, f"thread of {name}")

    async def both() -> None:
        await asyncio.gather(call("a"), call("b"))

    with captured_output() as pipe:
        asyncio.run(both())
        writer.request_id.set("c")
        other = threading.Thread(target=print, args=("other",))
        other.start()
        other.join()
        writer.request_id.set("")
        by_text = {entry["message"]: entry.get("request_id") for entry in pipe.read_entries()}
    assert by_text == {"task a": "a", "thread of a": "a", "task b": "b", "thread of b": "b", "other": None}


def test_lines_of_threads_are_not_mixed_and_none_is_lost() -> None:
    def talk(name: int) -> None:
        for number in range(200):
            print(name, end=" ")
            print(number, "x" * 5000 if number % 50 == 0 else "x")

    with captured_output() as pipe:
        threads = [threading.Thread(target=talk, args=(name,)) for name in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = messages(pipe)
    assert sorted(found) == sorted(
        f"{n} {i} {'x' * 5000 if i % 50 == 0 else 'x'}" for n in range(5) for i in range(200)
    )


def test_a_logger_without_handlers_logs_under_its_name() -> None:
    log, root = logging.getLogger("test_output.plain"), logging.getLogger()
    kept, root.handlers = root.handlers, []
    try:
        with captured_output() as pipe:
            log.info("too quiet")
            log.warning("careful %d", 1)
            try:
                raise ValueError("inner")
            except ValueError:
                log.exception("broken")
            warning, error = pipe.read_entries()
    finally:
        root.handlers = kept
    assert (warning["message"], warning["level"], warning["logger"]) == ("careful 1", "warning", "test_output.plain")
    assert error["level"] == "error" and error["traceback"].endswith("ValueError: inner")
    assert entry.text_of(error).splitlines()[0] == "error: test_output.plain: broken"
    assert entry.text_of(error).splitlines()[-1] == "ValueError: inner"


def test_a_killed_process_loses_nothing_that_it_printed(tmp_path: Path) -> None:
    source = f"""
import sys; sys.path.insert(0, {ROOT!r})
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
    reader = threading.Thread(target=OutputReader(read, MARK, wrap, chunks.append).run)
    reader.start()
    process = subprocess.Popen([sys.executable, "-c", source], stdout=write, stderr=write)
    os.close(write)
    assert process.wait(60) == -9
    reader.join()
    found = [strict(line) for line in b"".join(chunks).splitlines()]
    assert [entry["message"] for entry in found] == [
        "first", "second", '{"time": "forged", "logger": "access"}', "of the child",
        "of the parent\r",
    ]  # fmt: skip
    assert found[2]["logger"] == "raw" and found[3]["pid"] not in (process.pid, os.getpid())
