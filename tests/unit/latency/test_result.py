"""A result as a person uses it: tables, JSON, comparisons, kept runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter import LatencyResult, Workspace
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.latency.measuring import Ending
from mldeploy_jupyter.latency.saved import create_run, finish_run
from tests.unit.latency.made_samples import cold_start, make_plan, make_result, steady


def same(one: NDArray[np.void], two: NDArray[np.void]) -> bool:
    """Whether all fields are the same, bit for bit; not what is between them."""
    return all(one[name].tobytes() == two[name].tobytes() for name in one.dtype.names or ())


def test_the_summary_is_a_table_with_one_row_a_service() -> None:
    plan = make_plan("a", "b")
    table = make_result(np.concatenate([steady(200), steady(200, 5.0, service=1)]), plan).summary()
    assert list(table.index) == ["a", "b"]
    assert table.loc["a", "p50"] < table.loc["b", "p50"]
    assert table.loc["a", "p99"] is None or np.isnan(table.loc["a", "p99"])
    assert {"requests", "rate_wanted", "rate_reached", "dropped", "errors", "cold_start", "network"} <= {*table.columns}


def test_without_pandas_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserErrorException) as caught:
        make_result(steady(20)).summary()
    assert str(caught.value) == snapshot


def test_json_is_exact() -> None:
    result = make_result(np.concatenate([cold_start(41.0), steady(300)]), lag={"p99": 0.2})
    read = LatencyResult.from_json(result.to_json())
    assert same(read.samples, result.samples)
    assert read.to_dict() == result.to_dict() and read.rows() == result.rows()
    assert json.loads(result.to_json())["format"] == 1


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"samples": "?"}', '{"samples": "", "plan": {}}', "null"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(UserErrorException, match="not a result of the latency lab"):
        LatencyResult.from_json(text)


def test_wrong_arguments(snapshot: SnapshotAssertion) -> None:
    result = make_result(steady(100), make_plan("a", "b"))
    other = make_result(np.concatenate([steady(50), steady(50, service=1)]), make_plan("c", "d"))
    two = make_result(np.concatenate([steady(50), steady(50, service=1)]), make_plan("a", "b"))
    calls = {
        "by": lambda: result.rows("day"),  # type: ignore[arg-type]
        "quantile": lambda: result.percentile(0.42, "a"),
        "which service": lambda: result.percentile(0.5),
        "unknown service": lambda: result.percentile(0.5, "z"),
        "compared with": lambda: result.compare(5),  # type: ignore[arg-type]
        "nothing in common": lambda: two.compare(other),
    }
    texts = {}
    for name, call in calls.items():
        with pytest.raises(UserErrorException) as caught:
            call()
        texts[name] = str(caught.value)
    assert texts == snapshot


def test_one_percentile() -> None:
    assert make_result(steady(100)).percentile(0.5) == pytest.approx(2.0, rel=0.1)
    assert make_result(steady(100)).percentile(0.99) is None


def test_a_comparison_has_rows_a_table_and_sentences(snapshot: SnapshotAssertion) -> None:
    before, now = make_result(steady(2000)), make_result(steady(2000, 2.4, seed=5))
    found = now.compare(before)
    assert str(found) == snapshot
    assert found.table() == snapshot
    rows = found.rows()
    assert [row["quantile"] for row in rows] == ["p50", "p90", "p95", "p99"]
    assert rows[0]["ratio_low"] < rows[0]["ratio"] < rows[0]["ratio_high"] and rows[0]["shown"]
    json.dumps(rows, allow_nan=False)


def test_services_of_one_name_in_two_workspaces_stay_apart() -> None:
    plan = make_plan("a", "a")
    plan = type(plan).from_dict(
        {
            **plan.to_dict(),
            "services": [{**s.to_dict(), "workspace": w} for s, w in zip(plan.services, "xy", strict=True)],
        }
    )
    result = make_result(np.concatenate([steady(100), steady(100, 4.0, service=1)]), plan)
    assert list(result.groups) == ["a (x)", "a (y)"]
    assert "a (y)" in str(result.compare())


def test_html_escapes_names_and_has_intervals() -> None:
    text = make_result(steady(1000), make_plan("<b>x</b>"))._repr_html_()
    assert "<b>x" not in text and "&lt;b&gt;x" in text
    assert text.count("<small") == 4 and "<script" not in text
    assert "<caption" in text and 'scope="row"' in text


def test_rows_are_json() -> None:
    json.dumps(make_result(np.concatenate([cold_start(9.0), steady(2000)])).rows(), allow_nan=False)


def test_a_new_run_says_what_changed_since_the_last(folder: Path) -> None:
    before, now = make_result(steady(2000)), make_result(steady(2000, 2.4, seed=5))
    shown = LatencyResult(now.id, now.plan, now.ending, now.read_samples, None, before)
    assert shown.verdict == now.judge(before) != now.verdict
    assert "slower than churn in run" in str(shown) and "slower than churn in run" in shown._repr_html_()


# Runs that are kept ---------------------------------------------------------------------------------------------------


def keep(ws: Workspace, result: LatencyResult) -> LatencyResult:
    run = create_run(ws.folder, result.plan)
    run.samples_path.write_bytes(result.samples.tobytes())
    finish_run(run, result.ending, rows=result.rows())
    return LatencyResult.load(ws, run.id)


def test_a_kept_run_is_read_again(folder: Path) -> None:
    ws = Workspace.create(path=".")
    made = make_result(steady(1000))
    kept = keep(ws, made)
    assert kept.rows() == made.rows() and str(kept).partition("\n")[2] == str(made).partition("\n")[2]
    assert same(kept.samples, made.samples)
    assert (
        [run.id for run in LatencyResult.list(ws)] == [run.id for run in LatencyResult.list(ws, "churn")] == [kept.id]
    )
    assert LatencyResult.list(ws, "other") == []


def test_a_list_reads_no_samples(folder: Path) -> None:
    ws = Workspace.create(path=".")
    kept = keep(ws, make_result(steady(100)))
    (ws.folder.root / "latency" / kept.id / "samples.bin").unlink()
    (listed,) = LatencyResult.list(ws)
    assert listed.rows()[0]["requests"] == 100 and "100 requests" in repr(listed)


def test_an_interrupted_run_says_so(folder: Path) -> None:
    ws = Workspace.create(path=".")
    run = create_run(ws.folder, make_plan())
    run.samples_path.write_bytes(steady(50).tobytes())
    (found,) = LatencyResult.list(ws)
    assert found.ending.reason == "running" and found.rows()[0]["requests"] == 50


@pytest.mark.parametrize(
    ("plan", "ending", "alike"),
    [
        ({}, {}, True),
        ({"rate": 105.0}, {}, True),
        ({"rate": 200.0}, {}, False),
        ({"arrivals": "poisson"}, {}, False),
        ({"mode": "closed", "users": 4, "rate": None}, {}, False),
        ({"ramp": (10.0, 20.0), "rate": None}, {}, False),
        ({}, {"lag": {"p99": 5.0}}, False),
        ({}, {"reason": "cancelled"}, False),
    ],
)
def test_a_run_is_compared_with_an_earlier_one_like_it(
    folder: Path, plan: dict[str, object], ending: dict[str, object], alike: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = Workspace.create(path=".")
    earlier = make_result(steady(100), make_plan(**plan), **ending)
    runs = [earlier, make_result(steady(100))]
    for result in runs:  # ids begin with the time in seconds
        object.__setattr__(result, "id", f"2026112{runs.index(result)}T030000-a1b2c3")
    monkeypatch.setattr(LatencyResult, "list", classmethod(lambda cls, workspace, service=None: runs[::-1]))
    assert runs[1].find_previous(ws) is (earlier if alike else None)
    assert runs[0].find_previous(ws) is None


def test_an_ending_of_another_version_is_read() -> None:
    data = {**json.loads(make_result(steady(1)).to_json()), "more": 1}
    data["ending"]["unknown"] = 1
    assert LatencyResult.from_json(json.dumps(data)).ending == Ending.from_dict(data["ending"])
