from __future__ import annotations

import random

import pytest

from mldeploy_jupyter.latency.generator.lag import PROBE_SECONDS, Histogram, Watch


def test_quantiles_are_right_to_two_percent() -> None:
    draw = random.Random(0)
    values = sorted(draw.lognormvariate(-5, 1.5) for _ in range(5000))
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for q in (0.01, 0.5, 0.9, 0.99, 0.999):
        assert histogram.quantile(q) == pytest.approx(values[int(q * 5000) - 1], rel=0.02)
    assert histogram.quantile(1.0) == values[-1] == histogram.greatest


def test_an_empty_histogram_and_odd_values() -> None:
    histogram = Histogram()
    assert histogram.quantile(0.5) == 0.0
    for value in (0.0, -1.0, 1e9):
        histogram.add(value)
    assert histogram.count == 3 and histogram.quantile(1.0) == 1e9


class Clocks:
    def __init__(self) -> None:
        self.awake, self.total = 100.0, 200.0
        self.watch = Watch(lambda: self.awake, lambda: self.total)

    def run(self, seconds: float, slept: float = 0.0) -> None:
        self.awake += seconds
        self.total += seconds + slept


def test_a_loop_that_is_late_is_counted_for_every_look_that_it_missed() -> None:
    clocks = Clocks()
    for _ in range(100):
        clocks.run(PROBE_SECONDS + 1e-5)
        assert clocks.watch.look(count=True) == 0
    assert clocks.watch.lag.greatest < 0.002
    before = clocks.watch.lag.count
    clocks.run(0.5)
    assert clocks.watch.look(count=True) == 0
    assert clocks.watch.lag.count - before == pytest.approx(100, abs=1)
    assert clocks.watch.lag.quantile(0.75) == pytest.approx(0.25, rel=0.1)
    assert clocks.watch.next_look > clocks.awake


def test_what_is_not_measured_is_not_late() -> None:
    clocks = Clocks()
    clocks.run(0.5)
    assert clocks.watch.look(count=False) == 0
    assert clocks.watch.lag.count == 0


def test_a_machine_that_sleeps_is_noticed_by_the_clock_that_goes_on() -> None:
    clocks = Clocks()
    clocks.run(PROBE_SECONDS, slept=3600.0)
    assert clocks.watch.look(count=True) == pytest.approx(3600.0)
    clocks.run(PROBE_SECONDS)
    assert clocks.watch.look(count=True) == 0
    assert clocks.watch.lag.greatest < 0.002


def test_a_process_that_is_stopped_is_noticed_by_the_clock_that_it_missed() -> None:
    clocks = Clocks()
    clocks.run(3.0)
    assert clocks.watch.look(count=True) == pytest.approx(3.0)
    assert clocks.watch.lag.count == 0  # the run is cut there: nothing of it was measured
