"""The kernel's death ends no deployment and no service: both are found again from a new kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mldeploy_jupyter.core.events import STAGES, read_events

from .conftest import SCRIPT, Kernel, wait_until

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
    gate.touch()  # init() goes on only now, after the kernel is gone

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


def _assert_whole_timeline(kernel: Kernel) -> None:
    """The new kernel shows every stage from the first event on, and where the service is."""
    shown = kernel.ok("%services factor")
    text = next(iter(shown.displays.values()))[-1]
    titles = [title for stage, title in STAGES.items() if stage != "push"]
    for title in titles:
        assert f"✓ {title}" in text, text
    assert "Live at http://127.0.0.1:" in text
    assert "<table>" in "".join(shown.html)
