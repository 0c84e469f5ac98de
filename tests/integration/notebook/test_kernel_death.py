"""The kernel's death ends no deployment and no service: both are found again from a new kernel."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from mldeploy_jupyter.core.files import read_json_if_valid
from mldeploy_jupyter.core.journal.journal import STAGES, read_events
from tests.polling import wait_until

from .conftest import SCRIPT, Kernel

WAITS_FOR_FILE = SCRIPT.replace(
    "def init():\n", "def init():\n    import time\n    while not os.path.exists(GATE):\n        time.sleep(0.05)\n"
)


def test_a_deployment_goes_on_when_the_kernels_process_group_is_killed(
    start: Callable[[], Kernel], folder: Path
) -> None:
    gate = folder / "gate"
    script = f"GATE = {str(gate)!r}\n" + WAITS_FOR_FILE
    (folder / "factor.json").write_text('{"factor": 3}')
    first = start()
    first.ok("%load_ext mldeploy_jupyter")
    first.ok("%register factor factor.json")
    first.ok(f"%%entry_script --no-check\n{script}")
    began = first.ok("%deploy factor")
    assert "deploying to this machine" in next(iter(began.displays.values()))[-1]
    journal = wait_until(lambda: list(folder.glob(".mldeploy/deployments/*/events.jsonl")))[0]
    wait_until(lambda: any(event.stage == "rollout" for event in read_events(journal)))

    first.kill_group()
    assert not any(event.kind == "state" and event.data["state"] == "live" for event in read_events(journal))
    gate.touch()  # init() continues only now, after the kernel is gone

    second = start()
    second.ok("%load_ext mldeploy_jupyter")
    answer = second.ok('%score factor {"value": 5}')
    assert answer.result == "{'answer': 15}"
    _assert_whole_timeline(second)


def test_a_live_service_outlives_the_kernels_process_group(prepared: Kernel, start: Callable[[], Kernel]) -> None:
    prepared.ok("%deploy factor --wait")
    before = prepared.ok("%services factor").result
    prepared.kill_group()

    second = start()
    second.ok("%load_ext mldeploy_jupyter")
    assert "factor" in second.ok("%services").result
    assert second.ok("%services factor").result == before
    assert second.ok('%score factor {"value": 7}').result == "{'answer': 21}"
    _assert_whole_timeline(second)


def test_a_deployment_outlives_the_stop_of_the_jupyter_server(
    start: Callable[[], Kernel], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = folder / "gate"
    (folder / "factor.json").write_text('{"factor": 3}')
    with _jupyter_server(folder, monkeypatch) as (server, first, kernel_pid):
        first.ok("%load_ext mldeploy_jupyter")
        first.ok("%register factor factor.json")
        first.ok(f"%%entry_script --no-check\nGATE = {str(gate)!r}\n{WAITS_FOR_FILE}")
        first.ok("%deploy factor")
        journal = wait_until(lambda: list(folder.glob(".mldeploy/deployments/*/events.jsonl")))[0]
        wait_until(lambda: any(event.stage == "rollout" for event in read_events(journal)))
        first.client.stop_channels()
        server.terminate()
        server.wait(60)
        wait_until(lambda: not _runs(kernel_pid))
    assert not any(event.kind == "state" and event.data["state"] == "live" for event in read_events(journal))
    gate.touch()

    second = start()
    second.ok("%load_ext mldeploy_jupyter")
    assert second.ok('%score factor {"value": 5}').result == "{'answer': 15}"
    _assert_whole_timeline(second)


@contextmanager
def _jupyter_server(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[subprocess.Popen[bytes], Kernel, int]]:
    """A real Jupyter server with one kernel: the server's process, the kernel, and its process id."""
    runtime = folder / "runtime"
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(runtime))
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += ["--ServerApp.port=0", "--IdentityProvider.token=secret", f"--ServerApp.root_dir={folder}"]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        (about,) = wait_until(lambda: list(runtime.glob("jpserver-*.json")))
        port = wait_until(lambda: (read_json_if_valid(about) or {}).get("port"))  # it may be half written
        session = requests.Session()
        session.trust_env = False
        url = f"http://127.0.0.1:{port}/api/kernels"
        headers = {"Authorization": "token secret"}
        wait_until(lambda: _answers(session, url, headers))
        with session.post(url, headers=headers, json={"name": "python3"}, timeout=60) as answer:
            kernel_id = answer.json()["id"]
        session.close()
        kernel = Kernel(folder, str(runtime / f"kernel-{kernel_id}.json"))
        kernel_pid = int(kernel.ok("import os; os.getpid()").result)
        yield server, kernel, kernel_pid
    finally:
        server.kill()
        server.wait(60)


def _answers(session: requests.Session, url: str, headers: dict[str, str]) -> bool:
    try:
        with session.get(url, headers=headers, timeout=60) as answer:
            return answer.status_code == 200
    except requests.RequestException:
        return False


def _runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _assert_whole_timeline(kernel: Kernel) -> None:
    """The new kernel shows every stage from the first event on, and where the service is."""
    shown = kernel.ok("%services factor")
    text = next(iter(shown.displays.values()))[-1]
    titles = [title for stage, title in STAGES.items() if stage not in ("image", "push")]
    for title in titles:
        assert f"✓ {title}" in text, text
    assert "Live at http://127.0.0.1:" in text
    assert "<table>" in "".join(shown.html)
