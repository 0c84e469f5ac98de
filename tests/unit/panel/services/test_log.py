"""The log of a service in pages: levels, sources, requests, revisions, search, and how long a long one takes."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mldeploy_jupyter.core.files import make_private_dir
from mldeploy_jupyter.panel.log_lines import LogFilter
from mldeploy_jupyter.panel.services.log import _raw_filter
from mldeploy_jupyter.serving.log import entry
from mldeploy_jupyter.serving.log.service_log import ServiceLog
from tests.unit.panel.conftest import Site

REQUEST = "bc80c1f3-668c-42f8-bdb4-f70d00000002"
LONG = 100_000


@pytest.fixture
def log(site: Site) -> ServiceLog:
    site.end(site.begin(), "live")
    return ServiceLog(make_private_dir(site.folder.services / "churn") / "logs" / "service.log")


def access(status: int, revision: str = "1", level: str = "info") -> bytes:
    return entry.format_line(
        "POST /score", logger="access", level=level, revision=revision, pid=42, request_id=REQUEST,
        method="POST", path="/score", status=status, ms=12.3, bytes_out=27,
    )  # fmt: skip


def texts(site: Site, **params: Any) -> list[str]:
    return [line["text"] for line in site.ask("service.log", service="churn", **params)["lines"]]


def write_all_kinds(log: ServiceLog) -> None:
    log.write("worker 42 is ready")
    log.append(entry.format_line("Loading the MODEL", logger="print", revision="1", pid=42))
    log.append(entry.format_line("careful", logger="sklearn", level="warning", revision="1", pid=42))
    log.append(access(200) + access(422) + access(500, level="error"))
    log.append(entry.format_line("run() raised KeyError", logger="server", level="error", revision="2", pid=43,
                                 request_id=REQUEST, traceback="Traceback:\n  line"))  # fmt: skip
    log.append(b"2026-11-22T10:00:00.000Z [r1 42] an older version's line\nno entry at all\n")


def test_every_kind_of_entry(site: Site, log: ServiceLog) -> None:
    write_all_kinds(log)
    lines = site.ask("service.log", service="churn")["lines"]
    keys = ("source", "level", "revision", "requestId", "text")
    assert [tuple(line[key] for key in keys) for line in lines] == [
        ("server", "info", 0, "", "worker 42 is ready"),
        ("worker 42", "info", 1, "", "Loading the MODEL"),
        ("worker 42", "warning", 1, "", "warning: sklearn: careful"),
        ("worker 42", "info", 1, REQUEST, "POST /score 200 12.3 ms 27 bytes"),
        ("worker 42", "warning", 1, REQUEST, "POST /score 422 12.3 ms 27 bytes"),
        ("worker 42", "error", 1, REQUEST, "POST /score 500 12.3 ms 27 bytes"),
        ("worker 43", "error", 2, REQUEST, "run() raised KeyError"),
        ("worker 43", "error", 2, REQUEST, "Traceback:"),
        ("worker 43", "error", 2, REQUEST, "  line"),
        ("worker 42", "", 1, "", "an older version's line"),
        ("", "", 0, "", "no entry at all"),
    ]  # fmt: skip
    numbers = [line["n"] for line in lines]
    assert numbers == sorted(set(numbers))


def test_a_progress_bar_replaces_its_earlier_states_with_and_without_a_request(site: Site, log: ServiceLog) -> None:
    for request in ({}, {"request_id": REQUEST}):
        for text in ("0%\r", "\r100%\r"):
            log.append(entry.format_line(text, logger="print", revision="1", pid=42, **request))
    assert texts(site) == ["0%\r", "\r100%\r", "0%\r", "\r100%\r"]
    lines = site.ask("service.logText", service="churn")["text"].splitlines()
    assert [line.split()[-1] for line in lines] == ["100%", "100%"]


FILTERS: dict[str, tuple[dict[str, Any], int]] = {
    "warnings and errors": ({"level": "warning"}, 6),
    "errors": ({"level": "error"}, 4),
    "a revision": ({"revision": 2}, 3),
    "one that is not there": ({"revision": 11}, 0),
    "what was printed": ({"search": "loading the model"}, 1),
    "what is composed of an access entry": ({"search": "score 422 12.3"}, 1),
    "the words before a warning": ({"search": "warning: sklearn"}, 1),
    "a request": ({"search": REQUEST[-12:]}, 6),
    "a line of a traceback": ({"search": "  line"}, 1),
    "other signs": ({"search": "()"}, 1),
    "all together": ({"level": "error", "revision": 1, "search": "post"}, 1),
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters(site: Site, log: ServiceLog, name: str) -> None:
    write_all_kinds(log)
    params, count = FILTERS[name]
    page = site.ask("service.log", service="churn", **params)
    assert (len(page["lines"]), page["total"]) == (count, count)
    everything = {line["n"]: line for line in site.ask("service.log", service="churn")["lines"]}
    assert all(everything[line["n"]] == line for line in page["lines"])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    search=st.text("aLE p4.0:\\\"é", max_size=4).map(str.strip), level=st.sampled_from(["", "warning", "error"]),
    revision=st.integers(0, 2),
)  # fmt: skip
def test_the_quick_look_at_an_entry_hides_none_that_matches(
    site: Site, log: ServiceLog, search: str, level: str, revision: int
) -> None:
    if not log.path.stat().st_size:
        write_all_kinds(log)
    given = {"search": search, "level": level, "revision": revision}
    params = {key: value for key, value in given.items() if value}
    wanted = LogFilter.from_parameters(params)
    everything = site.ask("service.log", service="churn")["lines"]
    assert texts(site, **params) == [line["text"] for line in everything if wanted.matches(line)]
    assert (_raw_filter(LogFilter()) is None) == LogFilter().is_empty


def test_the_log_as_a_file(site: Site, log: ServiceLog) -> None:
    write_all_kinds(log)
    found = site.ask("service.logText", service="churn")
    first, second, *_ = found["text"].splitlines()
    assert found["name"] == "churn.log" and first.endswith("Z [server] worker 42 is ready")
    assert second.endswith("Z [r1 worker 42] Loading the MODEL")


def test_a_log_that_is_not_there_is_empty(site: Site) -> None:
    site.end(site.begin(), "live")
    assert site.ask("service.log", service="churn") == {"lines": [], "total": 0, "first": 0, "complete": True}
    site.store.update_service("churn", endpoint={"host": "elsewhere"})
    assert "runs on the machine elsewhere" in site.refuse("service.log", service="churn")["error"]


def test_a_hundred_thousand_lines(site: Site, log: ServiceLog) -> None:
    """A page takes a moment, a search over everything about a second."""
    printed = entry.format_line("a line that a script printed", logger="print", revision="1", pid=42)
    for _ in range(LONG // 1000):
        log.append((printed + access(200)) * 500)
    log.append(entry.format_line("the last one", logger="print", revision="1", pid=42))

    def timed(**params: Any) -> tuple[float, dict[str, Any]]:
        began = time.process_time()
        page = site.ask("service.log", service="churn", **params)
        return time.process_time() - began, page

    first, page = timed()
    assert page["total"] == LONG + 1 and page["lines"][-1]["text"] == "the last one"
    again, _ = timed(after=page["first"] + LONG // 2)
    search, page = timed(search="the last one")
    assert page["total"] == 1
    print(f"first page {first:.2f} s, another one {again:.3f} s, search {search:.2f} s of processor time")
    assert again < first < 3 and search < 5  # several times what an idle machine takes
