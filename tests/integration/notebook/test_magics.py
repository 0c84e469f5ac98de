"""The magics in a real kernel: what a data scientist types, sees and gets back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from mldeploy_jupyter.core.journal.journal import read_events
from tests.polling import wait_until

from .conftest import SCRIPT, Kernel, Ran

GATED = SCRIPT.replace(
    "def init():\n", "def init():\n    import time\n    while not os.path.exists(GATE):\n        time.sleep(0.02)\n"
)


def gated(folder: Path) -> tuple[str, Path]:
    gate = folder / "gate"
    return f"GATE = {str(gate)!r}\n{GATED}", gate


def last_text(ran: Ran) -> str:
    return next(iter(ran.displays.values()))[-1]


def no_traceback(ran: Ran) -> str:
    """What a refused cell shows, proven to be no traceback and no `error` without its cause."""
    assert ran.status == "error"
    text = ran.error + ran.stream
    assert "Traceback" not in text and "mldeploy_jupyter/" not in text, text
    return text


def test_the_whole_flow(prepared: Kernel, folder: Path) -> None:
    began = prepared.ok("svc = %deploy factor\nsvc.name")
    assert began.result == "'factor'"
    assert "script score.py (the last %%entry_script), model factor:1 (registered last in this session)" in began.stream
    assert prepared.ok('%score factor {"value": 2}').result == "{'answer': 6}"
    assert prepared.ok('%%score factor\n{"value": 4}').result == "{'answer': 12}"
    (folder / "request.json").write_text('{"value": 10}')
    assert prepared.ok("%score factor --data request.json").result == "{'answer': 30}"
    assert prepared.ok("data = {'value': 1}\n%score factor data").result == "{'answer': 3}"
    assert "live on this machine, revision 1" in prepared.ok("svc").result
    assert "factor   Live   1" in prepared.ok("%services").result

    prepared.ok("%%entry_script\n" + SCRIPT.replace('"answer": factor', '"answer": 1000 + factor'))
    prepared.ok("%update factor")
    assert prepared.ok('%score factor {"value": 2}').result == "{'answer': 1006}"
    assert "POST /score 200" in prepared.ok("%logs factor").result
    assert "2 keys, not shown" in prepared.ok("%mldeploy service get-keys factor").result
    assert prepared.ok("keys = %mldeploy service get-keys factor\nkeys[0] == svc.get_keys()[0]").result == "True"

    assert "Deleted factor" in prepared.ok("%delete factor").stream
    assert "No services" in prepared.ok("%services").stream
    assert "there is no service 'factor'" in no_traceback(prepared.run("%logs factor"))


def test_deploy_returns_at_once_and_its_timeline_updates_in_place(kernel: Kernel, folder: Path) -> None:
    script, gate = gated(folder)
    kernel.ok("%register factor factor.json")
    kernel.ok(f"%%entry_script --no-check\n{script}")
    began = kernel.ok("%deploy factor")
    assert began.result == "factor: its state is above"
    (display_id,) = began.displays
    assert "deploying to this machine" in began.displays[display_id][-1]
    assert not gate.exists()

    # A cell that only waits gets the updates of the first cell's display, by its id and not as new output.
    def reached(ran: Ran) -> None:
        if any("● Roll out" in text for text in ran.displays.get(display_id, [])):
            gate.touch()

    watched = kernel.ok("svc = %services factor\nsvc.wait_for_deployment()", on_output=reached, timeout=120)
    assert "Live at http://127.0.0.1:" in watched.displays[display_id][-1]
    keys = kernel.ok("print(*svc.get_keys())").stream.split()  # what a cell shows is saved with the notebook
    assert len(keys) == 2 and watched.html and all(key not in html for html in watched.html for key in keys)
    # The only style is the side of a column, which the pages' own would put to the right.
    pages = [
        html.replace('style="text-align: left"', "").replace('style="text-align: right"', "") for html in watched.html
    ]
    assert all(word not in html for html in pages for word in ("class=", "style=", "<script"))


def test_run_all_twice(prepared: Kernel) -> None:
    prepared.ok("%deploy factor --wait")
    again = prepared.ok("%deploy factor")
    assert "already serves exactly this" in again.stream and not again.displays
    # With a new version of the model the same cells update the service.
    prepared.ok("%register factor factor.json")
    prepared.ok(f"%%entry_script\n{SCRIPT}")
    prepared.ok("%deploy factor --wait")
    assert "revision 2" in prepared.ok("%services factor").result


def test_an_interrupt_ends_the_waiting_only(kernel: Kernel, folder: Path) -> None:
    script, gate = gated(folder)
    kernel.ok("%register factor factor.json")
    kernel.ok(f"%%entry_script --no-check\n{script}")
    sent = threading.Event()

    def interrupt(ran: Ran) -> None:
        if not sent.is_set() and any("● Roll out" in text for texts in ran.displays.values() for text in texts):
            sent.set()
            kernel.manager.interrupt_kernel()

    stopped = kernel.run("%deploy factor --wait", on_output=interrupt)
    assert no_traceback(stopped)
    assert stopped.error.splitlines() == [
        "error: stopped waiting; the deployment goes on",
        "hint: attach again with %services factor; %cancel factor ends it",
    ]
    gate.touch()
    assert kernel.ok('%score factor {"value": 1}').result == "{'answer': 3}"


def test_a_killed_runner_is_seen_by_the_open_timeline(kernel: Kernel, folder: Path) -> None:
    script, gate = gated(folder)
    kernel.ok("%register factor factor.json")
    kernel.ok(f"%%entry_script --no-check\n{script}")
    (display_id,) = kernel.ok("service = %deploy factor").displays
    (journal,) = wait_until(lambda: list(folder.glob(".mldeploy/deployments/*/events.jsonl")))
    wait_until(lambda: any(event.stage == "rollout" for event in read_events(journal)))
    pid = kernel.ok("service.workspace.folder.open_store().get_deployment(service.deployment_id).runner['pid']").result
    os.kill(int(pid), signal.SIGKILL)
    # Nobody asks; the view itself looks once the journal has been silent for a while.
    idle = kernel.ok("import time\nfor _ in range(80): time.sleep(0.1)")
    assert "interrupted in Roll out" in idle.displays[display_id][-1]
    assert "was interrupted" in no_traceback(kernel.run('%score factor {"value": 1}'))
    gate.touch()
    kernel.ok("%deploy factor --wait")
    assert kernel.ok('%score factor {"value": 1}').result == "{'answer': 3}"


def test_cancel_leaves_nothing_serving(kernel: Kernel, folder: Path) -> None:
    script, _ = gated(folder)
    kernel.ok("%register factor factor.json")
    kernel.ok(f"%%entry_script --no-check\n{script}")
    kernel.ok("%deploy factor")
    kernel.ok("%cancel factor")
    assert "was cancelled" in no_traceback(kernel.run('%score factor {"value": 1}'))


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

    # The same file, broken later: neither magic takes it, and what serves goes on.
    no_traceback(prepared.run(f"%%entry_script\n{broken}"))
    assert "score.py failed its check" in no_traceback(prepared.run("%update factor --wait"))
    assert "score.py failed its check" in no_traceback(prepared.run("%deploy factor --wait"))
    assert "revision 1" in prepared.ok("%services factor").result
    named = prepared.run("%deploy factor --script score.py --wait")
    assert "faktor" in no_traceback(named)  # the engine's own check
    # Corrected in an editor, it is another script; a cell that checks well clears it too.
    (folder / "score.py").write_text(SCRIPT.replace('"answer": factor', '"answer": 10 + factor'))
    prepared.ok("%update factor --wait")
    assert prepared.ok('%score factor {"value": 2}').result == "{'answer': 16}"
    prepared.ok(f"%%entry_script\n{SCRIPT}")
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
    assert "the model folder holds other.bin" in no_traceback(second)
    prepared.ok(f"%%entry_script\n{SCRIPT}")
    # A model that was named once and does not exist is forgotten with its cell.
    assert "there is no model nope" in no_traceback(prepared.run(f"%%entry_script -m nope\n{SCRIPT}"))
    prepared.ok(f"%%entry_script\n{SCRIPT}")
    # What is registered after it is meant.
    prepared.ok("%register third other.bin")
    first = no_traceback(prepared.run(f"%%entry_script new.py\n# new\n{SCRIPT}"))
    assert 'hint: use os.path.join(os.environ["AZUREML_MODEL_DIR"], "other.bin"), or name the model it needs' in first
    assert "new.py failed its check" in no_traceback(prepared.run("%deploy factor"))
    prepared.ok("%deploy factor -m factor --wait")  # with another model than the one that failed
    prepared.ok(f"%%entry_script new.py --no-check -m factor\n# new\n{SCRIPT}")
    assert "model factor (those of the last %%entry_script)" in prepared.ok("%deploy second --wait").stream


def test_a_syntax_error_is_shown_in_the_cell_and_the_file_is_kept(kernel: Kernel, folder: Path) -> None:
    text = no_traceback(kernel.run("%%entry_script\ndef init():\n    pass\ndef run(data)\n    return 1\n"))
    assert ">    4  def run(data)" in text and "cell [" in text and "line 4" in text
    assert (folder / "score.py").read_text().splitlines()[2] == "def run(data)"


def test_names_that_live_only_in_the_notebook_are_warned_of_and_then_proven(kernel: Kernel) -> None:
    kernel.ok("threshold = 3")
    script = "def init():\n    pass\n\ndef run(data):\n    return threshold\n"
    ran = kernel.ok(f"%%entry_script --no-check\n{script}")
    assert "warning: line 6: threshold lives only in this notebook" in ran.stream
    late = kernel.run("%%entry_script\ndef init():\n    print(threshold)\n\ndef run(data):\n    return 1\n")
    assert "threshold" in no_traceback(late) and ">    3      print(threshold)" in late.error


def test_an_integer_sample_and_swallowed_exceptions_are_warned_of(kernel: Kernel) -> None:
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


def test_update_takes_a_new_script_only_for_the_service_it_was_written_for(prepared: Kernel, folder: Path) -> None:
    prepared.ok("%deploy factor --wait")
    prepared.ok("%%entry_script other.py\n" + SCRIPT)
    prepared.ok("%deploy other --wait")
    # other.py is the last script, but it has been deployed since, and as another service.
    said = prepared.ok("%update factor --wait").stream
    assert "Updating with the script score.py, read again" in said
    # A new script keeps the environment of the old one.
    (folder / "requirements.txt").write_text("")
    prepared.ok("%deploy other --script other.py --requirements requirements.txt --no-wait --show-python")
    prepared.ok("other = %mldeploy service wait other")
    prepared.ok("%%entry_script --no-check fourth.py\n" + SCRIPT)
    again = prepared.ok("%update other --wait --show-python").stream
    assert "requirements_file=" in again and "entry_script='fourth.py'" in again
    prepared.ok("%deploy factor --script score.py --wait")
    prepared.ok("%%entry_script third.py\n" + SCRIPT)
    assert "third.py (the last %%entry_script)" in prepared.ok("%update factor --wait").stream


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


WRONG: list[tuple[str, list[str]]] = [
    ("%deploy factor --por 1", ["error: --por is not an option of %deploy", "hint: did you mean --port?"]),
    ("%register factor", ["error: ", "%register"]),
    ("%score factor nowhere", ["error: nowhere cannot be evaluated", "cause: NameError"]),
    ("%score factor", ["%score factor needs one input"]),
    ("%deploy 'factor", ["error: the line cannot be read", "hint: close the quotes"]),
    (
        "%mldeploy servise list",
        [
            "error: 'servise' is not a command",
            "cause: the first word is one of model, ",
            "hint: did you mean: %mldeploy service list",
        ],
    ),
    ("%deploy factor", ["there is no entry script to deploy", "%%entry_script"]),
    ("%%score factor\n{", ["is not JSON", "line 2 column 2 of the cell"]),
    ("%register factor nothing.pkl", ["error: there is no file or folder nothing.pkl", "hint:"]),
    ("%%entry_script notes.txt\npass", ["notes.txt is not a Python file"]),
    ("%register factor", ["%register factor names no model", "for example: %register factor model.pkl"]),
    (
        "fitted = {'factor': 1}\n%register factor fited",
        ["no file, folder or variable fited", "did you mean the variable fitted?"],
    ),
    ("%register 'my model!' fitted", ["'my model!' cannot be the name of a model"]),
]


def test_wrong_words_get_a_short_message_and_a_hint(kernel: Kernel) -> None:
    for line, words in WRONG:
        text = no_traceback(kernel.run(line))
        for word in words:
            assert word in text, (line, text)


def test_a_wrong_model_is_answered_with_the_right_ones(prepared: Kernel) -> None:
    prepared.ok("%register factor factor.json")
    for named, words in (("facto", "did you mean factor?"), ("factor:9", "factor has the versions 1, 2")):
        assert words in no_traceback(prepared.run(f"%deploy factor -m {named}"))


def test_what_had_nothing_to_do_says_so_and_draws_nothing(prepared: Kernel) -> None:
    prepared.ok("%deploy factor --wait")
    assert "factor has no deployment under way" in prepared.ok("%cancel factor").stream
    again = prepared.ok("%deploy factor --wait")
    assert "nothing to do" in again.stream and not again.displays
    prepared.ok("%update factor --wait")
    assert "factor goes back to what revision 1 was" in prepared.ok("%mldeploy service rollback factor --wait").stream


def test_help_and_completion(prepared: Kernel) -> None:
    prepared.ok("%deploy factor --wait")
    text = prepared.inspect("%deploy")
    assert "usage: %deploy [NAME] [OPTIONS]" in text and "--port" in text and "%deploy churn" in text
    assert "--port" in prepared.ask("%deploy factor --po")["matches"]
    assert prepared.ask("svc = %deploy factor --to ")["matches"] == ["aci", "aks", "aksendpoint", "local"]
    assert prepared.ask("%logs fa")["matches"] == ["factor"]
    assert "factor:1" in prepared.ask("%deploy x -m fact")["matches"]
    assert prepared.ask("%mldeploy service get-l")["matches"] == ["get-logs"]
    prepared.ok("fitted = 1")
    assert prepared.ask("%score factor fitt")["matches"] == ["fitted"]
    assert prepared.ask("%%entry_script sco")["matches"] == ["score.py"]
    assert "--no-check" in prepared.ask("%%entry_script --no")["matches"]
    python = prepared.ask("import os\nos.path.ex")["matches"]
    assert any(word.endswith("exists") for word in python) and "--port" not in python
    prepared.ok("%unload_ext mldeploy_jupyter")
    assert "--port" not in prepared.ask("%deploy factor --po")["matches"]
    assert "UsageError: Line magic function `%deploy` not found" in prepared.run("%deploy factor").stream


def test_the_printed_python_runs_as_printed(prepared: Kernel, folder: Path) -> None:
    prepared.ok("%deploy factor --wait")
    prepared.ok("fitted = {'factor': 5}")
    printed = prepared.ok("%register other fitted --show-python --tag a=b").stream
    assert "import joblib" in printed and "tags={'a': 'b'}" in printed
    for line, expected in (
        ("%register factor factor.json --show-python", "model.version"),
        ('%score factor {"value": 2} --show-python', "service.run({'value': 2}) == {'answer': 6} or 1"),
        ("%deploy factor --wait --show-python", "service.name"),
    ):
        stream = prepared.ok(line).stream
        program = stream[stream.index("from mldeploy_jupyter") :]
        program = program.replace("service.run(", "answer = service.run(") + f"\nprint({expected})\n"
        if "Model.deploy" in program:
            program += "service.wait_for_deployment()\n"
        ran = subprocess.run(
            [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert ran.returncode == 0, program + ran.stderr


def test_a_class_of_the_notebook_is_warned_of(kernel: Kernel) -> None:
    kernel.ok("class Mine:\n    pass\nmine = Mine()")
    assert "the class Mine lives only in this notebook" in kernel.ok("%register mine mine").stream
    kernel.ok("unpicklable = lambda: 1")
    assert "cannot be written to a file" in no_traceback(kernel.run("%register mine unpicklable"))


def test_a_followed_log_ends_with_an_interrupt(prepared: Kernel) -> None:
    prepared.ok("%deploy factor --wait")

    sent = threading.Event()

    def interrupt(ran: Ran) -> None:
        if "live" in ran.stream and not sent.is_set():
            sent.set()
            prepared.manager.interrupt_kernel()

    followed = prepared.ok("%logs factor -f", on_output=interrupt)
    assert "Stopped following; the service goes on." in followed.stream
    assert prepared.ok('%score factor {"value": 1}').result == "{'answer': 3}"


def test_every_journal_of_a_notebook_deployment_is_whole(prepared: Kernel, folder: Path) -> None:
    prepared.ok("%deploy factor --wait")
    (journal,) = folder.glob(".mldeploy/deployments/*/events.jsonl")
    events = list(read_events(journal))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].data["state"] == "live"
