"""Constant load through ten updates: no failed request.

Fifteen seconds by default; MLDEPLOY_LOAD_SECONDS=60 is the full length. The load is open loop: every request has its
time, and is sent then whether or not the one before was slow.
"""

from __future__ import annotations

import os
import time

from tests.steady_load import SteadyLoad

from .conftest import Site

SECONDS = float(os.environ.get("MLDEPLOY_LOAD_SECONDS", "15"))
UPDATES = 10
RATE = 80  # requests a second, on four kept and four fresh connections


def test_no_request_fails_while_the_service_is_updated_ten_times(site: Site) -> None:
    service = site.deploy()
    service.wait_for_deployment(timeout_sec=240)
    with SteadyLoad(service.scoring_uri, service.get_keys()[0], RATE) as load:
        begin = time.monotonic()
        for number in range(2, UPDATES + 2):
            while time.monotonic() < begin + (number - 1.5) * SECONDS / UPDATES:
                time.sleep(0.01)
            site.script(number)
            service.reload(wait=True)
            assert service.run({})["answer"] == number
            load.wait_for(20)
        while time.monotonic() < begin + SECONDS:
            time.sleep(0.01)
        said = load.end()
    print(f"{said['requests']} requests, {len(said['failures'])} failed, "
          f"median {said['median'] * 1000:.1f} ms, slowest {said['max'] * 1000:.0f} ms")  # fmt: skip
    assert said["failures"] == []
    assert service.revision == UPDATES + 1
