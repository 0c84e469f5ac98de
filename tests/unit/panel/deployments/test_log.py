"""The log of a deployment in pages: numbers, filters, search, and how long a hundred thousand lines take."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from mldeploy_jupyter.deployment import journal_path
from tests.unit.panel.conftest import Site

LONG = 100_000


def numbers(page: dict[str, Any]) -> list[int]:
    return [line["n"] for line in page["lines"]]


@pytest.fixture
def logged(site: Site) -> Site:
    """A deployment with a line at each of the events 3 to 12, every third one a warning."""
    journal = site.begin()
    journal.write("check", "started")
    for number in range(3, 13):
        site.clock.seconds += 0.25
        level = {"level": "warning"} if number % 3 == 0 else {}
        journal.write("check" if number < 8 else "bundle", "log", f"Line {number}", **level)
    journal.write("check", "finished")
    return site


def test_pages_follow_each_other(logged: Site) -> None:
    page = logged.ask("deployment.log", deployment="d1", after=0, limit=4)
    assert (numbers(page), page["total"], page["first"], page["complete"]) == ([3, 4, 5, 6], 10, 3, False)
    page = logged.ask("deployment.log", deployment="d1", after=6, limit=4)
    assert (numbers(page), page["complete"]) == ([7, 8, 9, 10], False)
    page = logged.ask("deployment.log", deployment="d1", after=10, limit=4)
    assert (numbers(page), page["complete"]) == ([11, 12], True)
    assert logged.ask("deployment.log", deployment="d1", after=12)["lines"] == []


def test_without_a_number_it_is_the_end_of_the_log(logged: Site) -> None:
    page = logged.ask("deployment.log", deployment="d1", limit=3)
    assert (numbers(page), page["total"], page["complete"]) == ([10, 11, 12], 10, True)
    assert numbers(logged.ask("deployment.log", deployment="d1")) == list(range(3, 13))


def test_a_line_says_when_where_and_how_bad(logged: Site) -> None:
    line = logged.ask("deployment.log", deployment="d1", after=8, limit=1)["lines"][0]
    assert (line["n"], line["stage"], line["level"], line["text"]) == (9, "bundle", "warning", "Line 9")
    assert (line["elapsedSeconds"], line["time"]) == (1.75, "2026-11-22T12:00:01.750Z")


def test_filters_keep_the_numbers(logged: Site) -> None:
    page = logged.ask("deployment.log", deployment="d1", level="warning")
    assert (numbers(page), page["total"], page["first"]) == ([3, 6, 9, 12], 4, 3)
    page = logged.ask("deployment.log", deployment="d1", level="warning", after=3, limit=2)
    assert (numbers(page), page["total"], page["complete"]) == ([6, 9], 4, False)
    assert numbers(logged.ask("deployment.log", deployment="d1", stage="bundle", search="LINE 1")) == [10, 11, 12]
    assert numbers(logged.ask("deployment.log", deployment="d1", level="error")) == []


def test_a_search_does_not_see_colours(site: Site) -> None:
    journal = site.begin()
    journal.write("check", "log", "\x1b[32mRes\x1b[0molved\x1b[2J and \udc80")
    page = site.ask("deployment.log", deployment="d1", search="resolved")
    assert page["lines"][0]["text"] == "\x1b[32mRes\x1b[0molved\x1b[2J and \udc80"  # raw, as it was written


def test_the_log_as_a_file(logged: Site) -> None:
    found = logged.ask("deployment.logText", deployment="d1")
    assert found["name"] == "churn-d1.log"
    assert found["text"].splitlines()[0] == "   0:00.250  check        Line 3"


def test_a_view_gets_the_beginning_of_a_long_line_and_the_file_all_of_it(site: Site) -> None:
    journal = site.begin()
    journal.write("check", "log", "y" * 50_000 + "end")
    journal.write("check", "log", "\r" + "0%\r" * 5000 + "100%\r")
    long, bar = site.ask("deployment.log", deployment="d1")["lines"]
    assert (len(long["text"]), long["cut"]) == (8192, 50_003 - 8192)
    assert (bar["text"], bar["cut"]) == ("\r100%\r", 0)
    text = site.ask("deployment.logText", deployment="d1")["text"]
    assert "y" * 50_000 + "end\n" in text and text.endswith("100%\n") and "0%\r" not in text


def test_the_file_has_the_last_state_of_a_progress_bar(site: Site) -> None:
    journal = site.begin()
    for text in ("0%\r", "beside it", "\r50%\r", "\r100%\r", "last"):
        journal.write("check", "log", text)
    lines = site.ask("deployment.logText", deployment="d1")["text"].splitlines()
    assert [line.split()[-1] for line in lines] == ["it", "100%", "last"]


def test_a_damaged_journal_shows_what_is_whole(site: Site) -> None:
    journal = site.begin()
    journal.write("check", "log", "one")
    with journal_path(site.folder, "d1").open("ab") as file:
        file.write(b'not json\n{"seq":"x"}\n\xff\xfe\n')
    journal.write("check", "log", "two")
    with journal_path(site.folder, "d1").open("ab") as file:
        file.write(b'{"seq":99,"time":"')
    page = site.ask("deployment.log", deployment="d1")
    assert [line["text"] for line in page["lines"]] == ["one", "two"]


def test_messages_have_a_limit_of_characters(site: Site) -> None:
    journal = site.begin()
    for _ in range(1000):
        journal.write("check", "log", "x" * 9_000)
    page = site.ask("deployment.log", deployment="d1", after=0, limit=10_000)
    assert (len(page["lines"]), page["complete"]) == (8_000_000 // 8192, False)
    assert len(site.ask("deployment.log", deployment="d1", limit=10_000)["lines"]) == 8_000_000 // 8192


def test_a_hundred_thousand_lines(site: Site) -> None:
    """A page takes a moment wherever it is, a search over all of it about a second."""
    site.begin().close()
    with journal_path(site.folder, "d1").open("ab") as file:
        for number in range(2, LONG + 2):
            event = {"seq": number, "time": site.clock.stamp(), "stage": "rollout", "kind": "log"}
            event |= {"text": f"line {number} of a log that is as long as logs are", "data": {}}
            file.write(json.dumps(event, separators=(",", ":")).encode() + b"\n")

    def timed(**params: Any) -> tuple[float, dict[str, Any]]:
        began = time.process_time()
        page = site.ask("deployment.log", deployment="d1", **params)
        return time.process_time() - began, page

    first, page = timed()
    assert page["total"] == LONG and numbers(page)[-1] == LONG + 1
    again, page = timed(after=50_000)
    assert numbers(page)[0] == 50_001
    search, page = timed(search="line 99999 ")
    assert numbers(page) == [99_999]
    print(f"first page {first:.2f} s, another one {again:.3f} s, search {search:.2f} s of processor time")
    assert again < first < 3 and search < 5  # five times what an idle machine takes
