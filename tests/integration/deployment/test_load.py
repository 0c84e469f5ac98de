"""Constant load through ten updates: no failed request.

Fifteen seconds by default; MLDEPLOY_LOAD_SECONDS=60 is the full length. The load is open loop: every request has its
time, and is sent then whether or not the one before was slow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from .conftest import Site

SECONDS = float(os.environ.get("MLDEPLOY_LOAD_SECONDS", "15"))
UPDATES = 10
RATE = 80  # requests a second, on four kept and four fresh connections

# A process of its own, so that the updates' work does not slow the load down.
LOAD = """
import json, sys, threading, time
import requests

uri, key, seconds, rate, threads = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), 8
headers = {"Authorization": "Bearer " + key}
done, failures, lock = [], [], threading.Lock()
begin = time.monotonic()

def client(number):
    keep = number % 2 == 0
    session = requests.Session()
    session.trust_env = False
    last, n = 0, 0
    while True:
        due = begin + (n * threads + number) / rate
        n += 1
        if due - begin > seconds:
            return
        time.sleep(max(0, due - time.monotonic()))
        if not keep:
            session = requests.Session()
            session.trust_env = False
        try:
            answer = session.post(uri, json={"n": n}, headers=headers, timeout=30)
            revision = int(answer.headers["x-mldeploy-revision"].split("-")[0])
            said = answer.json()["answer"]
            good = answer.status_code == 200 and said == revision and revision >= last
            last = revision
            problem = None if good else f"{answer.status_code} revision {revision} after {last}: {answer.text[:200]}"
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        with lock:
            done.append(time.monotonic() - due)
            if problem:
                failures.append(problem)

clients = [threading.Thread(target=client, args=(number,)) for number in range(threads)]
[thread.start() for thread in clients]
print("begun", flush=True)
[thread.join() for thread in clients]
done.sort()
print(json.dumps({"requests": len(done), "failures": failures, "median": done[len(done) // 2], "max": done[-1]}))
"""


def test_no_request_fails_while_the_service_is_updated_ten_times(site: Site, tmp_path: Path) -> None:
    service = site.deploy()
    service.wait_for_deployment(timeout_sec=60)
    arguments = [service.scoring_uri, service.get_keys()[0], str(SECONDS), str(RATE)]
    load = subprocess.Popen([sys.executable, "-c", LOAD, *arguments], stdout=subprocess.PIPE, text=True)
    assert load.stdout is not None and load.stdout.readline() == "begun\n"
    begin = time.monotonic()
    for number in range(2, UPDATES + 2):
        while time.monotonic() < begin + (number - 1.5) * SECONDS / UPDATES:
            time.sleep(0.01)
        site.script(number)
        service.reload(wait=True)
        assert service.run({})["answer"] == number
    said = json.loads(load.communicate(timeout=SECONDS + 60)[0])
    print(f"{said['requests']} requests, {len(said['failures'])} failed, "
          f"median {said['median'] * 1000:.1f} ms, slowest {said['max'] * 1000:.0f} ms")  # fmt: skip
    assert said["failures"] == []
    assert said["requests"] >= 0.95 * RATE * SECONDS
    assert service.revision == UPDATES + 1
