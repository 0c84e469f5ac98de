"""Which worker accepts: one that is free at once, one in a call only when no other can answer sooner."""

from __future__ import annotations

from typing import Any, cast

import pytest

from mldeploy_jupyter.serving.ipc.scoreboard import (
    ACCEPTED_AT,
    ACCEPTING,
    IN_FLIGHT,
    LEAVING,
    PID,
    READY,
    REVISION,
    UNFINISHED,
    Scoreboard,
    Slot,
)
from mldeploy_jupyter.serving.worker.connection_sharing import (
    ARRIVAL,
    ARRIVAL_PATIENCE,
    DISTRUST,
    LONG,
    PATIENCE,
    ConnectionSharing,
)


class Pair:
    """Two workers at 100 s: `sharing` of the first one, whose call continues for `full_for`, and the other's slot."""

    def __init__(self, full_for: float = 1.0) -> None:
        self.board = Scoreboard()
        self.now, self.full_for = 100.0, full_for
        self.own, self.other = self.add(), self.add()
        self.sharing = ConnectionSharing(self.board, self.own, cast(Any, self), lambda: self.now)

    def add(self, revision: int = 1) -> Slot:
        slot = self.board.slot(self.board.assign_slot())
        slot.fields[PID], slot.fields[REVISION], slot.fields[READY] = 1, revision, 1
        slot.state[ACCEPTING] = 1
        return slot

    def leaves(self, waited: float = 0.0) -> bool:
        return self.sharing.leaves_connection(waited)


def test_a_worker_without_a_request_accepts_at_once() -> None:
    pair = Pair()
    assert not pair.leaves()
    pair.other.fields[IN_FLIGHT] = 1
    assert not pair.leaves()


def test_a_worker_in_a_call_leaves_connections_to_a_free_one_for_a_while() -> None:
    pair = Pair(full_for=0.0001)  # however long its call is
    pair.own.fields[IN_FLIGHT] = 1
    assert pair.leaves() and pair.leaves(PATIENCE - 0.001)
    assert not pair.leaves(PATIENCE)


@pytest.mark.parametrize("field", [PID, READY, REVISION])
def test_nothing_is_left_to_a_worker_that_is_gone_or_not_ready_or_serves_another_revision(field: int) -> None:
    pair = Pair()
    pair.own.fields[IN_FLIGHT] = 1
    pair.other.fields[field] = 0
    assert not pair.leaves()


@pytest.mark.parametrize(("field", "value"), [(ACCEPTING, 0), (UNFINISHED, 1)])
def test_nothing_is_left_to_a_worker_that_accepts_none_or_may_hang(field: int, value: int) -> None:
    pair = Pair()
    pair.own.fields[IN_FLIGHT] = 1
    pair.other.state[field] = value
    assert not pair.leaves()


def test_a_free_worker_that_was_waited_for_in_vain_is_not_waited_for_again_at_once() -> None:
    pair = Pair()
    pair.own.fields[IN_FLIGHT] = 1
    assert not pair.leaves(PATIENCE)
    assert not pair.leaves()
    pair.now += DISTRUST
    assert pair.leaves()


def test_a_call_that_outlasts_its_request_is_one_too() -> None:
    pair = Pair()
    pair.own.state[UNFINISHED] = 1
    assert pair.leaves()
    pair.other.fields[IN_FLIGHT] = 1
    assert pair.leaves()  # it may hang, so it is the last to accept
    pair.other.state[UNFINISHED] = 1
    assert not pair.leaves()  # both may hang: somebody has to answer


def test_two_connections_at_once_go_to_two_free_workers() -> None:
    pair = Pair()
    pair.sharing.record_accepted()
    assert pair.leaves() and not pair.leaves(ARRIVAL_PATIENCE)
    pair.other.state[ACCEPTED_AT] = pair.own.state[ACCEPTED_AT]
    assert not pair.leaves()  # both expect a request
    pair.own.fields[IN_FLIGHT] = 1
    assert pair.leaves()  # the other's may not come
    pair.own.fields[IN_FLIGHT] = pair.other.state[ACCEPTED_AT] = 0
    pair.now += ARRIVAL + 0.001
    assert not pair.leaves()


def test_a_worker_in_a_long_call_waits_for_one_that_leaves_nothing_to_others() -> None:
    pair = Pair(full_for=LONG / 2)
    pair.own.fields[IN_FLIGHT] = pair.other.fields[IN_FLIGHT] = 1
    assert not pair.leaves() and pair.own.state[LEAVING] == 0
    pair.full_for = LONG
    assert pair.leaves(PATIENCE - 0.001) and pair.own.state[LEAVING] == (pair.now - LONG) * 1e6
    assert not pair.leaves(PATIENCE) and pair.own.state[LEAVING] == 0


def test_of_workers_in_long_calls_the_one_with_the_youngest_call_accepts() -> None:
    pair = Pair(full_for=1.0)
    pair.own.fields[IN_FLIGHT] = pair.other.fields[IN_FLIGHT] = 1
    pair.other.state[LEAVING] = int((pair.now - 0.5) * 1e6)
    assert pair.leaves()
    pair.other.state[LEAVING] = int((pair.now - 1.5) * 1e6)
    assert not pair.leaves()


def test_a_script_with_a_thread_to_spare_accepts_while_no_worker_is_free() -> None:
    pair = Pair(full_for=0.0)
    pair.own.fields[IN_FLIGHT] = pair.other.fields[IN_FLIGHT] = 1
    assert not pair.leaves()
