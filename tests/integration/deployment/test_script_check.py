"""A script is checked in a new process, or in a fork of a live service with the same imports."""

from __future__ import annotations

import sys

import pytest

from mldeploy_jupyter.core.diagnosis import ScriptInfo
from mldeploy_jupyter.core.errors import ModelNotFoundException
from mldeploy_jupyter.deployment.script_check import FOLDER_PREFIX, ScriptCheck, check_script, find_models

from .conftest import Site

RUN = "\n\ndef run(data):\n    return data\n"


def check(site: Site, text: str, init_timeout: float = 60.0) -> ScriptCheck:
    checked = check_script(site.ws.folder, site.write(text), [], python=sys.executable, init_timeout=init_timeout)
    assert list(site.ws.folder.root.glob(f"{FOLDER_PREFIX}*")) == [], "the bundle was left behind"
    return checked


@pytest.fixture(params=["process", "fork"])
def either(request: pytest.FixtureRequest, site: Site) -> Site:
    """Without a live service, checks are processes; with one they are forks."""
    if request.param == "fork":
        site.deploy().wait_for_deployment(timeout_sec=240)
    return site


def test_a_good_script_is_ok_and_its_output_is_kept(either: Site) -> None:
    checked = check(either, f"def init():\n    print('hello')\n{RUN}")
    assert checked.ok and "hello" in checked.output and checked.seconds > 0


def test_an_exception_is_explained_at_its_line(either: Site) -> None:
    checked = check(either, f"def init():\n    raise ValueError('no')\n{RUN}")
    cause = checked.explain(ScriptInfo("score.py", checked.settings["entry_script"]))
    assert not checked.ok
    assert (cause.code, cause.where) == ("init-raised", "score.py line 2")
    assert cause.hint == "correct the line, then check it again"


def test_a_script_that_ends_its_process_is_told_by_its_exit_code(either: Site) -> None:
    checked = check(either, f"import os\n\ndef init():\n    print('bye', flush=True)\n    os._exit(3)\n{RUN}")
    failure = checked.result["failure"]
    assert (failure["code"], failure["exit_code"], failure["message"]) == ("exited", 3, "bye")


def test_init_that_hangs_is_stopped_and_its_line_is_known(either: Site) -> None:
    checked = check(either, f"import time\n\ndef init():\n    time.sleep(600)\n{RUN}", init_timeout=8.0)
    failure = checked.result["failure"]
    assert (failure["code"], failure["seconds"]) == ("init-timeout", 8.0)
    assert failure["frames"][-1]["line"] == 4
    assert not any("Fatal Python error" in line for line in checked.output)


def test_models_are_found_by_name_or_id(site: Site) -> None:
    with pytest.raises(ModelNotFoundException, match="nowhere:1"):
        find_models(site.ws.folder, ["nowhere:1"])
    with pytest.raises(ModelNotFoundException, match="there is no model nowhere"):
        find_models(site.ws.folder, ["nowhere"])
