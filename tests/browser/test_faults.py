"""Hostile and abundant output on its whole way: a script prints it, the journal and the log keep it, and the page, the
command line and the saved notebook show it as text.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.browser.conftest import SCRIPT
from tests.browser.lab import Lab
from tests.browser.notebook import Notebook, make_notebook
from tests.browser.proxy import Proxy
from tests.polling import wait_until

pytestmark = pytest.mark.slow

Make = Callable[..., Notebook]

XSS = (
    "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"
    "<svg onload=alert(1)></svg></td></table><a href='javascript:alert(1)'>a</a>{{7*7}} &lt;b&gt;"
)
UNICODE = "nul \0 bell \a del \x7f rtl abc\u202egnp.exe ls a\u2028b\u2029c nel \x85d sur \udc80 zwj 👩‍👧 ü"
ESCAPES = (
    "\x1b]0;stolen\x07A \x1b]8;;http://example.invalid\x07B\x1b]8;;\x07 \x1b]52;c;cHduZWQ=\x07C \x1b[2J\x1b[HD "
    "\x9d0;stolen\x9cE \x1bPq\x1b\\F \x1b[31mred\x1b[0m \x1b[999DG"
)

SCRIPT_OF_ALL = f"""\
%%entry_script score.py --no-check
import os, sys

XSS, UNICODE, ESCAPES = {XSS!r}, {UNICODE!r}, {ESCAPES!r}

def init():
    print("XSS", XSS)
    print("UNICODE", UNICODE)
    for byte in "bytes é€ ".encode():
        sys.stdout.buffer.write(bytes([byte]))
        sys.stdout.buffer.flush()
    sys.stdout.buffer.write(b"\\xff\\xfe end\\n")
    print("ESCAPES", ESCAPES)
    for percent in range(0, 101, 5):
        sys.stderr.write(f"\\r{{percent}} %|{{'#' * percent}}")
        sys.stderr.flush()
    sys.stderr.write("\\n")
    print("a part", end="", flush=True)
    print(" and the rest")
    print("LONG", "x" * 60_000, "end of LONG")

def run(data):
    return {{"answer": [XSS, ESCAPES]}}
"""

SCRIPT_THAT_FAILS = f"""\
%%entry_script hostile.py --no-check
def init():
    raise ValueError({XSS!r} + {ESCAPES!r} + {UNICODE!r})

def run(data): return data
"""

# Lines of a log, by number, at several places of its scrolling: only those in view are drawn.
LINES = """async (log) => {
    const lines = {};
    const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    for (let top = 0; ; top += 150) {
        log.scrollTop = top;
        await frame();
        for (const line of log.querySelectorAll('.mld-Line')) lines[line.dataset.n] = line.lastChild.textContent;
        if (top + log.clientHeight >= log.scrollHeight) break;
    }
    return Object.values(lines);
}"""

# What a terminal obeys; ESC is looked at with the colours taken out.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]")


@pytest.fixture(scope="module")
def hostile(lab: Lab, browser: Any) -> Iterator[Notebook]:
    """A notebook with a live service and a failed deployment whose every text is hostile."""
    page = browser.new_page()
    made = make_notebook(
        lab, page, "%load_ext mldeploy_jupyter", SCRIPT_OF_ALL, "%deploy hostile", SCRIPT_THAT_FAILS,
        "%deploy hostile-failed --script hostile.py",
    )  # fmt: skip
    for index in range(5):
        made.run(index)
    made.wait_for_state(made.panel(2), "live")
    made.wait_for_state(made.panel(4), "failed")
    yield made
    page.close()


def lines_of(made: Notebook) -> list[str]:
    """The lines of the deployment's log. What init() prints last may come when the next stage has begun.

    A stage that was just chosen is drawn a moment later: two looks in a row must have seen the same.
    """
    panel = made.panel(2)
    summary = panel.locator(".mld-Summary").first
    if summary.get_attribute("aria-expanded") == "false":
        summary.click()
    log = panel.get_by_role("log", name="Deployment log")

    def read() -> list[str]:
        found: list[str] = []
        for stage in ("rollout", "probe", "switch"):
            panel.get_by_label("Show stage").select_option(stage)
            found += log.evaluate(LINES)
        return found

    def read_twice() -> list[str]:
        first = read()
        return first if any(text.startswith("LONG") for text in first) and first == read() else []

    return wait_until(read_twice, 60, lambda: str(read())[:2000])


def command_line(made: Notebook, *words: str) -> str:
    """What the program writes to a terminal."""
    terminal, end = pty.openpty()
    program = str(Path(sys.executable).with_name("mldeploy"))
    process = subprocess.Popen([program, *words], cwd=made.lab.folder, stdin=end, stdout=end, stderr=end)
    os.close(end)
    chunks: list[bytes] = []
    with os.fdopen(terminal, "rb", 0) as file, contextlib.suppress(OSError):  # how Linux says that it is closed
        while chunk := file.read(65_536):
            chunks.append(chunk)
    assert process.wait(60) == 0
    return b"".join(chunks).decode("utf-8").replace("\r\n", "\n")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_fault_26_unicode_is_shown_and_hides_nothing(hostile: Notebook) -> None:
    lines = lines_of(hostile)
    (line,) = [text for text in lines if text.startswith("UNICODE")]
    assert (
        "nul ␀ bell ␇ del ␡" in line
        and "abc<U+202E>gnp.exe" in line
        and "a<U+2028>b<U+2029>c" in line
        and "\\udc80" in line
        and "ü" in line
    )
    assert any("bytes é€ \\xff\\xfe end" in text for text in lines), lines
    printed = command_line(hostile, "service", "get-logs", "hostile")
    assert "bytes é€ \\xff\\xfe end" in printed and "abc\\u202egnp.exe" in printed and "\\x00" in printed


def test_fault_31_no_output_becomes_part_of_the_page(hostile: Notebook) -> None:
    """Neither a log, nor the cause of a failure, nor an answer; nor in the HTML that the notebook saves."""
    made = hostile
    panel = made.panel(2)
    panel.get_by_role("tab", name="Test").click()
    panel.get_by_role("button", name="Send request").click()
    panel.get_by_text("200 OK").wait_for(timeout=60_000)
    made.panel(4).get_by_text("<img src=x").first.wait_for(timeout=60_000)  # of the cause
    assert any(text.startswith("XSS <img src=x onerror") for text in lines_of(made))
    panel.get_by_role("tab", name="Logs").click()
    panel.get_by_role("log", name="Service log").get_by_text("XSS <img").first.wait_for()
    for shown in (panel, made.panel(4)):
        assert shown.locator("img, script, a[href^='javascript'], [onerror], [onload]").count() == 0
    assert "pwned" not in made.page.title()
    tags = Tags()
    for cell in made.save()["cells"]:
        for output in cell.get("outputs", []):
            tags.feed("".join(output.get("data", {}).get("text/html", "")))
    assert tags.tags <= {"div", "p", "table", "thead", "tbody", "tr", "th", "td", "strong", "code", "br", "pre"}
    assert not {name for name in tags.attributes if name.startswith("on")}


def test_fault_32_of_escape_sequences_only_colours_act(hostile: Notebook) -> None:
    (line,) = [text for text in lines_of(hostile) if text.startswith("ESCAPES")]
    assert line == "ESCAPES A B C D E F red G"
    printed = command_line(hostile, "service", "get-logs", "hostile")
    assert "ESCAPES A B C D E F" in printed
    assert "stolen" not in printed and "cHduZWQ" not in printed
    others = [command_line(hostile, "service", *words) for words in (("show", "hostile-failed"), ("list",))]
    saved = [
        "".join(text)
        for cell in hostile.save()["cells"]
        for output in cell.get("outputs", [])
        for text in (output.get("text", ""), *output.get("data", {}).values())
    ]
    for text in (printed, *others, *saved):
        assert not CONTROLS.search(re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\n", "")), ascii(text)
    assert "stolen" not in hostile.page.title()


def test_fault_34_a_bar_is_one_line_and_a_long_line_is_cut_in_the_page_only(hostile: Notebook) -> None:
    lines = lines_of(hostile)
    assert [text for text in lines if "%|" in text] == ["100 %|" + "#" * 100]
    assert "a part and the rest" in lines and "a part" not in lines
    (long,) = [text for text in lines if text.startswith("LONG")]
    assert len(long) < 8300 and long.endswith(f"{60_017 - 8192:,} more characters in the download"), long[-80:]
    panel = hostile.panel(2)
    with hostile.page.expect_download() as download:
        panel.get_by_role("group", name="Log controls").first.get_by_label("Download the whole log").click()
    whole = Path(download.value.path()).read_text("utf-8")
    assert "x" * 60_000 + " end of LONG" in whole and whole.count("%|") == 1
    printed = command_line(hostile, "service", "get-logs", "hostile")
    assert printed.count("%|") == 1 and "a part and the rest" in printed


FLOOD = """\
%%entry_script score.py --no-check
def init():
    pass

def run(data):
    for number in range(20_000):
        print("flood", number)
    return 1
"""

# How often the rows of the log were drawn, and in how many seconds.
COUNT_DRAWS = """(log) => {
    window.draws = { count: 0, begin: performance.now(), seconds: 0 };
    new MutationObserver(() => {
        window.draws.count += 1;
        window.draws.seconds = (performance.now() - window.draws.begin) / 1000;
    }).observe(log, { childList: true, subtree: true, characterData: true });
}"""


def test_fault_33_a_flood_is_drawn_five_times_a_second_and_counted(notebook: Make) -> None:
    made = notebook(FLOOD, "%deploy flood --wait", "import json\nfor _ in range(3): service.run(json.dumps(1))")
    made.write(2, "service = %deploy flood --wait")
    made.run(1)
    made.run(2)
    panel = made.panel(2)
    made.wait_for_state(panel, "live")
    panel.get_by_role("tab", name="Logs").click()
    log = panel.get_by_role("log", name="Service log")
    log.evaluate(COUNT_DRAWS)
    made.run(3, wait=False)
    wait_until(lambda: log.get_by_text("flood 19999", exact=True).count() and not made.is_running(3), 120)
    draws = made.page.evaluate("() => window.draws")
    assert draws["count"] <= 5 * 2 * draws["seconds"] + 10, draws  # lines, and where they are scrolled to
    # Another view of the same log gets its end, and is told how much is not there.
    other = made.run_code("%services flood")
    made.panel(other).get_by_role("tab", name="Logs").click()
    dropped = made.panel(other).locator(".mld-Log-dropped")
    wait_until(
        lambda: re.search(r"55,0\d\d earlier lines only in the download", dropped.inner_text()), 30, dropped.inner_text
    )
    with made.page.expect_download() as download:
        made.panel(other).get_by_label("Download the whole log").last.click()
    lines = Path(download.value.path()).read_text("utf-8").splitlines()
    assert sum("] flood " in line or " flood " in line for line in lines) == 60_000


def test_fault_2_a_lost_connection_and_a_reopened_notebook_show_all_of_it(
    notebook: Make, lab: Lab, browser: Any, page: Any, tmp_path: Path
) -> None:
    gate, second = tmp_path / "gate", tmp_path / "second"
    script = SCRIPT.format(gate=str(gate)).replace(
        '    print("loading the model")\n',
        f'    print("loading the model")\n    while not os.path.exists({str(second)!r}):\n        time.sleep(0.02)\n'
        '    print("written while nobody was connected")\n',
    )
    proxy = Proxy(lab.port)
    behind: Any = SimpleNamespace(url=proxy.url, folder=lab.folder)
    made = make_notebook(behind, page, "%load_ext mldeploy_jupyter", script, "%deploy reconnected")
    for index in range(3):
        made.run(index)
    made.wait_for_state(made.panel(2), "deploying")
    panel = made.panel(2)
    wait_until(lambda: "loading the model" in panel.inner_text())
    proxy.cut()
    second.touch()
    journals = lab.folder / ".mldeploy" / "deployments"
    wait_until(lambda: any("nobody was connected" in path.read_text() for path in journals.glob("*/events.jsonl")))
    assert "nobody was connected" not in panel.inner_text()
    proxy.mend()
    wait_until(lambda: "nobody was connected" in panel.inner_text(), 120)
    assert panel.get_by_role("log").inner_text().count("loading the model") == 1
    made.save()
    page.goto("about:blank")
    proxy.close()
    gate.touch()
    again = Notebook(lab, browser.new_page(), made.name).open()
    at = again.run_code("%services reconnected")
    again.wait_for_state(again.panel(at), "live")
    again.panel(at).locator(".mld-Summary").first.click()
    again.panel(at).get_by_label("Show stage").select_option("rollout")
    log = again.panel(at).get_by_role("log", name="Deployment log")
    for text in ("loading the model", "nobody was connected"):
        log.get_by_text(text).first.wait_for()
    again.save()
    again.page.close()
    opened = Notebook(lab, browser.new_page(), made.name).open()  # as it was saved, with its kernel
    opened.wait_for_state(opened.panel(at), "live")
    opened.page.close()
