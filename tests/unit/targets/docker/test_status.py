"""Reading the state of a service in a container."""

from __future__ import annotations

from mldeploy_jupyter.targets.docker.status import read_last_exit


def test_why_a_worker_died_is_read_from_the_last_check():
    older = {"Output": 'Live\n{"pid": 1}\n'}
    newer = {"Output": 'Live\n{"code": "killed", "message": "killed", "pid": 7, "time": "t"}\n'}
    assert read_last_exit({"Log": [older, newer]}) == {"code": "killed", "message": "killed", "pid": 7, "time": "t"}
    assert read_last_exit({"Log": [older, {"Output": "Live\n"}]}) is None
    assert read_last_exit({"Log": [{"Output": "{"}]}) is None
    assert read_last_exit({}) is None
