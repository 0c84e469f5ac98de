"""Part 5: a deployment that prints 100,000 lines, and the panel that shows them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mldeploy_jupyter import Workspace
from mldeploy_jupyter.core.journal.journal import Journal
from mldeploy_jupyter.core.process_identity import identify_process
from mldeploy_jupyter.core.records import DeploymentRecord, RevisionRecord, ServiceRecord, utc_now
from mldeploy_jupyter.deployment import journal_path
from tests.benchmarks.panel.machine import memory
from tests.benchmarks.panel.notebook import clock_skew, close_notebook, kernel_pid, load, open_notebook, settled
from tests.benchmarks.panel.running import Meter
from tests.benchmarks.panel.scripts import SCRIPT
from tests.benchmarks.panel.starts import deploy
from tests.benchmarks.panel.table import Table
from tests.browser.lab import Lab
from tests.browser.notebook import Notebook
from tests.polling import wait_until

SERVICE = "long"
LINES = 100_000
LINE = "line {} of the log, which is about as long as a line of a log is in the middle, with numbers"
MEGABYTES = 40  # that such a log may leave in the kernel

# Notes the longest gap between two frames, and when the last line is drawn in the last log of the page.
WATCH_FRAMES = """\
(text) => {
    const seen = (window.bench.log = { gap: 0, shown: 0, begun: window.bench.now(), frames: 0 });
    let last = performance.now();
    const next = () => {
        const now = performance.now();
        seen.gap = Math.max(seen.gap, (now - last) / 1000);
        seen.frames += 1;
        last = now;
        const log = [...document.querySelectorAll('.mld-Log-rows')].at(-1);
        if (log?.lastElementChild?.lastElementChild?.textContent.includes(text)) seen.shown = window.bench.now();
        else requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
}
"""

# Goes to places all over the last log; the greatest time in ms until the rows there are drawn.
SCROLL = """\
async (places) => {
    const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const body = [...document.querySelectorAll('.mld-Log-body')].at(-1);
    let longest = 0;
    for (let at = 0; at < places; at++) {
        const begin = performance.now();
        body.scrollTop = (body.scrollHeight - body.clientHeight) * ((at * 7 + 3) % places) / places;
        for (;;) {
            await painted();
            const seen = body.getBoundingClientRect();
            const rows = body.querySelector('.mld-Log-rows > div').getBoundingClientRect();
            if (rows.top <= seen.top && rows.bottom >= seen.bottom) break;
        }
        longest = Math.max(longest, performance.now() - begin);
    }
    return longest;
}
"""

# Types a text into the search of the last log, a letter at a time; the greatest time in ms until the count is drawn.
SEARCH = """\
async (text) => {
    const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const log = [...document.querySelectorAll('.mld-Log')].at(-1);
    const input = log.querySelector('input[type=search]');
    const type = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
    let longest = 0;
    for (let length = 1; length <= text.length; length++) {
        const begin = performance.now();
        type.call(input, text.slice(0, length));
        input.dispatchEvent(new Event('input', { bubbles: true }));
        await painted();
        longest = Math.max(longest, performance.now() - begin);
    }
    return [longest, log.querySelector('.mld-Search-count').textContent];
}
"""


def measure_log(lab: Lab, browser: Any, table: Table) -> None:
    """The log as it is written, then as a second panel gets it."""
    made = open_notebook(lab, browser, SCRIPT)
    load(lab, made)
    made.run(1)
    deploy(lab, made, "short", False)
    with running_deployment(lab.folder) as journal:
        measure_lines(made, kernel_pid(lab), journal, table)
    close_notebook(lab, made)


def measure_lines(made: Notebook, pid: int, journal: Journal, table: Table) -> None:
    made.wait_for_state(made.panel(made.run_code(f"%services {SERVICE}")), "deploying")
    time.sleep(3)
    settled(made)
    skew = clock_skew(made)
    meter = Meter(made, pid)
    before, cost = memory(pid), meter.read()
    watch(made)
    begun = time.time()
    for number in range(LINES):
        journal.write("environment", "log", LINE.format(number))
    written = time.time()
    seen = wait_for_last_line(made)
    table.add(f"{LINES:,} lines: written to the journal", [written - begun])
    table.add(
        f"{LINES:,} lines: from the first in the journal to the last on the page", [seen["shown"] - skew - begun], 6
    )
    table.add(f"{LINES:,} lines: longest gap between two frames", [seen["gap"]], 0.6)
    add_cost(table, f"{LINES:,} lines", cost, meter.read())
    time.sleep(3)
    table.add("kernel's memory before the lines (PSS)", [before], None, "MB")
    table.add("kernel's memory, more after them", [memory(pid) - before], MEGABYTES, "MB")
    table.add("the log then: scrolling anywhere, the slowest of 25", [made.page.evaluate(SCROLL, 25)], 100, "ms")
    slowest, found = made.page.evaluate(SEARCH, "line 77")
    table.add(f"the log then: a letter of a search, the slowest of 7 ({found})", [slowest], 100, "ms")
    settled(made)
    cost = meter.read()
    begun = watch(made)
    made.run_code(f"%services {SERVICE}")
    seen = wait_for_last_line(made)
    table.add("a second panel: from %services to the last line on the page", [seen["shown"] - begun], 6)
    table.add("a second panel: longest gap between two frames", [seen["gap"]], 0.6)
    add_cost(table, "a second panel", cost, meter.read())
    time.sleep(3)
    table.add("kernel's memory, more after a second panel", [memory(pid) - before], MEGABYTES, "MB")


@contextmanager
def running_deployment(folder: Path) -> Iterator[Journal]:
    """A deployment that this process carries out, as its records and lease say, so that it may write its journal."""
    place = Workspace.get(path=str(folder)).folder
    store, runner, now = place.open_store(), identify_process(), utc_now()
    store.add_deployment(DeploymentRecord("d-long", SERVICE, created_time=now, runner=runner))
    revision = store.add_revision(RevisionRecord(SERVICE, deployment_id="d-long", created_time=now))
    store.save_service(ServiceRecord(SERVICE, workspace_id=place.id, state="Deploying", deployment_id="d-long"))
    store.leases.acquire(SERVICE, "d-long", 3600.0, runner)
    journal = Journal(journal_path(place, "d-long"))
    stages = ["check", "bundle", "environment", "rollout", "probe", "switch"]
    journal.write(
        "", "state", state="running", service=SERVICE, target="local", revision=revision.number, operation="deploy",
        serving=0, stages=stages,
    )  # fmt: skip
    journal.write("environment", "started")
    try:
        yield journal
    finally:
        journal.write("", "state", state="cancelled")
        journal.close()
        store.update_deployment("d-long", state="cancelled", finished_time=utc_now())
        store.leases.release(SERVICE, "d-long")


def add_cost(table: Table, name: str, before: dict[str, float], after: dict[str, float]) -> None:
    table.add(f"{name}: processor time of the kernel", [after["kernel"] - before["kernel"]])
    table.add(f"{name}: processor time of the page", [after["page"] - before["page"]])


def watch(made: Notebook) -> float:
    """Begins to watch frames. Returns the time by the page's clock."""
    made.page.evaluate(WATCH_FRAMES, f"line {LINES - 1} of the log")
    return float(made.page.evaluate("() => window.bench.log.begun"))


def wait_for_last_line(made: Notebook) -> dict[str, float]:
    read = "() => window.bench.log"
    wait_until(lambda: made.page.evaluate(read)["shown"], 180, lambda: str(made.page.evaluate(read)))
    return dict(made.page.evaluate(read))
