from __future__ import annotations

import math
from pathlib import Path

from mldeploy_jupyter.latency.recording import RECORD, Outcome, Phase, read_samples, sample_dtype

VALUES = (0.5, 0.6, 0.75, 3, 12, 200, Outcome.OK, Phase.MEASURED, 70000, 4, 0.1, 0.2, 0.3, 0.4, 0.5, math.nan)


def test_the_file_and_the_numpy_type_agree(tmp_path: Path) -> None:
    file = tmp_path / "samples.bin"
    file.write_bytes(RECORD.pack(*VALUES))
    (sample,) = read_samples(file)
    assert sample_dtype().itemsize == RECORD.size == 64
    assert sample["planned"] == 0.5 and sample["sent"] == 0.6 and sample["done"] == 0.75
    assert [sample[name] for name in ("service", "revision", "status", "outcome", "phase", "block", "step")] == [
        3, 12, 200, 0, 2, 70000, 4,
    ]  # fmt: skip
    parts = [float(sample[name]) for name in ("queue", "parse", "run", "serialise", "lag")]
    assert [round(part, 6) for part in parts] == [0.1, 0.2, 0.3, 0.4, 0.5] and math.isnan(sample["connect"])


def test_a_file_is_read_while_it_grows(tmp_path: Path) -> None:
    file = tmp_path / "samples.bin"
    assert len(read_samples(file)) == 0
    file.write_bytes(RECORD.pack(*VALUES) * 3 + b"torn")
    assert len(read_samples(file)) == 3
    assert len(read_samples(file, skip=2)) == 1
    assert len(read_samples(file, skip=9)) == 0
    samples = read_samples(file)
    samples["block"] = 1  # an array of one's own
