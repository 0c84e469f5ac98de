"""What the pictures show, as plain data: made of samples whose latencies are known."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.latency.figures import KINDS, Measured, make_chart
from mldeploy_jupyter.latency.figures.charts import BarChart, CellChart, LineChart, linear_ticks, log_bounds, log_ticks
from mldeploy_jupyter.latency.figures.heatmap import CELLS
from mldeploy_jupyter.latency.figures.spectrum import percentile_text, spectrum_points
from mldeploy_jupyter.latency.plan import LatencyPlan, PlannedService
from mldeploy_jupyter.latency.recording import Outcome
from mldeploy_jupyter.latency.statistics import find_knee, find_quantile

from .runs import make_samples, ramp, three_services, updated_service

ONE = (PlannedService("churn", "http://127.0.0.1:9000/score", workspace="home"),)


def one_service(latency: np.ndarray, rate: float = 100.0, **plan: object) -> Measured:
    at = np.arange(len(latency)) / rate
    samples = make_samples(at, latency, block=at.astype(int))
    return Measured(samples, LatencyPlan(ONE, rate=rate, **plan))  # type: ignore[arg-type]


def test_the_spectrum_has_the_latency_of_each_rank() -> None:
    latency = np.random.default_rng(0).permutation(np.arange(1.0, 1001.0))  # 1 to 1,000 ms
    chart = make_chart("spectrum", one_service(latency))
    assert isinstance(chart, LineChart)
    (line,) = chart.lines
    for x, y in zip(line.x[:-1], line.y[:-1], strict=True):
        assert y == pytest.approx(max(1, np.ceil((1 - 1 / x) * 1000 - 1e-6)))
    assert (line.x[-1], line.y[-1]) == (1000, pytest.approx(1000))
    marked = {point.text: (round(point.x), round(point.y)) for point in line.points}
    assert marked == {"median": (2, 500), "p90": (10, 900), "p95": (20, 950), "p99": (100, 990)}
    assert all(point.low is None or point.low <= point.y <= (point.high or 0) for point in line.points)
    assert line.thin_from == 100 and chart.shade is not None and chart.shade.begin == 100  # 10 requests are slower


def test_the_points_of_a_spectrum_are_those_that_statistics_find() -> None:
    ordered = np.sort(np.random.default_rng(1).gamma(2.0, 5.0, 3000))
    for x, value in spectrum_points(ordered)[:-1]:
        assert value == find_quantile(ordered, 1 - 1 / x) or value == pytest.approx(ordered[0])


def test_a_request_that_was_never_sent_counts_and_has_no_point() -> None:
    measured = one_service(np.full(100, 5.0))
    measured.samples["outcome"][:40] = Outcome.DROPPED
    measured.samples["sent"][:40] = measured.samples["done"][:40] = np.nan
    (line,) = make_chart("spectrum", measured).lines  # type: ignore[union-attr]
    assert max(line.x) < 2.6  # the slowest 40 % never ended
    (line,) = make_chart("ecdf", measured).lines  # type: ignore[union-attr]
    assert max(line.y) == pytest.approx(60.0)
    assert make_chart("ecdf", measured).notes == ["churn: 40 never sent, of 100"]


def test_revisions_of_a_service_that_was_updated_are_apart() -> None:
    chart = make_chart("spectrum", updated_service())
    assert isinstance(chart, LineChart)
    assert [line.name for line in chart.lines] == ["diabetes, revision 1", "diabetes, revision 2"]
    first, second = (dict((point.text, point.y) for point in line.points) for line in chart.lines)
    assert second["median"] - first["median"] == pytest.approx(1.5, abs=0.15)
    assert len({line.style for line in chart.lines}) == 2
    cells = make_chart("heatmap", updated_service())
    assert isinstance(cells, CellChart)
    assert [(round(mark.at), mark.text) for mark in cells.marks] == [(10, "revision 2")]


def test_from_the_send_a_stall_of_the_generator_is_not_seen() -> None:
    measured = one_service(np.full(200, 5.0))
    measured.samples["sent"] += 0.003
    from mldeploy_jupyter.latency.figures.spectrum import spectrum_chart

    due, sent = spectrum_chart(measured, from_send=True).lines
    assert due.y[0] == pytest.approx(5.0) and sent.y[0] == pytest.approx(1.95) and sent.name == "churn, from the send"


def test_the_heatmap_counts_every_answered_request_once() -> None:
    measured = three_services()
    chart = make_chart("heatmap", measured)
    assert isinstance(chart, CellChart)
    assert [row.name for row in chart.rows] == ["diabetes", "diabetes-batched", "diabetes-sleepy"]
    failed = measured.samples["outcome"] != Outcome.OK
    for service, row in enumerate(chart.rows):
        own = measured.samples["service"] == service
        assert sum(map(sum, row.counts)) == int((own & ~failed).sum())
        assert sum(sum(counts) for _, counts in row.failures) == int((own & failed).sum())
    assert [title for title, _ in chart.rows[2].failures] == ["timed out", "failed"]
    assert len(chart.rows) * len(chart.x_edges) * len(chart.y_edges) <= CELLS * 1.2
    assert list(chart.x_edges) == sorted(chart.x_edges) and list(chart.y_edges) == sorted(chart.y_edges)


def test_services_that_take_turns_have_no_empty_columns() -> None:
    chart = make_chart("heatmap", three_services())
    assert isinstance(chart, CellChart)
    for row in chart.rows:
        assert all(any(cells[column] for cells in row.counts) for column in range(len(chart.x_edges) - 1))


def test_a_stall_is_seen_in_the_heatmap() -> None:
    latency = np.full(3000, 2.0)
    latency[1500:1520] = np.linspace(200, 10, 20)
    chart = make_chart("heatmap", one_service(latency))
    assert isinstance(chart, CellChart)
    slow = [at for at, edge in enumerate(chart.y_edges[:-1]) if edge > 20]
    columns = {column for up in slow for column, count in enumerate(chart.rows[0].counts[up]) if count}
    middles = [(chart.x_edges[at] + chart.x_edges[at + 1]) / 2 for at in columns]
    assert middles and all(14.5 < middle < 15.7 for middle in middles)


def test_the_parts_of_a_bar_add_up_to_its_latency() -> None:
    chart = make_chart("parts", one_service(np.full(500, 10.0)))
    assert isinstance(chart, BarChart)
    assert [bar.name for bar in chart.bars] == ["churn, typical", "churn, slowest 1 %"]
    for bar in chart.bars:
        assert sum(bar.values) == pytest.approx(10.0, abs=0.01)
    before, network, queue, parse, run, serialise = chart.bars[0].values
    assert (before, queue, parse, run, serialise) == pytest.approx((0.05, 0.03, 0.08, 5.8, 0.02), abs=1e-3)
    assert network == pytest.approx(4.02, abs=1e-2)


def test_without_server_timing_all_is_network() -> None:
    measured = one_service(np.full(500, 10.0))
    for name in ("queue", "parse", "run", "serialise"):
        measured.samples[name] = np.nan
    chart = make_chart("parts", measured)
    assert isinstance(chart, BarChart)
    assert chart.bars[0].values[1:] == pytest.approx([9.95, 0, 0, 0, 0], abs=0.01)


def test_the_knee_is_where_the_queue_begins() -> None:
    chart = make_chart("ramp", ramp())
    assert isinstance(chart, LineChart)
    (mark,) = chart.marks
    assert mark.at == pytest.approx(400, rel=0.03) and mark.text == "knee of diabetes: 400 a second"
    assert [line.name for line in chart.lines] == [
        "diabetes, median",
        "diabetes, p90",
    ]  # the first step has 125 requests


@pytest.mark.parametrize(
    ("rates", "latencies", "knee"),
    [
        ([10, 20, 40, 80, 85], [2, 2, 2.2, 3, 40], 3),
        ([10, 20, 40], [2, 2, 2], None),  # it was not reached
        ([10, 20], [2, 40], None),  # too few steps to say
    ],
)
def test_knees(rates: list[float], latencies: list[float], knee: int | None) -> None:
    assert find_knee(rates, latencies) == knee


def test_services_of_one_name_are_told_apart_by_their_workspace() -> None:
    plan = LatencyPlan((ONE[0], PlannedService("churn", "http://127.0.0.1:9001/score", workspace="team")))
    assert Measured(None, plan).names == ["churn (home)", "churn (team)"]


def test_another_kind_and_a_ramp_of_a_run_without_one_are_refused() -> None:
    measured = one_service(np.full(10, 5.0))
    with pytest.raises(UserErrorException, match="there is no figure 'pie'") as unknown:
        make_chart("pie", measured)
    assert "spectrum, ecdf, heatmap, parts, ramp" in unknown.value.why
    with pytest.raises(UserErrorException, match="this run has no ramp"):
        make_chart("ramp", measured)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ramp"])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_requests_make_a_picture(kind: str, count: int) -> None:
    make_chart(kind, one_service(np.full(count, 5.0)))


def test_percentiles_as_words() -> None:
    assert [percentile_text(x) for x in (1, 2, 10, 100, 1000, 12345)] == [
        "0 %", "50 %", "90 %", "99 %", "99.9 %", "99.9919 %",
    ]  # fmt: skip


def test_ticks_and_bounds() -> None:
    assert [text for _, text in log_ticks(0.8, 60)] == ["1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms"]
    assert [text for _, text in log_ticks(1, 100_000)] == ["1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s"]
    low, high = log_bounds([5.0])
    assert high / low == pytest.approx(3.2) and low < 5 < high
    assert linear_ticks(0, 60) == [0, 10, 20, 30, 40, 50, 60] and linear_ticks(3, 3) == [3]


def test_numpy_and_plotly_are_imported_by_the_functions_that_use_them() -> None:
    program = (
        "import sys, mldeploy_jupyter.latency.figures; print([m for m in ('numpy', 'plotly') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"
