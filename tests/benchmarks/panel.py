"""How fast the panel is, and what it costs: in a real JupyterLab, in headless Chromium.

    python -m tests.benchmarks.panel [--rounds 5] [--panels 10] [--idle 60] [--trace]

1. `%load_ext` in a kernel that has run a cell, and what it imports.
2. From the request to run `%deploy` to its panel with the stages in it, by the page's clock: the first panel of a
   kernel, both when all cells are run at once and when a person takes a moment, and later ones.
3. From an event in a journal to the page that shows it, with `--panels` panels of deployments that run.
4. Messages a minute and processor time while as many panels of live services are idle: seen, then hidden.
5. The size of the module, and the kernel's memory after 100,000 log lines.

Every figure is a median, with the least and the greatest value. Page, kernel and server share the machine's processors
with whatever else runs, so the load average is in the first line. With `--trace` the steps between kernel and page are
printed for each panel of part 2. Chromium has no way to hide a headless page, so part 4 tells the page that it is
hidden: timers go on as before, and what the page costs then is an upper limit.
"""

from __future__ import annotations

import argparse
import compileall
import gzip
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.browser.lab import Lab, find_chromium, open_browser
from tests.browser.notebook import Notebook, make_notebook
from tests.integration.notebook.conftest import end_services
from tests.polling import wait_until

PACKAGE = Path(__file__).parents[2] / "mldeploy_jupyter"
STATIC = PACKAGE / "notebook" / "static"
HEAVY = ("ipywidgets", "anywidget", "plotly", "docker", "kubernetes", "requests")  # that `%load_ext` must not import
LATER = 3  # panels of a kernel after its first, in each round
STAMPS = 20  # events of each deployment in part 3
STAMP_SECONDS = 1.5  # between two of them; the deployments take turns
LINES = 100_000

# Notes when a message of a kernel leaves or arrives: a cell of the notebook, so it imports nothing of ours.
RECORDER = """\
import json, time
from pathlib import Path
_messages = []
def _record():
    session = get_ipython().kernel.session
    send, deserialize = session.send, session.deserialize
    def note(way, kind, content):
        body = content.get("data") if isinstance(content, dict) and kind == "comm_msg" else None
        body = body.get("content") if isinstance(body, dict) else None
        detail = body.get("topic") or body.get("name") or body.get("kind") or "" if isinstance(body, dict) else ""
        _messages.append((time.time(), way, kind, str(detail)))
    def sending(stream, message, content=None, *more, **options):
        note("out", message if isinstance(message, str) else message["msg_type"],
             message.get("content") if isinstance(message, dict) else content)
        return send(stream, message, content, *more, **options)
    def receiving(*given, **options):
        message = deserialize(*given, **options)
        note("in", message["header"]["msg_type"], message.get("content"))
        return message
    session.send, session.deserialize = sending, receiving
_record()
"""

LOAD = """\
import sys
_before, _begin, _cpu = set(sys.modules), time.perf_counter(), time.thread_time()
%load_ext mldeploy_jupyter
_taken = [time.perf_counter() - _begin, time.thread_time() - _cpu]
_new = sorted(set(sys.modules) - _before)
Path("loaded.json").write_text(json.dumps([*_taken, _new]));
"""

SAVE = 'Path("messages.json").write_text(json.dumps(_messages));'

# A service that waits for a gate in init(); until then it prints numbers, each of which becomes an event.
SCRIPT = f"""\
%%entry_script --no-check
import os, sys, time

def init():
    name, gate, numbers = os.environ["NAME"], os.environ["GATE"], iter(range({STAMPS}))
    for number in range(int(os.environ["LINES"])):
        print(f"line {{number}} of the log, which is about as long as a line of a log is in the middle, with numbers")
    at = time.time() + float(os.environ["DELAY"])
    while gate and not os.path.exists(gate):
        time.sleep(0.02)
        if time.time() >= at and (number := next(numbers, None)) is not None:
            print(f"stamp-{{name}}-{{number}}", flush=True)
            at += {STAMP_SECONDS}

def run(data):
    return {{"answer": 1}}
"""

# Installed before the page's own scripts: the moments, in seconds since 1970, at which something was in the page.
OBSERVER = """\
window.bench = { stamps: {}, panels: new Map(), hidden: false };
window.bench.now = () => (performance.timeOrigin + performance.now()) / 1000;
const bench = window.bench;
const look = () => {
    for (const panel of document.querySelectorAll('.mld-Panel')) {
        const name = panel.querySelector('.mld-Head-name')?.textContent;
        const seen = bench.panels.get(name) ?? bench.panels.set(name, { there: bench.now() }).get(name);
        if (!seen.drawn && panel.querySelector('.mld-Stage')) {
            seen.drawn = bench.now();
            requestAnimationFrame(() => setTimeout(() => (seen.painted = bench.now())));
        }
    }
};
const read = (text) => {
    for (const [stamp] of text?.matchAll(/stamp-[a-z]+-\\w+-\\d+/g) ?? []) bench.stamps[stamp] ??= bench.now();
};
addEventListener('DOMContentLoaded', () => new MutationObserver((records) => {
    for (const { target, addedNodes, type } of records) {
        if (type === 'characterData') read(target.textContent);
        for (const node of addedNodes) read(node.textContent);
    }
    look();
}).observe(document.body, { childList: true, subtree: true, characterData: true }));
const visibility = { visibilityState: () => (bench.hidden ? 'hidden' : 'visible'), hidden: () => bench.hidden };
for (const name in visibility) Object.defineProperty(document, name, { get: visibility[name], configurable: true });
"""


@dataclass
class Table:
    """Rows of figures; the greatest value that is wanted stands beside each that has one."""

    rows: list[tuple[str, list[float], float | None, str]] = field(default_factory=list)

    def add(self, name: str, values: Sequence[float], wanted: float | None = None, unit: str = "s") -> None:
        self.rows.append((name, list(values), wanted, unit))
        print(self._line(*self.rows[-1], width=58), flush=True)

    def text(self) -> str:
        width = max(len(name) for name, *_ in self.rows)
        return "\n".join(self._line(*row, width=width) for row in self.rows)

    @property
    def missed(self) -> int:
        return sum(wanted is not None and statistics.median(values) > wanted for _, values, wanted, _ in self.rows)

    @staticmethod
    def _line(name: str, values: list[float], wanted: float | None, unit: str, width: int) -> str:
        middle = statistics.median(values)
        spread = f"{min(values):.4g} to {max(values):.4g}, n={len(values)}" if len(values) > 1 else ""
        verdict = "" if wanted is None else f"<= {wanted:g}  {'met' if middle <= wanted else 'MISSED'}"
        return f"{name:<{width}}  {middle:8.4g} {unit:<9} {spread:<26} {verdict}".rstrip()


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="kernels of parts 1 and 2")
    parser.add_argument("--panels", type=int, default=10)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds of each half of part 4")
    parser.add_argument("--only", default="12345", help="the parts to run, such as 12")
    parser.add_argument("--trace", action="store_true", help="print every step of part 2")
    options = parser.parse_args()
    table = Table()
    head = [describe_machine()]
    # A user's package has its bytecode, from pip or from the import before; without it every import compiles.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(PACKAGE, quiet=1)
    with tempfile.TemporaryDirectory() as place:
        os.environ["MLDEPLOY_HOME"] = os.environ["MLDEPLOY_CACHE"] = place
        with open_lab(Path(place)) as (lab, browser):
            head.append(f"Chromium {browser_version(browser)}")
            if set(options.only) & set("12"):
                measure_starts(lab, browser, table, options.rounds, options.trace)
            if set(options.only) & set("34"):
                measure_running(lab, browser, table, options.panels, options.idle)
            if "5" in options.only:
                measure_memory(lab, browser, table)
    print("\n" + ", ".join(head) + f", load after {os.getloadavg()[0]:.1f}")
    print(table.text())
    print(f"{table.missed} missed" if table.missed else "all met")
    return int(table.missed > 0)


def measure_starts(lab: Lab, browser: Any, table: Table, rounds: int, trace: bool) -> None:
    """Parts 1 and 2: every round has two kernels, one whose cells run at once and one whose user takes a moment."""
    loads: list[tuple[float, float]] = []
    imported: set[str] = set()
    times: dict[str, list[float]] = {}
    for number in range(rounds):
        for kind, pause in (("first, cells run at once", 0.0), ("first, after a moment", 3.0)):
            made = open_notebook(lab, browser, SCRIPT)
            wall, cpu, new = load(lab, made)
            loads.append((wall, cpu))
            imported |= set(new)
            time.sleep(pause)
            made.run(1)
            for turn in range(1 + LATER):
                name = f"s{number}{'ab'[pause > 0]}{turn}"
                for step, seconds in deploy(lab, made, name, trace).items():
                    times.setdefault(f"{'later' if turn else kind}: {step}", []).append(seconds)
            close_notebook(lab, made)
    table.add("%load_ext, warm kernel", [wall for wall, _ in loads], 0.1)
    table.add("%load_ext, warm kernel: processor time", [cpu for _, cpu in loads])
    heavy = sorted({name.split(".")[0] for name in imported} & set(HEAVY))
    table.add(f"%load_ext: heavy packages imported{': ' if heavy else ''}{', '.join(heavy)}", [len(heavy)], 0, "")
    limits = {"first, cells run at once": 0.5, "first, after a moment": 0.5, "later": 0.15}
    for kind, limit in limits.items():
        for step in ("panel with its stages on the page", "painted", "shown by the kernel", "cell ended"):
            wanted = limit if step.startswith("panel") else None
            table.add(f"%deploy, {kind}: {step}", times[f"{kind}: {step}"], wanted)


def deploy(lab: Lab, made: Notebook, name: str, trace: bool) -> dict[str, float]:
    """Deploys a service that is live at once. Returns the seconds from the request until each step."""
    settled(made)
    skew = clock_skew(made)
    index = int(made.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length"))
    made.write(index, f"%deploy {name} --env NAME={name} --env GATE= --env DELAY=0 --env LINES=0")
    begin = made.page.evaluate(
        """(index) => {
            const { content } = window.jupyterapp.shell.currentWidget;
            content.activeCellIndex = index;
            const begin = window.bench.now();
            window.jupyterapp.commands.execute('notebook:run-cell');
            return begin;
        }""",
        index,
    )
    panel = made.panel(index)
    made.wait_for_state(panel, "live", "failed")
    seen = made.page.evaluate("(name) => window.bench.panels.get(name)", name)
    wait_until(lambda: not made.is_running(index))
    made.run_code(SAVE)
    messages = json.loads((lab.folder / "messages.json").read_text())
    start = begin - skew
    steps = [(at - start, way, kind, detail) for at, way, kind, detail in messages if at > start - 0.01]
    if trace:
        print(f"\n{name}: there {seen['there'] - begin:.3f}, drawn {seen['drawn'] - begin:.3f}")
        for at, way, kind, detail in steps[:60]:
            print(f"  {at:7.3f} {way:<4} {kind:<16} {detail}")
    shown = next(at for at, way, kind, _ in steps if (way, kind) == ("out", "display_data"))
    ended = next(at for at, way, kind, _ in steps if (way, kind) == ("out", "execute_reply"))
    return {
        "panel with its stages on the page": seen["drawn"] - begin,
        "painted": seen["painted"] - begin,
        "shown by the kernel": shown,
        "cell ended": ended,
    }


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
        made.run_code(f"%deploy {name} --env NAME={name}-{number} --env GATE={gate} --env DELAY={delay} --env LINES=0")
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


def measure_memory(lab: Lab, browser: Any, table: Table) -> None:
    """Part 5: the bytes that the page loads, and what a long log leaves in the kernel."""
    for name in ("panel.js", "panel.css"):
        content = (STATIC / name).read_bytes()
        table.add(f"{name}, minified", [len(content) / 1000], 100 if name == "panel.js" else None, "kB")
        table.add(f"{name}, compressed", [len(gzip.compress(content)) / 1000], None, "kB")
    made = open_notebook(lab, browser, SCRIPT)
    load(lab, made)
    made.run(1)
    pid = kernel_pid(lab)
    deploy(lab, made, "short", False)
    before = memory(pid)
    made.run_code(f"%deploy long --env NAME=long --env GATE= --env DELAY=0 --env LINES={LINES}")
    made.wait_for_state(made.panel().nth(1), "live", seconds=300)
    time.sleep(3)
    table.add(f"kernel's memory before {LINES:,} log lines (PSS)", [before], None, "MB")
    table.add("the same, more after them", [memory(pid) - before], None, "MB")
    made.run_code("%services long")
    made.wait_for_state(made.panel().nth(2), "live")
    time.sleep(15)
    table.add("the same, more after a second panel has all of them", [memory(pid) - before], None, "MB")
    close_notebook(lab, made)


# -- notebook and kernel


@contextmanager
def open_lab(place: Path) -> Iterator[tuple[Lab, Any]]:
    if find_chromium() is None:
        sys.exit(
            "error: Chromium is missing\ncause: the panel is measured in a browser\nhint: apt-get install chromium"
        )
    lab = Lab(place / "lab")
    try:
        with open_browser(place / "profile", viewport={"width": 1280, "height": 1600}) as browser:
            browser.add_init_script(OBSERVER)
            yield lab, browser
    finally:
        lab.close()
        end_services(lab.folder)


def open_notebook(lab: Lab, browser: Any, text: str) -> Notebook:
    """A notebook whose first cell is the recorder and whose second is `text`, with its own page and kernel."""
    made = make_notebook(lab, browser.new_page(), RECORDER, text)
    made.run(0)
    made.run_code("[each for each in range(3)]")
    return made


def close_notebook(lab: Lab, made: Notebook) -> None:
    made.shut_down_kernel()
    made.page.close()
    wait_until(lambda: not lab.api("kernels"))
    end_services(lab.folder)


def load(lab: Lab, made: Notebook) -> tuple[float, float, list[str]]:
    """Loads the magics. Returns its seconds, those of the processor, and the modules that it imported."""
    made.run_code(LOAD)
    wall, cpu, new = json.loads((lab.folder / "loaded.json").read_text())
    return wall, cpu, new


def kernel_pid(lab: Lab) -> int:
    """The process of the only kernel that runs."""
    (kernel,) = lab.api("kernels")
    needle = kernel["id"].encode()
    (found,) = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if needle in read_bytes(path)]
    return found


def settled(made: Notebook) -> None:
    """Waits until the page has nothing to do for a moment."""
    made.page.evaluate("() => new Promise((done) => requestIdleCallback(() => setTimeout(done, 300)))")


def set_hidden(made: Notebook, hidden: bool) -> None:
    made.page.evaluate(
        "(hidden) => { window.bench.hidden = hidden; document.dispatchEvent(new Event('visibilitychange')); }", hidden
    )


def clock_skew(made: Notebook) -> float:
    """Seconds by which the page's clock is ahead of this program's."""
    found = []
    for _ in range(7):
        before = time.time()
        page = made.page.evaluate("() => window.bench.now()")
        after = time.time()
        found.append((after - before, page - (before + after) / 2))
    return float(min(found)[1])


def stamps_of_journals(folder: Path) -> dict[str, float]:
    """When each stamp was written, by the journals of the workspace."""
    found = {}
    for path in (folder / ".mldeploy").rglob("*.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            event = json.loads(line)
            if str(event.get("text", "")).startswith("stamp-"):
                found[event["text"].strip()] = datetime.fromisoformat(event["time"]).astimezone(UTC).timestamp()
    return found


# -- machine


def describe_machine() -> str:
    versions = [
        f"{name} {version(name)}" for name in ("jupyterlab", "ipykernel", "anywidget", "ipywidgets", "playwright")
    ]
    now, system = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), f"Linux {platform.release()}"
    return ", ".join(
        [now, f"{os.cpu_count()} cores", system, f"Python {platform.python_version()}", *versions,
         f"load before {os.getloadavg()[0]:.1f}"]
    )  # fmt: skip


def browser_version(browser: Any) -> str:
    page = browser.new_page()
    found = str(page.evaluate("() => navigator.userAgent.match(/Chrome\\/([\\d.]+)/)?.[1]"))
    page.close()
    return found


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    sys.exit(main())
