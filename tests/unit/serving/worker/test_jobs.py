"""The result of a batch: which of its requests still wait for their answers."""

from __future__ import annotations

from typing import Any, cast

from mldeploy_jupyter.serving.worker.jobs import BatchResult, Job


def test_requests_that_were_answered_at_a_deadline_are_left_out_with_their_bodies() -> None:
    jobs = [Job(None, cast(Any, None)) for _ in range(3)]
    result = BatchResult(jobs, [b"0", b"1", b"2"], (0.0, 0.0, 0.0))
    result.drop_expired()
    assert result.jobs == jobs and result.bodies == [b"0", b"1", b"2"]
    jobs[1].expired = True
    result.drop_expired()
    assert result.jobs == [jobs[0], jobs[2]] and result.bodies == [b"0", b"2"] and result.size == 3
