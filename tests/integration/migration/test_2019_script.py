"""The script of the how-to page of 2019, run in a process of its own in an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.serving.azureml.v1_names import VERSION
from mldeploy_jupyter.targets.ports import find_port_holder
from tests.ports import free_port

SCRIPT = Path(__file__).with_name("script_2019.py")
DEADLINE = 240  # seconds for the script; most of it builds the service's environment

pytestmark = [pytest.mark.network, pytest.mark.slow]


def port_of_the_page() -> int:
    """8890 as on the page, or a free port when that is taken."""
    return free_port() if find_port_holder(8890) else 8890


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, str]]:
    """The folder the script ran in, the port it asked for and what it printed."""
    folder = tmp_path_factory.mktemp("page")
    work, port = folder / "work", port_of_the_page()
    work.mkdir()
    environment = {**os.environ, "MLDEPLOY_HOME": str(folder / "home"), "MLDEPLOY_CACHE": str(folder / "cache")}
    try:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), str(port)],
            cwd=work,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE,
        )
        assert done.returncode == 0, done.stdout
        yield work, port, done.stdout
    finally:
        # Needed only when the script failed before it deleted its service.
        for name in ("myservice", "myaci"):
            subprocess.run(
                [sys.executable, "-m", "mldeploy_jupyter.cli", "service", "delete", "-n", name],
                cwd=work,
                env=environment,
                capture_output=True,
                timeout=60,
            )


@pytest.fixture(scope="module")
def report(ran: tuple[Path, int, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ran[0] / "report.json").read_text())
    return found


def test_azureml_core_has_a_version_of_v1(report: dict[str, Any]) -> None:
    assert report["version"] == VERSION


def test_the_workspace_has_v1s_settings(report: dict[str, Any]) -> None:
    assert report["workspace"] == ["myworkspace", "0000-1111", "myresourcegroup"]


def test_the_model_is_registered(report: dict[str, Any]) -> None:
    name = "sklearn_regression_model.pkl"
    assert report["registered"] == [name, 1, f"{name}:1"]
    assert report["path in the notebook"]


def test_python_3_6_is_refused_with_what_to_write(report: dict[str, Any]) -> None:
    first, cause, hint = report["python 3.6.2"].splitlines()
    assert first.startswith("error: ") and cause.startswith("cause: ") and hint.startswith("hint: ")
    assert "3.6.2" in first + cause and "3.11" in cause + hint and "python=3." in hint


def test_the_old_import_of_joblib_works_and_the_log_says_so(report: dict[str, Any]) -> None:
    assert "joblib stands in for it" in report["log"]


def test_the_service_is_live_on_the_port(report: dict[str, Any], ran: tuple[Path, int, str]) -> None:
    assert report["state"] == "Healthy"
    assert report["scoring_uri"].endswith(f":{ran[1]}/score")


def test_waiting_shows_the_stages(ran: tuple[Path, int, str]) -> None:
    for word in ("Check", "Environment", "Roll out", "Probe", "Live"):
        assert word in ran[2]


def test_the_service_has_an_environment_of_its_own(ran: tuple[Path, int, str]) -> None:
    made = [path for path in (ran[0].parent / "cache" / "environments").iterdir() if (path / "bin" / "python").exists()]
    assert len(made) == 1
    packages = {path.name.split("-")[0].lower() for path in made[0].glob("lib/python3.*/site-packages/*.dist-info")}
    assert {"numpy", "scikit_learn"} <= packages
    assert not {"azureml_defaults", "inference_schema"} & packages


def test_the_service_answers_as_the_model_does(report: dict[str, Any]) -> None:
    assert report["scored"] == [200, True]
    assert report["run"]


def test_no_key_is_asked_for_as_in_v1_and_that_is_said(report: dict[str, Any], ran: tuple[Path, int, str]) -> None:
    assert report["without a key"] == 200
    assert "myservice asks for no key, as in v1" in ran[2]


def test_a_float_for_the_pages_integer_sample_is_refused(report: dict[str, Any]) -> None:
    status, body = report["1.7 for an integer"]
    assert status == 422
    assert body["error"]["where"] == "data[0][0]"


def test_an_update_with_only_models_serves_the_new_one(report: dict[str, Any]) -> None:
    assert report["updated"] == [2, 200]
    assert report["new answers"] and not report["old answers"]


def test_a_local_service_is_listed(report: dict[str, Any]) -> None:
    assert report["listed"] == [["myservice", "Local"]]


def test_the_log_has_both_revisions_and_no_key(report: dict[str, Any]) -> None:
    assert "POST /score" in report["logs"]
    assert "Bearer" not in report["logs"]


def test_a_model_in_use_is_not_deleted(report: dict[str, Any]) -> None:
    assert "myservice" in report["model in use"]


def test_deploying_to_aci_is_refused(report: dict[str, Any]) -> None:
    assert report["aci"].startswith("error: ") and "hint: " in report["aci"]


def test_a_deleted_service_is_not_found_and_does_not_answer(report: dict[str, Any]) -> None:
    assert report["deleted"].startswith("WebserviceNotFound")
    assert report["still answers"] is False


def test_no_file_holds_the_password_of_the_registry(ran: tuple[Path, int, str]) -> None:
    kept = [path for path in ran[0].parent.rglob("*") if path.is_file() and ".mldeploy" in path.parts]
    assert kept
    assert not [path for path in kept if b"hush-hush" in path.read_bytes()]
