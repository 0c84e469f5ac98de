"""An image run with `docker run` and nothing else: a read-only root, few rights, signals, and its first process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.integration.images.builds import Build
from tests.polling import wait_until

pytestmark = [pytest.mark.engines, pytest.mark.slow]

SCRIPT = """
import os, subprocess
def init():
    open("beside", "w").write("written")
    print("loaded as", os.getuid())
def run(data):
    # The shell ends at once, so its child loses its parent; the container's first process is the one that reaps it.
    pid = int(subprocess.check_output(["sh", "-c", "sleep 0.1 >/dev/null & echo $!"]))
    return {"orphan": pid, "parent": os.getppid(), "beside": open("beside").read()}
"""
PROGRAM = ["/opt/venv/bin/python", "-P", "-m", "mldeploy_serving.container"]


@pytest.fixture(params=["", "1000650000:0"], ids=["own user", "any user"])
def container(build: Build, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A container with a read-only root. Its state is in memory, and so is lost when it ends."""
    built = build.make(build.content(script=SCRIPT, models={"churn": b"weights"}))
    container = build.engine.client.containers.run(
        built.id,
        detach=True,
        read_only=True,
        user=request.param or None,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        tmpfs={"/tmp": "", "/var/lib/mldeploy": ""},
        ports={"5001/tcp": ("127.0.0.1", 0)},
    )
    yield container
    container.remove(force=True)


def url(container: Any) -> str:
    container.reload()
    return f"http://127.0.0.1:{container.ports['5001/tcp'][0]['HostPort']}"


def await_ready(container: Any) -> str:
    def is_ready() -> bool:
        container.reload()
        assert container.status in ("created", "running"), container.logs().decode()
        return bool(container.exec_run([*PROGRAM, "health"]).exit_code == 0)

    wait_until(is_ready, 90, lambda: container.logs().decode())
    return url(container)


def test_a_packaged_image_serves_stops_and_starts_again(container: Any) -> None:
    address = await_ready(container)
    answer = requests.post(f"{address}/score", json=1, timeout=60).json()
    assert answer["parent"] == 1 and answer["beside"] == "written"
    gone = ["sh", "-c", f"test ! -e /proc/{answer['orphan']}"]
    wait_until(lambda: container.exec_run(gone).exit_code == 0, what="the orphan to be reaped")

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in container.logs().decode().splitlines()]

    wait_until(lambda: any(line["logger"] == "access" for line in lines()), 60, lambda: str(lines()))
    messages = [line["message"] for line in lines()]
    user = container.attrs["Config"]["User"].partition(":")[0]
    assert f"loaded as {user}" in messages and "no keys were given: requests need none" in messages
    status = container.exec_run(["sh", "-c", f'echo \'{{"op": "status"}}\' | {" ".join(PROGRAM)} control'])
    assert json.loads(status.output)["state"] == "Live"
    container.stop(timeout=60)
    container.reload()
    assert container.attrs["State"]["ExitCode"] == 0  # it ended by itself, and was not killed after the minute
    container.start()
    assert requests.get(f"{await_ready(container)}/ready", timeout=60).status_code == 200
