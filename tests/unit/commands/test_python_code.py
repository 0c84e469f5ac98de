"""The Python that a command prints runs as printed."""

from __future__ import annotations

import inspect
import shlex
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter import InferenceConfig
from mldeploy_jupyter.commands import Result, command, parse, python_code, run
from mldeploy_jupyter.commands.options import INFERENCE_PARAMS, INFERENCE_SETTINGS
from mldeploy_jupyter.core.errors import MldeployError
from tests.unit.commands.support import make_context, notes, run_line


def test_the_python_of_a_command_runs_as_printed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "model.pkl").write_bytes(b"model")
    (folder / "my conf.json").write_text('{"entryScript": "score.py"}')

    def printed(line: str) -> str:
        ctx = make_context()
        run([*shlex.split(line), "--show-python"], context=ctx)
        return notes(ctx)[max(0, notes(ctx).find("from mldeploy_jupyter import")) :]

    def outcome(program: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        exec(compile(program, "printed", "exec"), names)
        return names

    text = printed("model register churn model.pkl --tag a=b")
    assert "Model.register(ws, 'model.pkl', 'churn', tags={'a': 'b'})" in text.splitlines()
    outcome(text)
    outcome(printed("model update churn:1 --add-tag c=d --description new"))
    outcome(printed("model download churn:1 -t down --overwrite"))
    other = outcome(printed(f"model show churn:2 --path {folder}"))
    assert other["ws"].name == run(["workspace", "show"], context=make_context()).data["name"]
    for line in ("model list --latest", "workspace show", "workspace list", "prune --dry-run", "service list"):
        outcome(printed(line))

    # What works on a service or begins one: every name is there, without doing it.
    def python_of(python: str, words: str) -> str:
        parsed = parse(command(*words.split()[:2]), shlex.split(words)[2:])
        return python_code.command_program(Result(python=python, data={}), make_context(), parsed)

    deploy = python_of(
        "Model.deploy(ws, 'c', ['churn:1'], inference_config)", "model deploy c -m churn:1 --script s.py"
    )
    assert "inference_config = InferenceConfig(entry_script='s.py')" in deploy
    registry = python_of(
        "Model.deploy(ws, 'c', [], inference_config)",
        "model deploy c --script s.py --base-image a/b --base-image-registry r.example",
    )
    assert "base_image='a/b', base_image_registry=ContainerRegistry('r.example')" in " ".join(registry.split())
    filed = python_of("Model.deploy(ws, 'c', [], inference_config)", "model deploy c -ic 'my conf.json'")
    assert "inference_config = InferenceConfig.from_file('my conf.json')" in filed
    keyed = python_of(
        "Model.deploy(ws, 'c', [], AciWebservice.deploy_configuration(primary_key=***))", "model deploy c"
    )
    update = python_of(
        "service.add_tags({'a': 'b'})\nservice.update(description='x')", "service update c --add-tag a=b"
    )
    assert "service = Webservice(ws, 'c')" in update
    for text in (deploy, registry, filed, keyed, update):
        assert not python_code.undefined_names(text) and compile(text, "printed", "exec")


def test_printed_programs_import_what_they_use() -> None:
    text = python_code.program("model = Model.register(ws, model_path='Workspace.pkl')")
    assert text.splitlines()[:3] == [
        "from mldeploy_jupyter import Model, Workspace",
        "",
        "ws = Workspace.from_config()",
    ]
    assert python_code.program("print(1)") == "print(1)"
    long = python_code.call("f", "ws", a="x" * 60, b="y" * 60, c=None)
    assert long.splitlines()[0] == "f(" and "c=" not in long


def test_the_python_is_printed_also_when_the_call_fails(folder: Path) -> None:
    """It is wanted most then."""
    (folder / "model.pkl").write_bytes(b"model")
    (folder / "score.py").write_text("def init(): pass\ndef run(data): return data\n")
    run_line("model register churn model.pkl")
    context = make_context()
    with pytest.raises(MldeployError):
        run_line("model deploy x -m churn:9 --entry-script score.py --show-python", context)
    printed = notes(context)
    assert "Model.deploy(ws, 'x', ['churn:9'], inference_config)" in printed
    assert "inference_config = InferenceConfig(entry_script='score.py')" in printed


def test_every_parameter_of_an_inference_config_that_is_an_option_is_printed() -> None:
    options = {param.name for param in INFERENCE_PARAMS}
    assert set(INFERENCE_SETTINGS) == options & set(inspect.signature(InferenceConfig).parameters)
