"""Messages in a real kernel: cell numbers, hints, an error that is shown once."""

from __future__ import annotations

import json
import re
from pathlib import Path

from .conftest import SCRIPT, Kernel
from .support import no_traceback

BROKEN = SCRIPT.replace('["factor"]', '["faktor"]')


def test_an_error_names_the_number_that_the_front_end_shows(kernel: Kernel, folder: Path) -> None:
    kernel.ok("x = 1")
    kernel.run("1 / 0")
    kernel.ok("%register factor factor.json")
    failed = kernel.run(f"%%entry_script\n{BROKEN}")
    assert failed.number > 4
    where = re.search(r"\(cell \[(\d+)\] line 7, run at \d\d:\d\d\)", no_traceback(failed))
    assert where is not None and int(where[1]) == failed.number, failed.error
    unstored = kernel.run(f"%%entry_script\n# not stored\n{BROKEN}", store_history=False)
    assert f"(cell [{unstored.number}] line 8, " in no_traceback(unstored)

    # The service's failure names the same cell; the script of another folder is another script.
    kernel.ok(f"%%entry_script --no-check\n{SCRIPT}")
    (folder / "sub").mkdir()
    kernel.ok("%cd -q sub")
    written = kernel.ok(f"%%entry_script --no-check\n{BROKEN}")
    kernel.ok("%deploy factor --script score.py")
    deployed = no_traceback(kernel.run('%score factor {"value": 1}'))
    assert re.search(rf"\(cell \[{written.number}\] line 7, run at \d\d:\d\d\)", deployed), deployed
    kernel.ok("%%entry_script --no-check\n# newer\n" + SCRIPT)
    kernel.ok("%deploy factor --script score.py --wait")


def test_the_check_shows_the_answer_that_the_service_gives(kernel: Kernel) -> None:
    script = """\
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1.5]])))
def run(data):
    try:
        return {"only": data[0].tolist()}
    except Exception as error:
        return str(error)
"""
    ran = kernel.ok(f"%%entry_script\n{script}")
    assert 'sample [[1.5]] -> {"only": [1.5]} in' in ran.stream
    assert ran.stream.count("warning:") == 1 and "warning: line 14: run() answers with the text" in ran.stream


def test_hints_of_a_failed_service_name_the_magic_that_helps(kernel: Kernel) -> None:
    kernel.ok("%register factor factor.json")
    kernel.ok(f"%%entry_script\n{SCRIPT}")
    kernel.ok("%deploy live --wait")
    # The check means no service, though one was deployed before.
    checked = no_traceback(kernel.run(f"%%entry_script\n{BROKEN}"))
    assert checked.splitlines()[-1] == "hint: correct the line, then run the cell again"

    first = kernel.run("%deploy factor --script score.py --wait")
    assert (
        no_traceback(first)
        and first.error.splitlines()[-1] == "hint: correct the line, run the cell again, then %deploy factor"
    )
    update = kernel.run("%deploy live --script score.py --wait")
    assert (
        no_traceback(update)
        and update.error.splitlines()[-1] == "hint: correct the line, run the cell again, then %update live"
    )
    # Plain Python has no magics to name.
    caught = kernel.ok(
        "try:\n    live = %services live\n    live.wait_for_deployment()\nexcept Exception as e: print(e)"
    )
    assert "then update live again" in caught.stream
    assert "then %update live" in caught.displays[next(iter(caught.displays))][-1]


def test_a_failed_deployment_that_is_waited_for_says_why_once(kernel: Kernel) -> None:
    kernel.ok("%register factor factor.json")
    kernel.ok(f"%%entry_script --no-check\n{BROKEN}")
    failed = kernel.run("%deploy factor --wait")
    assert no_traceback(failed).count("error: init() raised KeyError") == 1
    (texts,) = failed.displays.values()
    assert "failed in Roll out" in texts[-1] and "error:" not in texts[-1] and "KeyError: 'faktor'" not in texts[-1]
    assert "The error is shown below." in failed.html[-1]
    # Without an error below it, the timeline itself says why.
    (later,) = kernel.ok("_ = %services factor").displays.values()
    assert later[-1].count("error: init() raised KeyError") == 1


def test_the_json_of_a_waited_deployment_is_that_of_its_end(kernel: Kernel) -> None:
    kernel.ok("%register factor factor.json")
    kernel.ok(f"%%entry_script --no-check\n{SCRIPT}")
    ran = kernel.ok("%deploy factor --wait --json")
    data = json.loads(ran.stream[ran.stream.index("{\n") :])
    assert data["state"] == "Healthy" and data["revision"] == 1 and data["scoringUri"].startswith("http://127.0.0.1:")


def test_the_timeline_shows_the_plan_and_follows(kernel: Kernel) -> None:
    kernel.ok("%register factor factor.json")
    kernel.ok(f"%%entry_script --no-check\n{SCRIPT}")
    ran = kernel.ok("%deploy factor --wait")
    (texts,) = ran.displays.values()
    shown = [re.sub(r" data-mldeploy='[^']*'| data-mldeploy=\"[^\"]*\"", "", html) for html in ran.html]
    assert not any("Push image" in text for text in [*texts, *shown])
    assert "Follows the deployment while this kernel runs." in ran.html[0]
    assert "Refresh with <code>%services factor</code>." in ran.html[-2]
