"""Following the log of a service in a container."""

from __future__ import annotations

from mldeploy_jupyter.targets.docker.log import STOPPED_SECONDS, StillRunning


def test_a_log_that_is_followed_survives_a_moment_without_a_container():
    now, runs = [0.0], [True]
    going_on = StillRunning(lambda: runs[0], lambda: now[0])
    assert going_on()
    runs[0], now[0] = False, 2.0
    assert going_on()
    runs[0], now[0] = True, 3.5  # the engine has started it again
    assert going_on()
    runs[0], now[0] = False, 3.5 + STOPPED_SECONDS + 1
    assert not going_on()
