"""The scoreboard that supervisor and workers share."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mldeploy_jupyter.serving.ipc.scoreboard import (
    ACCEPTING,
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


def assign_slot(board: Scoreboard, pid: int = 1) -> Slot:
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


def test_a_dead_worker_leaves_its_counts_and_the_ids_of_its_requests_in_flight() -> None:
    board = Scoreboard()
    slot = assign_slot(board)
    slot.state[ACCEPTING] = 1
    for status in (200, 200, 503):
        slot.record_request(status, 0.0, {})
    slot.begin_request(b"one")
    index = slot.begin_request(b"two")
    slot.begin_request(b"three")
    slot.end_request(index)
    assert sorted(board.retire_slot(slot.number)) == ["one", "three"]
    assert board.service_fields[LOST] == 2 and board.retire_slot(slot.number) == []
    assert list(board.slot(0).status_counts()) == [(200, 2), (503, 1)]
    assert slot.state[ACCEPTING] == 0
    again = assign_slot(board)
    assert again.number == slot.number and not list(again.status_counts()) and again.in_flight_ids() == []


def test_one_request_is_recorded_in_seconds_and_its_parts_in_milliseconds() -> None:
    slot = assign_slot(Scoreboard())
    slot.record_request(200, 0.25, {"run": 20.0})
    assert slot.read_histogram("request")[1] == 0.25 and slot.read_histogram("run")[1] == 0.02
    assert slot.fields[ANSWERED] == 1


def test_the_usual_request_is_recorded_as_any_other() -> None:
    board = Scoreboard()
    usual, general = assign_slot(board), assign_slot(board)
    for factor in (0.00001, 0.01, 100.0):
        queue, parse, run, serialise = (factor * number for number in (1, 2, 3, 4))
        usual.record_usual(200, factor * 11, queue, parse, run, serialise)
        timings = {"queue": queue, "parse": parse, "run": run, "serialise": serialise}
        general.record_request(200, factor * 11, {name: value * 1000 for name, value in timings.items()})
        usual.observe_lone()
        general.observe("batch", 1)
    assert list(usual.status_counts()) == list(general.status_counts())
    for name in HISTOGRAMS:
        counts, total = general.read_histogram(name)
        assert usual.read_histogram(name) == (counts, pytest.approx(total))


@pytest.mark.parametrize("seconds", [[0.011, 0.012, 0.02], [0.5, 0.0002, 60.0]], ids=["one bucket", "several"])
def test_a_batch_is_recorded_as_as_many_requests(seconds: list[float]) -> None:
    board = Scoreboard()
    batch, singles = assign_slot(board), assign_slot(board)
    queued = [value / 2 for value in seconds]
    batch.record_batch(seconds, queued, parse=0.001, run=0.01, serialise=0.002)
    for value, queue in zip(seconds, queued, strict=True):
        singles.record_usual(200, value, queue, 0.001, 0.01, 0.002)
    assert list(batch.status_counts()) == [(200, 3)] and batch.fields[ANSWERED] == 3
    for name in HISTOGRAMS:
        counts, total = singles.read_histogram(name)
        assert batch.read_histogram(name) == (counts, pytest.approx(total))


def test_the_requests_of_a_batch_end_together() -> None:
    slot = assign_slot(Scoreboard())
    indices = [slot.begin_request(b"%d" % n) for n in range(MAX_NAMED_REQUESTS + 2)]
    slot.end_requests(indices[1:])
    assert slot.fields[IN_FLIGHT] == 1 and slot.in_flight_ids() == ["0"]
    assert sorted(slot.begin_request(b"") for _ in range(MAX_NAMED_REQUESTS - 1)) == sorted(indices[1:-2])


def test_more_requests_than_have_a_name_are_counted_all_the_same() -> None:
    board = Scoreboard()
    slot = assign_slot(board)
    indexes = [slot.begin_request(b"%d" % n) for n in range(MAX_NAMED_REQUESTS + 10)]
    assert indexes.count(-1) == 10 and slot.fields[IN_FLIGHT] == MAX_NAMED_REQUESTS + 10
    for index in indexes:
        slot.end_request(index)
    assert slot.fields[IN_FLIGHT] == 0 and slot.in_flight_ids() == []
    slot.begin_request(b"named again")
    assert slot.in_flight_ids() == ["named again"]


def test_the_lost_requests_without_a_name_are_counted() -> None:
    board = Scoreboard()
    slot = assign_slot(board)
    for number in range(MAX_NAMED_REQUESTS + 10):
        slot.begin_request(b"%d" % number)
    board.retire_slot(slot.number)
    assert board.service_fields[LOST] == MAX_NAMED_REQUESTS + 10


def test_an_id_that_is_too_long_is_cut() -> None:
    slot = assign_slot(Scoreboard())
    slot.begin_request(b"x" * 1000)
    assert slot.in_flight_ids() == ["x" * 103]


def test_when_all_slots_are_assigned_the_next_workers_count_in_slot_0() -> None:
    board = Scoreboard()
    numbers = [board.assign_slot() for _ in range(SLOTS + 2)]
    assert numbers == [*range(1, SLOTS), 0, 0, 0]
    board.slot(0).record_request(200, 0.0, {})
    assert list(board.slot(0).status_counts()) == [(200, 1)] and board.retire_slot(0) == []
    board.retire_slot(5)
    assert board.assign_slot() == 5


def test_active_slots_are_the_dead_workers_one_and_those_of_the_living() -> None:
    board = Scoreboard()
    first, second = assign_slot(board), assign_slot(board, pid=2)
    assert [slot.number for slot in board.active_slots()] == [0, first.number, second.number]
    first.fields[REVISION] = 7
    board.retire_slot(first.number)
    assert [slot.number for slot in board.active_slots()] == [0, second.number]
    assert board.slot(0).fields[REVISION] == 0  # state is not added up


def test_a_sum_is_not_read_while_a_dead_worker_s_counts_are_moved() -> None:
    board = Scoreboard()
    board.service_fields[CHANGES] = 1
    seen: list[int] = []

    def read() -> int:
        seen.append(1)
        if len(seen) == 3:
            board.service_fields[CHANGES] = 2  # the counts have been moved
        return len(seen)

    assert board.read_consistently(read) == 4


def test_a_supervisor_that_died_while_it_moved_counts_blocks_no_reader() -> None:
    board = Scoreboard()
    board.service_fields[CHANGES] = 3
    assert board.read_consistently(lambda: "read") == "read"


def test_the_fields_of_earlier_versions_are_where_they_were() -> None:
    """A supervisor and its workers may be of two versions."""
    board = Scoreboard()
    slot, after = assign_slot(board), assign_slot(board)
    slot.begin_request(b"the-id")
    slot.state[ACCEPTING] = 1
    memory = bytes(board._memory)
    start = 4096 + slot.number * 61_440
    assert int.from_bytes(memory[start + 3 * 8 : start + 4 * 8], "little") == 1  # in flight
    assert memory[start + 4912 + 511 * 104 :][:7] == b"\x06the-id"
    assert int.from_bytes(memory[start + 61_440 :][:8], "little") == after.fields[PID]
