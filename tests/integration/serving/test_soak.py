"""A minute at half of capacity leaves memory, descriptors and threads flat. `benchmarks/soak.py` runs longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import soak
from tests.benchmarks.serving.site import site


@pytest.mark.slow
def test_a_minute_at_half_of_capacity_leaves_memory_and_descriptors_flat(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        soaked = soak.soak(place, 60)
    print(soak.report(soaked))
    assert soaked.failures == []  # a busy machine may have requests refused
    assert soaked.said.requests >= 0.9 * soaked.capacity / 2 * 60
    assert len(soaked.samples) >= 15
    assert [str(trend) for trend in soaked.trends if not trend.flat] == []
    assert soaked.left <= soak.LEFT
