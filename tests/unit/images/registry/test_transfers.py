from __future__ import annotations

import threading
from typing import Any

import pytest

from mldeploy_jupyter.images.registry.transfers import Progress, megabytes, remaining, run_parallel


def test_progress_says_bytes_and_the_time_left() -> None:
    now, events = [0.0], list[tuple[str, dict[str, Any]]]()

    def emit(stage: str, kind: str, text: str = "", **data: Any) -> None:
        events.append((text, data))

    progress = Progress(emit, "push", "pushing", 100_000_000, clock=lambda: now[0])
    for second in range(1, 4):
        progress.add(10_000_000)
        now[0] = float(second)
        progress.tick()
        progress.tick()  # too early for another event
    assert [text for text, _ in events] == [
        "pushing: 10.0 MB of 100.0 MB, 9 s left",
        "pushing: 20.0 MB of 100.0 MB, 8 s left",
        "pushing: 30.0 MB of 100.0 MB, 7 s left",
    ]
    assert events[-1][1] == {"fraction": 0.3, "bytes": 30_000_000, "total_bytes": 100_000_000, "seconds_left": 7.0}
    progress.skip(70_000_000)
    now[0] = 4.0
    progress.tick()
    assert events[-1][1]["fraction"] == 1.0


def test_results_keep_their_order() -> None:
    assert run_parallel(range(20), lambda n: n * n, tick=lambda: None, stop=lambda: None) == [n * n for n in range(20)]
    assert run_parallel([], lambda n: n, tick=lambda: None, stop=lambda: None) == []


def test_first_error_stops_the_others() -> None:
    stopped = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            raise ValueError("the first")
        stopped.wait(10)

    with pytest.raises(ValueError, match="the first"):
        run_parallel(range(4), work, tick=lambda: None, stop=stopped.set, workers=2)
    assert stopped.is_set()


def test_sizes_and_durations() -> None:
    assert [megabytes(count) for count in (0, 12, 4_200, 99_999, 100_000, 1_234_567_890)] == [
        "0 kB", "1 kB", "4 kB", "100 kB", "0.1 MB", "1,234.6 MB",
    ]  # fmt: skip
    assert [remaining(seconds) for seconds in (0.1, 59.6, 89, 180)] == ["1 s", "60 s", "89 s", "3 min"]
