"""The log file: rotation by size."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mldeploy_jupyter.serving.log import entry
from mldeploy_jupyter.serving.log.service_log import ServiceLog


def test_the_log_rotates_and_stays_below_its_size(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "service.log"
    log = ServiceLog(path, max_bytes=400)
    for number in range(20):
        log.write(f"line {number} " + "x" * 30)
    files = {file.name: file for file in path.parent.iterdir()}
    assert sorted(files) == ["service.log", "service.log.1", "service.log.2", "service.log.3"]
    assert all(file.stat().st_size <= 400 for file in files.values())
    last = json.loads(path.read_text().splitlines()[-1])
    assert last["message"] == "line 19 " + "x" * 30
    assert (last["logger"], last["level"], last["pid"]) == ("supervisor", "info", os.getpid())
    assert entry.source_of(last) == "supervisor" and entry.text_of(last) == last["message"]
