"""The scoreboard that supervisor and workers share, and the metrics read off it."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.serving.ipc.scoreboard import (
    ANSWERED,
    CHANGES,
    HISTOGRAMS,
    IN_FLIGHT,
    LOST,
    MAX_NAMED_REQUESTS,
    PID,
    REVISION,
    SLOTS,
    Scoreboard,
    Slot,
)
from mldeploy_jupyter.serving.worker import metrics


def worker(board: Scoreboard, pid: int = 1) -> Slot:
    slot = board.slot(board.assign_slot())
    slot.fields[PID] = pid
    return slot


def test_what_one_process_counts_another_reads() -> None:
    board = Scoreboard()
    number = board.assign_slot()
    program = (
        "import sys; from mldeploy_jupyter.serving.ipc.scoreboard import Scoreboard, PID\n"
        f"slot = Scoreboard({board.fd}).slot({number}); slot.fields[PID] = 7\n"
        "slot.record_request(200, 0.0, {}); slot.observe('run', 0.02); slot.begin_request(b'the-id')"
    )
    subprocess.run([sys.executable, "-c", program], pass_fds=[board.fd], check=True)
    slot = board.slot(number)
    assert list(slot.status_counts()) == [(200, 1)] and slot.in_flight_ids() == ["the-id"]
    assert slot.read_histogram("run") == ([0] * 7 + [1] + [0] * 10, 0.02)


def test_a_dead_worker_leaves_its_counts_and_the_ids_it_had_in_hand() -> None:
    board = Scoreboard()
    slot = worker(board)
    for status in (200, 200, 503):
        slot.record_request(status, 0.0, {})
    slot.begin_request(b"one")
    place = slot.begin_request(b"two")
    slot.begin_request(b"three")
    slot.end_request(place)
    assert sorted(board.retire_slot(slot.number)) == ["one", "three"]
    assert board.service_fields[LOST] == 2 and board.retire_slot(slot.number) == []
    again = worker(board)
    assert again.number == slot.number and not list(again.status_counts()) and again.in_flight_ids() == []
    again.record_request(200, 0.0, {})
    text = metrics.text(board, "s").decode()
    assert 'mldeploy_requests_total{service="s",code="200"} 3' in text
    assert 'mldeploy_requests_total{service="s",code="503"} 1' in text
    assert 'mldeploy_requests_lost_total{service="s"} 2' in text
    assert 'mldeploy_workers{service="s"} 1' in text


def test_more_requests_than_have_a_name_are_counted_all_the_same() -> None:
    board = Scoreboard()
    slot = worker(board)
    places = [slot.begin_request(b"%d" % n) for n in range(MAX_NAMED_REQUESTS + 10)]
    assert places.count(-1) == 10 and slot.fields[IN_FLIGHT] == MAX_NAMED_REQUESTS + 10
    board.retire_slot(slot.number)
    assert board.service_fields[LOST] == MAX_NAMED_REQUESTS + 10


def test_a_board_that_is_full_gives_a_place_that_nobody_shows() -> None:
    board = Scoreboard()
    numbers = [board.assign_slot() for _ in range(SLOTS + 2)]
    assert numbers == [*range(1, SLOTS), 0, 0, 0]
    board.slot(0).record_request(200, 0.0, {})
    assert 'code="200"} 1' in metrics.text(board, "s").decode()
    assert board.retire_slot(0) == []


@given(
    st.lists(st.tuples(st.integers(100, 599), st.floats(0, 100))),
    st.lists(st.tuples(st.integers(100, 599), st.floats(0, 100))),
)
def test_sums_over_the_living_and_the_dead_are_what_was_counted(dead: list, living: list) -> None:
    board = Scoreboard()
    one, two = worker(board), worker(board, 2)
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


def test_a_sum_is_not_read_while_a_dead_worker_s_counts_are_moved() -> None:
    board = Scoreboard()
    board.service_fields[CHANGES] = 1
    seen: list[int] = []

    def read() -> int:
        seen.append(1)
        if len(seen) == 3:
            board.service_fields[CHANGES] = 2  # the supervisor has just ended
        return len(seen)

    assert board.read_consistently(read) == 4
    board.service_fields[CHANGES] = 3  # it died: the figures are told all the same
    assert board.read_consistently(lambda: "told") == "told"


def test_a_name_cannot_break_a_line_and_every_series_has_its_help() -> None:
    board = Scoreboard()
    slot = worker(board, os.getpid())
    slot.fields[REVISION] = 3
    slot.record_request(200, 0.0, {})
    assert slot.fields[ANSWERED] == 1
    for name in HISTOGRAMS:
        slot.observe(name, 1.0)
    lines = metrics.text(board, 'a"b\n\\').decode().splitlines()
    described = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    for line in lines:
        if not line.startswith("#"):
            name = line.partition("{")[0]
            assert any(name in (d, f"{d}_bucket", f"{d}_sum", f"{d}_count") for d in described), line
            assert 'service="a\\"b\\n\\\\"' in line
    assert f'mldeploy_worker_ready{{service="a\\"b\\n\\\\",pid="{os.getpid()}",revision="3"}} 0' in lines
