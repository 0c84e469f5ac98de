"""The table of routes, and what is made of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from mldeploy_jupyter.lab.app import MldeployApp
from mldeploy_jupyter.lab.routes import PARTS, ROUTES, path_pattern
from mldeploy_jupyter.panel import REQUESTS
from tests.unit.lab.generate import openapi, pages
from tests.unit.panel import protocol


def test_every_request_has_one_route() -> None:
    assert sorted(route.request for route in ROUTES) == sorted(REQUESTS) == sorted(protocol.requests())
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_a_path_has_only_parameters_of_its_request() -> None:
    for route in ROUTES:
        assert set(route.parts) <= set(REQUESTS[route.request].parameters), route


def test_reads_are_get_and_what_changes_or_tells_a_secret_is_not() -> None:
    reads = {route.request for route in ROUTES if route.method == "GET"}
    assert not reads & {"service.keys", "service.score", "service.delete", "form.submit", "model.delete"}
    assert reads >= {"service.describe", "service.log", "deployment.timeline", "model.list"}


def test_the_made_files_are_up_to_date() -> None:
    stale = [str(path) for path, text in pages().items() if path.read_text("utf-8") != text]
    assert stale == [], "run python -m tests.unit.lab.generate"


def test_the_description_is_valid_openapi() -> None:
    import json

    validate(json.loads(openapi()))


@pytest.mark.parametrize(
    ("part", "right", "wrong"),
    [
        ("service", ["churn", "a-1"], ["..", "a", "Churn", "churn/x", "churn%2f", "ch urn", "x" * 33, "churn%00", ""]),
        ("workspace", ["0a-9", "-"], ["..", "a/b", "%2e%2e", "a" * 65, ""]),
        ("deployment", ["d1-2"], ["-d", ".", "a b", "x" * 65]),
        ("model", ["m:1", "M.x_1-2%3A12", "m%3a3"], ["m", "m:0", "m:1:2", "..:1", "a/b:1", "%2e:1"]),
        ("form", ["deploy", "update", "register"], ["other", "deployx", ""]),
    ],
)
def test_an_id_is_matched_strictly(part: str, right: list[str], wrong: list[str]) -> None:
    pattern = path_pattern(f"x/{{{part}}}") + "$"
    assert part in PARTS
    assert all(re.match(pattern, f"x/{text}") for text in right)
    assert [text for text in wrong if re.match(pattern, f"x/{text}")] == []


def test_the_page_has_every_setting_with_its_default() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "jupyter-server.md").read_text("utf-8")
    defaults = {name: trait.default() for name, trait in MldeployApp.class_traits(config=True).items()}
    own = {name: value for name, value in defaults.items() if name in MldeployApp.class_own_traits(config=True)}
    rows = dict(re.findall(r"\| `c\.MldeployApp\.(\w+)` \| `([^`]*)` \|", page))
    assert rows == {name: repr(value) for name, value in own.items()}


def test_the_extension_is_light() -> None:
    """A Jupyter server that starts imports nothing of the panel, and no database."""
    code = (
        "import sys, time, jupyter_server.serverapp, jupyter_server.base.handlers\n"
        "began = time.process_time()\nimport mldeploy_jupyter\n"
        "assert mldeploy_jupyter._jupyter_server_extension_points() == [{'module': 'mldeploy_jupyter'}]\n"
        "import mldeploy_jupyter.lab.extension\n"
        "heavy = {'sqlalchemy', 'mldeploy_jupyter.panel', 'mldeploy_jupyter.api', 'mldeploy_jupyter.deployment'}\n"
        "print(round(time.process_time() - began, 3), sorted(heavy & set(sys.modules)))"
    )
    seconds, _, heavy = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip().partition(" ")  # fmt: skip
    assert heavy == "[]" and float(seconds) < 0.1
