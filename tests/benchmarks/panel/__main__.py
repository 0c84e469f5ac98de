"""How fast the panel is, and what it costs: in a real JupyterLab, in headless Chromium.

    python -m tests.benchmarks.panel [--rounds 5] [--panels 10] [--idle 60] [--only 12] [--trace]

1. `%load_ext` in a kernel that has run a cell, and what it imports.
2. From the request to run `%deploy` to its panel with the stages in it, by the page's clock: the first panel of a
   kernel, when its cell waits behind the one that loads the magics, when a person runs one cell after the other, and
   when she takes a moment; and later ones.
3. From an event in a journal to the page that shows it, with `--panels` panels of deployments that run.
4. Messages a minute and processor time while as many panels of live services are idle: seen, then hidden.
5. A deployment that prints 100,000 lines: until the last is in its panel's log, the longest gap between two frames
   meanwhile, what scrolling and search take then, and the kernel's memory.
6. The size of the module.
7. JupyterLab's start, server and page, with the extension and without it.

Every figure is a median, with the least and the greatest value. Page, kernel and server share the machine's processors
with whatever else runs, so the load average is in the first line. With `--trace` the steps between kernel and page are
printed for each panel of part 2. Chromium has no way to hide a headless page, so part 4 tells the page that it is
hidden: timers continue as before, and what the page costs then is an upper limit.
"""

from __future__ import annotations

import argparse
import compileall
import gzip
import os
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.panel.lab_start import measure_lab_start
from tests.benchmarks.panel.long_log import measure_log
from tests.benchmarks.panel.machine import browser_version, describe_machine
from tests.benchmarks.panel.notebook import open_lab
from tests.benchmarks.panel.running import measure_running
from tests.benchmarks.panel.starts import measure_starts
from tests.benchmarks.panel.table import Table

PACKAGE = Path(__file__).parents[3] / "mldeploy_jupyter"
STATIC = PACKAGE / "notebook" / "static"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="kernels of parts 1 and 2, starts of part 7")
    parser.add_argument("--panels", type=int, default=10)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds of each half of part 4")
    parser.add_argument("--only", default="1234567", help="the parts to run, such as 12")
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
                measure_log(lab, browser, table)
            if "6" in options.only:
                measure_size(table)
            if "7" in options.only:
                measure_lab_start(Path(place), browser, table, options.rounds)
    print("\n" + ", ".join(head) + f", load after {os.getloadavg()[0]:.1f}")
    print(table.text())
    print(f"{table.missed} missed" if table.missed else "all met")
    return int(table.missed > 0)


def measure_size(table: Table) -> None:
    """Part 6: the bytes that the page loads."""
    for name, limit in (("panel.js", 100), ("panel.css", None)):
        content = (STATIC / name).read_bytes()
        table.add(f"{name}, minified", [len(content) / 1000], limit, "kB")
        table.add(f"{name}, compressed", [len(gzip.compress(content)) / 1000], None, "kB")


if __name__ == "__main__":
    sys.exit(main())
