"""The other magics in a real kernel: what a user types, sees and gets back."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from .conftest import SCRIPT, Kernel, Ran
from .support import last_text, no_traceback


def test_from_register_to_delete(prepared: Kernel, folder: Path) -> None:
    began = prepared.ok("svc = %deploy factor\nsvc.name")
    assert began.result == "'factor'"
    assert "script score.py (the last %%entry_script, cell [" in began.stream
    assert "model factor:1 (registered last in this session)" in began.stream
    assert prepared.ok('%score factor {"value": 2}').result == "{'answer': 6}"
    assert prepared.ok('%%score factor\n{"value": 4}').result == "{'answer': 12}"
    (folder / "request.json").write_text('{"value": 10}')
    assert prepared.ok("%score factor --data request.json").result == "{'answer': 30}"
    assert prepared.ok("data = {'value': 1}\n%score factor data").result == "{'answer': 3}"
    assert "live on this machine, revision 1" in prepared.ok("svc").result
    assert "factor   Live   Local   1" in prepared.ok("%services").result

    prepared.ok("%%entry_script\n" + SCRIPT.replace('"answer": factor', '"answer": 1000 + factor'))
    prepared.ok("%update factor")
    assert prepared.ok('%score factor {"value": 2}').result == "{'answer': 1006}"
    assert "POST /score 200" in prepared.ok("%logs factor").result
    assert "2 keys, not shown" in prepared.ok("%mldeploy service get-keys factor").result
    assert prepared.ok("keys = %mldeploy service get-keys factor\nkeys[0] == svc.get_keys()[0]").result == "True"

    assert "Deleted factor" in prepared.ok("%delete factor").stream
    assert "No services" in prepared.ok("%services").stream
    assert "there is no service 'factor'" in no_traceback(prepared.run("%logs factor"))


def test_a_notebook_can_be_run_twice(prepared: Kernel) -> None:
    prepared.ok("%deploy factor --wait")
    again = prepared.ok("%deploy factor")
    assert "already serves exactly this" in again.stream and not again.displays
    # With a new version of the model the same cells update the service.
    prepared.ok("%register factor factor.json")
    prepared.ok(f"%%entry_script\n{SCRIPT}")
    prepared.ok("%deploy factor --wait")
    assert "revision 2" in last_text(prepared.ok("%services factor"))


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


def test_usage_errors_are_short_and_have_a_hint(kernel: Kernel) -> None:
    for line, words in WRONG:
        text = no_traceback(kernel.run(line))
        for word in words:
            assert word in text, (line, text)


def test_a_cancel_or_deploy_without_effect_says_so_and_draws_nothing(prepared: Kernel) -> None:
    prepared.ok("%deploy factor --wait")
    assert "factor has no deployment under way" in prepared.ok("%cancel factor").stream
    again = prepared.ok("%deploy factor --wait")
    assert "nothing to do" in again.stream and not again.displays
    prepared.ok("%update factor --wait")
    assert "factor goes back to what revision 1 was" in prepared.ok("%mldeploy service rollback factor --wait").stream


def test_nothing_is_shown_twice_and_a_rollback_shows_its_own_outcome(prepared: Kernel) -> None:
    """The timeline tells state and address; the service below it adds what it knows besides."""
    for line in ("%deploy factor --wait", "%services factor"):
        shown = prepared.ok(line)
        assert "live on this machine, revision 1" in last_text(shown) and "Scoring URI" in shown.html[-2]
        assert shown.result.startswith("  Models  factor:1\n") and "Scoring URI" not in shown.result
    began = prepared.ok("%update factor")
    assert not began.result and len(began.displays) == 1
    prepared.ok('%score factor {"value": 1}')

    broken = SCRIPT.replace("def init():\n", "def init():\n    1 / 0\n")
    assert "ZeroDivisionError" in no_traceback(prepared.run(f"%%entry_script --update factor\n{broken}"))
    back = prepared.ok("%rollback factor")
    assert "factor goes back to what revision 1 was" in back.stream
    assert "ZeroDivisionError" not in back.stream + back.result + last_text(back)
    assert prepared.ok("svc = %services factor\nsvc.wait_for_deployment()\nsvc.error is None").result == "True"
    assert "serves (revision 1 again)" in prepared.ok("svc.revisions").result
    assert "%rollback factor --revision 1 | 2" in prepared.ok("svc").result
    stopped, started = prepared.ok("%stop factor"), prepared.ok("%start factor")
    assert stopped.stream == "Stopping factor ...\n" and "stopped on this machine" in stopped.result
    assert started.stream == "Starting factor ...\n" and "live on this machine" in started.result


def test_help_and_completion(prepared: Kernel) -> None:
    prepared.ok("%deploy factor --wait")
    text = prepared.inspect("%deploy")
    assert "usage: %deploy [NAME] [OPTIONS]" in text and "--port" in text and "%deploy churn" in text
    assert "--port" in prepared.ask("%deploy factor --po")["matches"]
    assert prepared.ask("svc = %deploy factor --to ")["matches"] == ["docker", "local"]
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


def test_a_model_of_a_class_of_the_notebook_gives_a_warning(kernel: Kernel) -> None:
    kernel.ok("class Mine:\n    pass\nmine = Mine()")
    assert "the class Mine exists only in this notebook" in kernel.ok("%register mine mine").stream
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
    assert "Stopped following; the service continues." in followed.stream
    assert prepared.ok('%score factor {"value": 1}').result == "{'answer': 3}"
