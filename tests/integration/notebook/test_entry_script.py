"""`%%entry_script` in a real kernel: the check of a script, its warnings and errors."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.polling import wait_until

from .conftest import SCRIPT, Kernel
from .support import last_text, no_traceback


def test_a_failing_script_names_the_line_of_the_cell_as_it_was_run(prepared: Kernel) -> None:
    broken = SCRIPT.replace('["factor"]', '["faktor"]')
    failed = no_traceback(prepared.run(f"\n# a comment before\n%%entry_script\n{broken}".lstrip("\n")))
    assert "%%entry_script" in failed or "cell" in failed
    first = no_traceback(prepared.run(f"%%entry_script\n{broken}"))
    assert '>    7          factor = json.load(file)["faktor"]' in first
    assert " line 7, run at " in first
    number = first.partition("cell [")[2].partition("]")[0]

    # The same text is deployed after the cell was changed: its error still names the cell it came from.
    prepared.ok(f"%%entry_script --no-check broken.py\n{broken}")
    prepared.ok("%%entry_script --no-check broken.py\n# one line more\n" + SCRIPT)
    prepared.ok(f"%%entry_script --no-check other.py\n{broken}")
    prepared.ok("%deploy factor --script other.py")
    deployed = no_traceback(prepared.run('%score factor {"value": 1}'))
    assert "line 7, run at " in deployed and "faktor" in deployed
    assert number.isdigit()


def test_a_script_that_failed_its_check_is_deployed_only_by_its_name(prepared: Kernel, folder: Path) -> None:
    broken = SCRIPT.replace('["factor"]', '["faktor"]')
    no_traceback(prepared.run(f"%%entry_script broken.py\n{broken}"))
    refused = no_traceback(prepared.run("%deploy factor")).splitlines()
    assert refused[0] == "error: broken.py failed its check"
    assert refused[1].startswith("cause: KeyError: 'faktor' (cell ") and "line 7" in refused[1]
    assert refused[2] == "hint: correct the cell and run it, or name another script: %deploy factor --script FILE"
    assert "there is no service" in no_traceback(prepared.run("%logs factor"))
    prepared.ok("%deploy factor --script score.py --wait")

    # The same file, broken later: neither magic takes it, and what serves continues.
    no_traceback(prepared.run(f"%%entry_script\n{broken}"))
    assert "score.py failed its check" in no_traceback(prepared.run("%update factor --wait"))
    assert "score.py failed its check" in no_traceback(prepared.run("%deploy factor --wait"))
    assert "revision 1" in last_text(prepared.ok("%services factor"))
    named = prepared.run("%deploy factor --script score.py --wait")
    assert "faktor" in no_traceback(named)  # the engine's own check
    # Corrected in an editor, it is another script; a cell that checks well clears it too.
    (folder / "score.py").write_text(SCRIPT.replace('"answer": factor', '"answer": 10 + factor'))
    prepared.ok("%update factor --wait")  # --script has named the file
    assert prepared.ok('%score factor {"value": 2}').result == "{'answer': 16}"
    prepared.ok(f"%%entry_script score.py\n{SCRIPT}")
    prepared.ok("%deploy factor --wait")
    assert prepared.ok('%score factor {"value": 2}').result == "{'answer': 6}"


def test_a_cell_without_a_name_loses_no_script(start: Callable[[], Kernel], folder: Path, snapshot: Any) -> None:
    (folder / "score.py").write_text("# by hand\n")
    (folder / "factor.json").write_text('{"factor": 3}')
    for name in ("first.ipynb", "second.ipynb"):
        (folder / name).touch()
    first, second = start(), start()
    for kernel, name in ((first, "first.ipynb"), (second, "second.ipynb")):
        kernel.ok("%load_ext mldeploy_jupyter")
        kernel.ok(f"__session__ = {str(folder / name)!r}")
    first.ok("%register factor factor.json")
    options = "--no-check"

    def refused(kernel: Kernel, text: str) -> str:
        before = (folder / "score.py").read_bytes()
        shown = no_traceback(kernel.run(f"%%entry_script {options}\n{text}"))
        assert (folder / "score.py").read_bytes() == before
        return re.sub(r"(?<=cell )\[\d+\]|\d\d:\d\d", "#", shown)

    by_hand = refused(first, SCRIPT)
    first.ok(f"%%entry_script {options} score.py\n{SCRIPT}")
    first.ok(f"%%entry_script {options}\n# better\n{SCRIPT}")  # its own cell has what was there
    first.ok("%deploy factor --wait --no-probe")
    of_another = refused(second, SCRIPT)
    (folder / "score.py").write_text("# in an editor\n")
    in_an_editor = refused(first, SCRIPT)
    assert "\n\n".join((by_hand, of_another, in_an_editor)) == snapshot
    # A notebook that was renamed is no other one.
    first.ok(f"%%entry_script {options} score.py\n{SCRIPT}")
    (folder / "first.ipynb").unlink()
    second.ok(f"%%entry_script {options}\n# renamed\n{SCRIPT}")


def test_an_edit_without_a_name_goes_into_the_file_of_its_service(prepared: Kernel, folder: Path) -> None:
    prepared.ok("%deploy factor --wait")
    prepared.ok("%%entry_script second.py\n" + SCRIPT)
    prepared.ok("%deploy second -m factor --wait")
    prepared.ok("%%entry_script --update second\n" + SCRIPT.replace('"answer": factor', '"answer": 10 + factor'))
    assert (folder / "score.py").read_text() == SCRIPT and "10 + " in (folder / "second.py").read_text()
    assert prepared.ok('%score second {"value": 2}').result == "{'answer': 16}"


def test_a_second_cell_without_a_name_says_whose_script_was_there(prepared: Kernel, folder: Path) -> None:
    prepared.client.session.metadata["cellId"] = "one"
    prepared.ok(f"%%entry_script --no-check\n# one\n{SCRIPT}")
    prepared.ok("%deploy factor --wait")
    again = prepared.ok(f"%%entry_script --no-check\n# one again\n{SCRIPT}")
    prepared.ok("%update factor --wait")
    prepared.client.session.metadata["cellId"] = "two"
    second = prepared.ok(f"%%entry_script --no-check\n# two\n{SCRIPT}")
    assert "was the script of" not in again.stream
    assert re.search(
        r"score.py was the script of factor, written by cell \[\d+\].* A name keeps both: %%entry_script", second.stream
    )


def test_a_script_that_another_notebook_has_written_is_refused(prepared: Kernel, folder: Path) -> None:
    other = Kernel(folder)
    try:
        other.ok("%load_ext mldeploy_jupyter")
        other.ok("%%entry_script -m factor\n" + SCRIPT.replace('"answer": factor', '"answer": 10 + factor'))
    finally:
        other.close()
    refused = no_traceback(prepared.run("%deploy factor --wait")).splitlines()
    assert refused[0] == "error: score.py is not what this notebook checked"
    assert re.fullmatch(r"cause: it was written by cell \[\d+\].*, run at ..:.., and then by cell \[2\].*", refused[1])
    assert refused[2] == ("hint: run the cell again, or deploy the file as it is: %deploy factor --script score.py")
    prepared.ok("%deploy factor --script score.py -m factor --wait")
    assert prepared.ok('%score factor {"value": 2}').result == "{'answer': 16}"
    prepared.ok("%update factor --wait")  # the file was named, so it is the editor's now
    prepared.ok(f"%%entry_script score.py\n{SCRIPT}")
    (folder / "score.py").write_text("# from an editor\n" + SCRIPT)
    assert "and then by another program, at " in no_traceback(prepared.run("%update factor --wait"))
    prepared.ok(f"%%entry_script score.py\n{SCRIPT}")
    prepared.ok("%deploy factor --wait")
    assert prepared.ok('%score factor {"value": 2}').result == "{'answer': 6}"


def test_a_cell_that_is_run_again_means_the_model_it_was_written_for(prepared: Kernel, folder: Path) -> None:
    (folder / "other.bin").write_text("x")
    prepared.ok("%register other other.bin")
    again = prepared.ok(f"%%entry_script\n{SCRIPT}")
    assert "model factor:1" in again.stream
    assert "model factor (those of the last %%entry_script)" in prepared.ok("%deploy factor --wait").stream
    # Another text in the same file is another script, and means what was registered last.
    second = prepared.run("%%entry_script\n" + "# for another model\n" + SCRIPT)
    assert "the model folder holds other.bin; the registered model factor has factor.json" in no_traceback(second)
    prepared.ok(f"%%entry_script\n{SCRIPT}")
    # A model that was named once and does not exist is forgotten with its cell.
    assert "there is no model nope" in no_traceback(prepared.run(f"%%entry_script -m nope\n{SCRIPT}"))
    prepared.ok(f"%%entry_script\n{SCRIPT}")
    # What is registered after it is meant.
    prepared.ok("%register third other.bin")
    first = no_traceback(prepared.run(f"%%entry_script new.py\n# new\n{SCRIPT}"))
    assert "hint: name that model: %%entry_script new.py -m factor" in first
    assert "new.py failed its check" in no_traceback(prepared.run("%deploy factor"))
    prepared.ok("%deploy factor -m factor --wait")  # with another model than the one that failed
    prepared.ok(f"%%entry_script new.py --no-check -m factor\n# new\n{SCRIPT}")
    assert "model factor (those of the last %%entry_script)" in prepared.ok("%deploy second --wait").stream


def test_a_syntax_error_is_shown_in_the_cell_and_the_file_is_kept(kernel: Kernel, folder: Path) -> None:
    text = no_traceback(kernel.run("%%entry_script\ndef init():\n    pass\ndef run(data)\n    return 1\n"))
    assert ">    4  def run(data)" in text and "cell [" in text and "line 4" in text
    assert (folder / "score.py").read_text().splitlines()[2] == "def run(data)"


def test_names_of_the_notebook_give_a_warning_and_then_an_error(kernel: Kernel) -> None:
    kernel.ok("threshold = 3")
    script = "def init():\n    pass\n\ndef run(data):\n    return threshold\n"
    refused = no_traceback(kernel.run(f"%%entry_script\n{script}"))
    assert "the script uses threshold, which exists only in the notebook" in refused and "line 6" in refused
    ran = kernel.ok("%%entry_script --no-check\n" + script.replace("return", "return data or"))
    assert "warning: line 6: threshold exists only in this notebook" in ran.stream
    late = kernel.run("%%entry_script\ndef init():\n    print(threshold)\n\ndef run(data):\n    return 1\n")
    assert "threshold" in no_traceback(late) and ">    3      print(threshold)" in late.error


def test_an_integer_sample_and_swallowed_exceptions_give_warnings(kernel: Kernel) -> None:
    script = """\
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1, 2]])))
def run(data):
    try:
        return data.tolist()
    except Exception as error:
        return str(error)
"""
    ran = kernel.ok(f"%%entry_script\n{script}")
    assert "integer" in ran.stream and "422" in ran.stream
    assert "line 14: run() answers with the text of an exception" in ran.stream
    assert "ok: score.py (init " in ran.stream and "sample [[1, 2]] -> [[1, 2]]" in ran.stream


def test_a_crash_and_a_hanging_init_name_their_line(kernel: Kernel) -> None:
    run = "\ndef run(data):\n    return 1\n"
    crash = "import os, signal\ndef init():\n    x = 1\n    os.kill(os.getpid(), signal.SIGSEGV)\n" + run
    killed = no_traceback(kernel.run(f"%%entry_script\n{crash}"))
    assert "killed by SIGSEGV" in killed and ">    5      os.kill(os.getpid(), signal.SIGSEGV)" in killed
    hang = "import time\ndef init():\n    x = 1\n    time.sleep(600)\n" + run
    hung = no_traceback(kernel.run(f"%%entry_script --init-timeout 0.5\n{hang}"))
    assert "init() took longer than 0.5 s" in hung and ">    5      time.sleep(600)" in hung
    ended = no_traceback(kernel.run("%%entry_script\nimport os\ndef init():\n    os._exit(3)\n" + run))
    assert "exited with code 3" in ended


def test_the_check_runs_in_the_environment_it_is_given_and_ships_helpers(kernel: Kernel, folder: Path) -> None:
    (folder / "helper.py").write_text("def twice(value):\n    return 2 * value\n")
    script = "import sys, helper\ndef init():\n    print(sys.version_info[:2], helper.twice(21))\n"
    ran = kernel.ok(f"%%entry_script\n{script}def run(data):\n    return 1\n")
    assert f"  | {sys.version_info[:2]} 42" in ran.stream and "ok: score.py (init " in ran.stream
    missing = no_traceback(kernel.run("%%entry_script --model nosuch\ndef init(): pass\ndef run(data): return 1\n"))
    assert "there is no model nosuch" in missing


def test_an_interrupt_of_the_check_ends_its_process(kernel: Kernel, folder: Path) -> None:
    mark = folder / "pid"
    script = (
        f"import os, time\ndef init():\n    open({str(mark)!r}, 'w').write(str(os.getpid()))\n    time.sleep(600)\n"
    )
    script += "def run(data):\n    return 1\n"

    def interrupt() -> None:
        wait_until(mark.exists)
        os.kill(kernel.pid, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    ran = kernel.run(f"%%entry_script\n{script}")
    thread.join()
    assert "was interrupted" in no_traceback(ran)
    pid = int(mark.read_text())
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text())
    assert not list(folder.glob(".mldeploy/check-*"))


LABELS = """import os

def init():
    global labels
    labels = open(os.path.join(os.path.dirname(__file__), "labels.txt")).read().split()

def run(data): return labels
"""


def test_a_script_with_files_beside_it_is_checked_deployed_and_edited(kernel: Kernel, folder: Path) -> None:
    (folder / "src").mkdir()
    (folder / "src" / "labels.txt").write_text("a b")
    failed = no_traceback(kernel.run(f"%%entry_script src/lab.py\n{LABELS}"))
    assert "error: the file labels.txt is not in the service" in failed
    assert "hint: ship its folder, too: %%entry_script src/lab.py --source-directory src" in failed
    kernel.ok(f"%%entry_script src/lab.py --source-directory src\n{LABELS}")
    kernel.ok("%deploy labels --wait")
    assert kernel.ok("%score labels 1").result == "['a', 'b']"
    (folder / "src" / "labels.txt").write_text("c")
    kernel.ok(f"%%entry_script src/lab.py --update labels\n{LABELS}")
    assert kernel.ok("%score labels 1").result == "['c']"
    (folder / "src" / "labels.txt").write_text("d")
    kernel.ok(f"%%entry_script src/lab.py --source-directory src\n# edited\n{LABELS}")
    kernel.ok("%update labels --wait")
    assert kernel.ok("%score labels 1").result == "['d']"
    relative = LABELS.replace('os.path.join(os.path.dirname(__file__), "labels.txt")', '"labels.txt"')
    failed = no_traceback(kernel.run(f"%%entry_script src/lab.py --source-directory src\n{relative}"))
    assert "error: the file labels.txt is not in the folder where a service runs" in failed
