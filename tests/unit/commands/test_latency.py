"""`mldeploy latency`: words, budgets, ramps; what a run says is tested with real services."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter import Workspace
from mldeploy_jupyter.commands import COMMANDS, UsageError, complete_line
from mldeploy_jupyter.commands.errors import BudgetMissed, RunInvalid
from mldeploy_jupyter.commands.latency_values import drawn_limit, judge_budget, read_budget, read_payload, read_ramp
from mldeploy_jupyter.core.errors import UserErrorException, WebserviceNotFound
from mldeploy_jupyter.latency.saved import create_run, finish_run
from tests.unit.commands.support import check_help, check_usage_error, make_context, parse_line, run_line
from tests.unit.latency.made_samples import fail, make_result, steady


@pytest.mark.parametrize("item", [item for item in COMMANDS if item.path[0] == "latency"], ids=lambda item: item.name)
def test_help(item: Any, snapshot: SnapshotAssertion) -> None:
    check_help(item, snapshot)


@pytest.mark.parametrize(
    "line",
    [
        "latency",
        "latency churn --rate fast",
        "latency churn --ramp 50:400",
        "latency churn --ramp 0:400:3",
        "latency churn --arrivals even",
        "latency churn --p99-below soon",
        "latency churn --p99-below 0ms",
        "latency churn --errors-below some",
        "latency churn --rate 50 --duration 5 --p99-below 50ms",
        "latency churn --ramp 50:400:4 --p50-below 50ms",
        "latency https://example.org/score",
        "latency churn -d '{data: 1}'",
        "latency churn --key-file missing.txt",
        "latency churn 'df[:3]'",
        "latency compare",
    ],
)
def test_usage_errors(line: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    check_usage_error(line, folder, snapshot)


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("50:400:4", [50, 100, 200, 400]),
        ("400:50:4", [400, 200, 100, 50]),
        ("10:20:3", [10, 14.1, 20]),
        ("50,80,200", [50, 80, 200]),
        ("75", [75]),
    ],
)
def test_a_ramp_has_steps_of_equal_ratio(text: str, rates: list[float]) -> None:
    assert read_ramp(text) == rates


@pytest.mark.parametrize(
    "text", ["", "a:b:c", "1:2", "1:2:3:4", "1:2:1", "1:2:51", "-1:2:3", "nan:2:3", "1:inf:3", "5,"]
)
def test_another_ramp_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_ramp(text)


def test_a_payload_is_json_as_it_is_typed_or_a_file(folder: Path) -> None:
    (folder / "5").write_text("[1]")
    typed = ['{"data": [[1, 2]]}', " [1]", '"text"', "1.5", "true"]
    assert [read_payload(text) for text in typed] == typed
    assert [read_payload(name) for name in ("5", "inputs.jsonl", "~/photo.png")] == [
        Path("5"), Path("inputs.jsonl"), Path("~/photo.png"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "limits"),
    [
        ("", {}),
        ("--p99-below 50ms", {"p99": 50, "errors": 1}),
        ("--p99-below 50 --p50-below 1.5s", {"p50": 1500, "p99": 50, "errors": 1}),
        ("--p99.9-below '800 us' --errors-below 0.1%", {"p99.9": 0.8, "errors": 0.1}),
        ("--errors-below 0", {"errors": 0}),
    ],
)
def test_a_budget_is_read(words: str, limits: dict[str, float]) -> None:
    assert read_budget(parse_line("latency", f"churn {words}")) == pytest.approx(limits)


def test_the_limit_of_the_highest_percentile_is_drawn() -> None:
    budget = read_budget(parse_line("latency", "churn --p50-below 5 --p99-below 50ms --errors-below 2%"))
    assert drawn_limit(budget) == 50 and drawn_limit({"errors": 1.0}) is None


def test_a_budget_is_judged(snapshot: SnapshotAssertion) -> None:
    rows = make_result(steady(2000)).rows()
    met = judge_budget(rows, {"p50": 5.0, "p99": 3.3, "errors": 1})
    assert met.failure is None and met.sentences == snapshot
    missed = judge_budget(rows, {"p50": 1.0, "p99": 3.0, "errors": 1})
    assert isinstance(missed.failure, BudgetMissed) and str(missed.failure) == snapshot
    unknown = judge_budget(make_result(steady(500)).rows(), {"p99": 50.0})
    assert isinstance(unknown.failure, RunInvalid) and str(unknown.failure) == snapshot
    assert isinstance(judge_budget([], {"p50": 1.0}).failure, RunInvalid)


def test_answers_that_fail_fast_keep_no_budget(snapshot: SnapshotAssertion) -> None:
    from mldeploy_jupyter.latency.recording import Outcome

    samples = steady(2000)
    fail(samples, slice(0, 100), Outcome.SERVER_ERROR, 500)
    judged = judge_budget(make_result(samples).rows(), {"p99": 50.0, "errors": 1.0})
    assert isinstance(judged.failure, BudgetMissed) and str(judged.failure) == snapshot


@pytest.fixture
def runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of two kept runs, the older one first."""
    ws = Workspace.create(path=".")
    times = itertools.count(1)
    monkeypatch.setattr("mldeploy_jupyter.latency.saved.utc_now", lambda: f"2026-11-27T03:00:0{next(times)}.000Z")
    monkeypatch.setattr("mldeploy_jupyter.latency.saved.os.urandom", lambda count: b"\xab" * count)
    ids = []
    for scale in (2.0, 2.3):
        result = make_result(steady(1000, scale))
        run = create_run(ws.folder, result.plan)
        run.samples_path.write_bytes(result.samples.tobytes())
        finish_run(run, result.ending, rows=result.rows())
        ids.append(run.id)
    return ids


def test_kept_runs_are_listed_shown_and_compared(runs: list[str], snapshot: SnapshotAssertion) -> None:
    assert run_line("latency list").text == snapshot
    assert run_line("latency list other").text == snapshot
    assert run_line("latency show").text == snapshot
    assert run_line(f"latency show {runs[0]}").text.startswith(f"latency run {runs[0]}")
    assert run_line(f"latency compare {runs[1]}").text == snapshot
    assert run_line(f"latency compare {runs[1]} {runs[0]}").data["verdict"]
    with pytest.raises(UsageError) as caught:
        run_line(f"latency compare {runs[0]}")
    assert str(caught.value) == snapshot


def test_an_unknown_run(folder: Path, snapshot: SnapshotAssertion) -> None:
    Workspace.create(path=".")
    texts = []
    for line in ("latency show", "latency show nothing"):
        with pytest.raises(Exception) as caught:
            run_line(line)
        texts.append(str(caught.value))
    assert texts == snapshot


def test_an_address_needs_a_word_that_it_may_be_loaded(folder: Path, snapshot: SnapshotAssertion) -> None:
    with pytest.raises(UserErrorException) as caught:
        run_line("latency --url http://127.0.0.1:1/score --rate 5")
    assert str(caught.value) == snapshot


def test_completion(runs: list[str]) -> None:
    context = make_context()
    assert complete_line(["latency", ""], context) == ["compare", "list", "show"]
    assert complete_line(["latency", "show", ""], context) == sorted(runs)
    assert complete_line(["latency", "churn", "--arr"], context) == ["--arrivals"]
    assert complete_line(["latency", "churn", "--arrivals", "p"], context) == ["poisson"]
    assert complete_line(["lat"], context) == ["latency"]


def test_in_a_notebook_an_expression_may_be_sent(folder: Path, snapshot: SnapshotAssertion) -> None:
    (folder / "rows.json").write_text("[1]", "utf-8")
    variables = {"X": [[1.5], [2.5]], "rows": 1}
    assert read_payload("X[:1]", variables) == [[1.5]]
    assert read_payload('{"data": X}', variables) == {"data": [[1.5], [2.5]]}
    assert read_payload('{"data": [1]}', variables) == '{"data": [1]}'
    assert read_payload("rows.json", variables) == Path("rows.json")
    errors = []
    for text in ("missing.json", "{data: 1}"):
        with pytest.raises(UsageError) as raised:
            read_payload(text, variables)
        errors.append(str(raised.value))
    assert errors == snapshot


def test_a_variable_among_the_services_is_told_to_be_sent(folder: Path) -> None:
    Workspace.create()
    with pytest.raises(UsageError) as raised:
        run_line("latency churn rows", make_context(namespace={"rows": [[1.5]]}))
    assert raised.value.hint == "if it is what to send: mldeploy latency churn -d rows"
    with pytest.raises(WebserviceNotFound):
        run_line("latency churn rows", make_context(namespace={}))
