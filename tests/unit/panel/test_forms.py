from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.panel import handle
from mldeploy_jupyter.panel.scripts import FolderScripts

from .conftest import Site

SCRIPT = "def init():\n    pass\n\ndef run(data):\n    return data\n"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "score.py"
    path.write_text(SCRIPT)
    return path


def ask(site: Site, name: str, **parameters: Any) -> Any:
    answer = handle(name, parameters, site.context)
    assert answer["ok"], answer
    json.dumps(answer)
    return answer["result"]


def check(site: Site, **values: Any) -> dict[str, Any]:
    given = {"name": "churn", "entry_script": "score.py", "environment": "kernel", "target": "local", **values}
    found: dict[str, Any] = ask(site, "form.check", form="deploy", values=given)
    return found


def texts(found: dict[str, Any]) -> dict[str, str]:
    return {problem["field"]: problem["text"] for problem in found["problems"]}


def test_the_form_offers_what_there_is(site: Site, script: Path) -> None:
    form = ask(site, "form.describe", form="deploy")
    fields = {field["key"]: field for field in form["fields"]}
    assert [choice["value"] for choice in fields["entry_script"]["choices"]] == ["score.py"]
    assert form["values"]["target"] == "local" and form["values"]["entry_script"] == "score.py"
    assert fields["port"]["visibleWhen"] == {"target": ["local", "docker"]} and fields["port"]["maximum"] == 65535
    assert fields["primary_key"]["kind"] == "secret" and fields["conda_file"]["visibleWhen"] == {
        "environment": ["conda"]
    }
    assert all(field["label"] and "_" not in field["label"] for field in form["fields"])


def test_the_calls_of_a_form_are_shown_as_they_would_be_typed(site: Site, script: Path, snapshot: object) -> None:
    found = check(
        site, port=8890, worker_count=2, environment_variables={"A": "it's {x}", "B": "-1"}, auth_enabled=False
    )
    assert found["problems"] == []
    assert "\n\n".join(preview["text"] for preview in found["previews"]) == snapshot


def test_what_equals_the_default_is_not_in_the_call(site: Site, script: Path) -> None:
    form = ask(site, "form.describe", form="deploy")
    found = ask(site, "form.check", form="deploy", values={**form["values"], "name": "churn"})
    assert [one["text"] for one in found["previews"] if one["kind"] == "magic"] == [
        "%deploy churn --entry-script score.py"
    ]


@pytest.mark.parametrize(
    "values, field, text",
    [
        ({"name": "X"}, "name", "must have 3 to 32 characters"),
        ({"name": ""}, "name", "The name is missing."),
        ({"entry_script": "none.py"}, "entry_script", "There is no file none.py."),
        ({"entry_script": "."}, "entry_script", "There is no file"),
        ({"port": 70000}, "port", "Port is 70000; it must be between 0 and 65535."),
        ({"port": "any"}, "port", "Port is 'any' (a string); it must be an integer."),
        ({"worker_count": 0}, "worker_count", "must be greater than 0"),
        ({"environment": "conda", "conda_file": "none.yml"}, "conda_file", "There is no file none.yml."),
        ({"models": ["none:1"]}, "models", "There is no model none:1."),
        ({"environment_variables": {"": "x"}}, "environment_variables", "name of a variable"),
    ],
)
def test_a_wrong_value_is_named_at_its_field(
    site: Site, script: Path, values: dict[str, Any], field: str, text: str
) -> None:
    found = check(site, **values)
    assert text in texts(found)[field] and found["previews"] == []


def test_a_script_that_cannot_serve_is_named(site: Site, script: Path) -> None:
    script.write_text("def init():\n    pass\n")
    assert "run" in texts(check(site))["entry_script"]


@pytest.mark.parametrize("values", [[], "x", {"a": object}, {"a": {"b": {"c": 1}}}, {"a": [[1]]}, {"a": "x" * 10_001}])
def test_values_of_another_form_are_refused(site: Site, values: Any) -> None:
    answer = handle("form.check", {"form": "deploy", "values": values}, site.context)
    assert not answer["ok"] and answer["failure"]["code"] == "bad-request"


def test_a_wrong_form_is_not_submitted(site: Site, script: Path) -> None:
    answer = handle("form.submit", {"form": "deploy", "values": {"name": "X"}}, site.context)
    assert not answer["ok"] and "3 to 32 characters" in answer["failure"]["cause"]


def test_a_model_is_registered(site: Site, script: Path) -> None:
    values = {"name": "iris", "model_path": "score.py", "model_framework": "ScikitLearn", "tag": {"a": "b"}}
    found = ask(site, "form.check", form="register", values=values)
    assert found["problems"] == [] and "%register iris score.py" in found["previews"][1]["text"]
    assert ask(site, "form.submit", form="register", values=values)["model"] == "iris:1"
    assert {field["key"]: field for field in ask(site, "form.describe", form="deploy")["fields"]}["models"]["choices"][
        0
    ] == {"value": "iris:1", "label": "iris:1", "detail": "latest"}


def test_no_model_is_part_of_the_call_where_there_are_models(site: Site, script: Path) -> None:
    ask(site, "form.submit", form="register", values={"name": "iris", "model_path": "score.py"})
    values = {**ask(site, "form.describe", form="deploy")["values"], "name": "iris", "models": []}
    found = ask(site, "form.check", form="deploy", values=values)
    assert found["problems"] == []
    assert [one["text"] for one in found["previews"] if one["kind"] == "magic"] == [
        "%deploy iris --model none --entry-script score.py"
    ]
    assert "Model.deploy(ws, 'iris', [], inference_config)" in found["previews"][0]["text"]


def test_a_source_folder_has_the_script_in_it(site: Site, script: Path) -> None:
    fields = {field["key"]: field for field in ask(site, "form.describe", form="deploy")["fields"]}
    assert fields["source_directory"]["label"] == "Source folder" and not fields["source_directory"]["required"]
    source = script.parent / "src"
    assert texts(check(site, source_directory="src")) == {"source_directory": "There is no folder src."}
    source.mkdir()
    assert texts(check(site, source_directory="src")) == {"source_directory": "The script score.py is not in it."}
    (source / "score.py").write_text(SCRIPT)
    for written in ("score.py", "src/score.py", str(source / "score.py")):
        found = check(site, entry_script=written, source_directory="src")
        assert found["problems"] == []
        (magic,) = [one["text"] for one in found["previews"] if one["kind"] == "magic"]
        assert "--entry-script score.py --source-directory src" in magic


def test_a_script_that_was_changed_since_is_named_and_deployed_all_the_same(site: Site, script: Path) -> None:
    class Scripts(FolderScripts):
        def warning(self, path: Path) -> str:
            return f"It was written by another program, {path.name}" if path == script else ""

    site.context.scripts = Scripts()
    found = check(site)
    assert [problem["level"] for problem in found["problems"]] == ["warning"] and found["previews"]
    assert texts(found) == {"entry_script": "It was written by another program, score.py."}
