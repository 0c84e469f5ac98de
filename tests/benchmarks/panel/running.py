"""Parts 3 and 4: many panels of deployments that run, then of services that are idle."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.panel.machine import processor_seconds
from tests.benchmarks.panel.notebook import (
    clock_skew,
    close_notebook,
    kernel_pid,
    load,
    open_notebook,
    set_hidden,
    settled,
)
from tests.benchmarks.panel.scripts import SAVE, SCRIPT, STAMP_SECONDS, STAMPS
from tests.benchmarks.panel.table import Table
from tests.browser.lab import Lab
from tests.browser.notebook import Notebook
from tests.polling import wait_until


def measure_running(lab: Lab, browser: Any, table: Table, panels: int, idle: float) -> None:
    """Parts 3 and 4: the same panels, first of deployments that run, then of services that are idle."""
    gate = lab.folder / "gate"
    made = open_notebook(lab, browser, SCRIPT)
    load(lab, made)
    meter = Meter(made, kernel_pid(lab))
    time.sleep(5)  # what is imported ahead of the first panel
    settled(made)
    nothing = cost(made, meter, min(idle, 30.0))
    made.run(1)
    names = [f"run{chr(97 + number)}x" for number in range(panels)]
    for number, name in enumerate(names):
        delay = panels * 1.5 + number * STAMP_SECONDS / panels  # until all panels are open
        made.run_code(f"%deploy {name} --env NAME={name}-{number} --env GATE={gate} --env DELAY={delay}")
        made.wait_for_state(made.panel().nth(number), "deploying")
    wanted = {f"stamp-{name}-{number}-{turn}" for number, name in enumerate(names) for turn in range(STAMPS)}
    seen: dict[str, float] = {}

    def all_seen() -> bool:
        seen.update(made.page.evaluate("() => window.bench.stamps"))
        return wanted <= set(seen)

    wait_until(all_seen, 300, lambda: f"{len(wanted - set(seen))} stamps: {sorted(wanted - set(seen))[:5]}")
    skew = clock_skew(made)
    written = stamps_of_journals(lab.folder)
    table.add(
        f"event in the journal to the page, {panels} panels",
        [seen[each] - skew - written[each] for each in wanted],
        0.3,
    )
    gate.touch()
    for number in range(panels):
        made.wait_for_state(made.panel().nth(number), "live", seconds=180)
    time.sleep(12)  # so that what follows a deployment has ended
    seen_cost = cost(made, meter, idle)
    set_hidden(made, True)
    time.sleep(5)
    hidden_cost = cost(made, meter, idle)
    set_hidden(made, False)
    for kind, found in (("without panels", nothing), ("seen", seen_cost), ("hidden", hidden_cost)):
        where = kind if found is nothing else f"{panels} idle panels, {kind}"
        table.add(f"{where}: messages of comms", [found["comm"]], None, "a minute")
        table.add(f"{where}: all frames of the page's connections", [found["frames"]], None, "a minute")
        table.add(f"{where}: processor time of the kernel", [found["kernel"]], None, "s/minute")
        table.add(f"{where}: processor time of the page's main thread", [found["page"]], None, "s/minute")
    close_notebook(lab, made)


def cost(made: Notebook, meter: Meter, seconds: float) -> dict[str, float]:
    """What the next `seconds` cost, for a minute."""
    before = meter.read()
    made.page.wait_for_timeout(seconds * 1000)  # unlike sleep, it lets Playwright count
    after = meter.read()
    minutes = (after["at"] - before["at"]) / 60
    made.run_code(SAVE)
    messages = json.loads((made.lab.folder / "messages.json").read_text())
    comms = [each for each in messages if each[2].startswith("comm_") and before["at"] <= each[0] <= after["at"]]
    frames = sum(after[way] - before[way] for way in ("received", "sent"))
    return {
        "comm": len(comms) / minutes,
        "frames": frames / minutes,
        **{part: (after[part] - before[part]) / minutes for part in ("kernel", "page")},
    }


def stamps_of_journals(folder: Path) -> dict[str, float]:
    """When each stamp was written, by the journals of the workspace."""
    found = {}
    for path in (folder / ".mldeploy").rglob("*.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            event = json.loads(line)
            if str(event.get("text", "")).startswith("stamp-"):
                found[event["text"].strip()] = datetime.fromisoformat(event["time"]).astimezone(UTC).timestamp()
    return found


class Meter:
    """What kernel and page have cost so far: processor seconds, and frames of the page's connections."""

    def __init__(self, made: Notebook, pid: int) -> None:
        self._pid, self._frames = pid, Counter[str]()
        self._devtools = made.page.context.new_cdp_session(made.page)
        self._devtools.send("Network.enable")
        self._devtools.send("Performance.enable", {"timeDomain": "threadTicks"})  # of the processor, not of the clock
        for way in ("Received", "Sent"):
            self._devtools.on(f"Network.webSocketFrame{way}", lambda _, way=way: self._frames.update([way]))

    def read(self) -> dict[str, float]:
        metrics = self._devtools.send("Performance.getMetrics")["metrics"]
        found = {each["name"]: float(each["value"]) for each in metrics}
        return {
            "at": time.time(), "kernel": processor_seconds(self._pid), "page": found["TaskDuration"],
            "received": self._frames["Received"], "sent": self._frames["Sent"],
        }  # fmt: skip
