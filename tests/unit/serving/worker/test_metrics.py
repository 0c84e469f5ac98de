"""Prometheus' text of the scoreboard."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.serving.ipc.scoreboard import HISTOGRAMS, PID, REVISION, SLOTS, Scoreboard, Slot
from mldeploy_jupyter.serving.worker import metrics


def assign_slot(board: Scoreboard, pid: int = 1) -> Slot:
    slot = board.slot(board.assign_slot())
    slot.fields[PID] = pid
    return slot


def test_the_counts_of_a_dead_worker_and_of_its_successor_are_added_up() -> None:
    board = Scoreboard()
    slot = assign_slot(board)
    for status in (200, 200, 503):
        slot.record_request(status, 0.0, {})
    slot.begin_request(b"lost")
    board.retire_slot(slot.number)
    assign_slot(board).record_request(200, 0.0, {})
    text = metrics.text(board, "s").decode()
    assert 'mldeploy_requests_total{service="s",code="200"} 3' in text
    assert 'mldeploy_requests_total{service="s",code="503"} 1' in text
    assert 'mldeploy_requests_lost_total{service="s"} 1' in text
    assert 'mldeploy_workers{service="s"} 1' in text


def test_a_worker_without_a_slot_of_its_own_is_counted() -> None:
    board = Scoreboard()
    numbers = [board.assign_slot() for _ in range(SLOTS)]
    board.slot(numbers[-1]).record_request(200, 0.0, {})
    assert numbers[-1] == 0 and 'code="200"} 1' in metrics.text(board, "s").decode()


@given(
    st.lists(st.tuples(st.integers(100, 599), st.floats(0, 100))),
    st.lists(st.tuples(st.integers(100, 599), st.floats(0, 100))),
)
def test_sums_over_the_living_and_the_dead_are_what_was_counted(dead: list, living: list) -> None:
    board = Scoreboard()
    one, two = assign_slot(board), assign_slot(board, 2)
    for slot, requests in ((one, dead), (two, living)):
        for status, seconds in requests:
            slot.record_request(status, seconds, {})
    board.retire_slot(one.number)
    text = metrics.text(board, "s").decode()
    for status in {status for status, _ in dead + living}:
        count = sum(1 for found, _ in dead + living if found == status)
        assert f'mldeploy_requests_total{{service="s",code="{status}"}} {count}\n' in text
    assert f'mldeploy_request_seconds_count{{service="s"}} {len(dead) + len(living)}\n' in text
    below = sum(1 for _, seconds in dead + living if seconds <= 0.05)
    assert f'mldeploy_request_seconds_bucket{{service="s",le="0.05"}} {below}\n' in text


def test_a_name_cannot_break_a_line_and_every_series_has_its_help() -> None:
    board = Scoreboard()
    slot = assign_slot(board, os.getpid())
    slot.fields[REVISION] = 3
    slot.record_request(200, 0.0, {})
    for name in HISTOGRAMS:
        slot.observe(name, 1.0)
    lines = metrics.text(board, 'a"b\n\\').decode().splitlines()
    described = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    series = [line for line in lines if not line.startswith("#")]
    assert series
    for line in series:
        name = line.partition("{")[0]
        assert any(name in (d, f"{d}_bucket", f"{d}_sum", f"{d}_count") for d in described), line
        assert 'service="a\\"b\\n\\\\"' in line
    assert f'mldeploy_worker_ready{{service="a\\"b\\n\\\\",pid="{os.getpid()}",revision="3"}} 0' in lines
