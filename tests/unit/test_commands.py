"""The grammar of commands: words in, arguments out, help, suggestions, completion, and a flag that beats the file."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter import commands
from mldeploy_jupyter.api.models import Model, ResourceConfiguration
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.commands import (
    COMMANDS,
    Command,
    Context,
    Result,
    UsageError,
    command,
    open_workspace,
    parse,
    python_code,
    run,
)
from mldeploy_jupyter.commands.options import (
    given_metadata,
    make_changed_config,
    make_deploy_config,
    make_inference_config,
)
from mldeploy_jupyter.commands.parser import find_command
from mldeploy_jupyter.core.configs import SPECS, DeployConfig
from mldeploy_jupyter.core.errors import ConfigError, MldeployError, ModelNotFoundException, WorkspaceError


def context(**more: Any) -> Context:
    return Context(
        open_workspace, out=io.StringIO(), err=io.StringIO(), stdin=io.StringIO(), wait_by_default=False, **more
    )


def said(ctx: Context) -> str:
    assert isinstance(ctx.err, io.StringIO)
    return ctx.err.getvalue()


def words_of(path: str, line: str) -> Any:
    return parse(command(*path.split()), shlex.split(line))


@pytest.mark.parametrize("item", COMMANDS, ids=lambda item: item.name)
def test_the_help_of_every_command(item: Command, snapshot: SnapshotAssertion) -> None:
    text = run([*item.path, "--help"], context=context()).text
    assert text == snapshot
    assert run([*item.path, "-h"], context=context()).text == text
    assert all(flag in text for param in item.all_params for flag in param.flags)


@pytest.mark.parametrize("item", COMMANDS, ids=lambda item: item.name)
def test_no_two_options_share_a_flag(item: Command) -> None:
    flags = [flag for param in item.all_params for flag in param.flags]
    names = [param.name for param in item.all_params]
    assert len(flags) == len(set(flags))
    assert len(names) == len(set(names))


@pytest.mark.parametrize("item", COMMANDS, ids=lambda item: item.name)
def test_the_example_of_every_command_can_be_read(item: Command) -> None:
    found, rest = find_command(shlex.split(item.example), COMMANDS)
    assert found is item
    parse(item, rest)


def test_the_overview(snapshot: SnapshotAssertion) -> None:
    assert run([], context=context()).text == snapshot
    assert (
        run(["--help"], context=context()).text
        == run(["help"], context=context()).text
        == run([], context=context()).text
    )
    assert "service list" not in run(["model", "--help"], context=context()).text
    assert run(["help", "prune"], context=context()).text == run(["prune", "--help"], context=context()).text


WRONG = [
    "modle list",
    "model lst",
    "model",
    "service --json",
    "deploy churn",
    "xyzzy",
    "model deploy --entry-scrip score.py",
    "model list --latst",
    "model list --zzzzzz",
    "model register -p model.pkl",
    "model register churn a.pkl b.pkl",
    "model register churn -n other a.pkl",
    "model show",
    "model show churn:x",
    "model deploy -n",
    "model deploy x --to asure",
    "model deploy x --cc many",
    "model deploy x --ae perhaps",
    "model deploy x --nr 2.5 --to aks",
    "model deploy x --nr 2",
    "model deploy x --tag =v",
    "service show",
    "service run churn",
    "service run churn -d 1 --data x",
    "service run churn --data missing.json",
    "service regen-key churn -k third",
    "service get-logs churn -l -1",
    "service list -c local --tga a",
    "prune --keep-deployments -1",
    "model list -o yaml",
    "model register -n churn",
    "model register -n churn --asset-path a",
    "model register -n churn -p a --asset-path b",
    "model register -n churn -p a --run-id r",
    "model deploy",
    "model deploy -f missing.json",
    "model deploy x -m m:1 --es score.py --wait --no-wait",
    "model deploy x -m m:1 --es score.py --ev 2",
    "service update x --wait --no-wait",
    "service reload x --wait --no-wait",
    "service rollback x --wait --no-wait",
    "model deploy x -m m:1",
]


@pytest.mark.parametrize("line", WRONG)
def test_wrong_words_are_answered_in_three_lines(line: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    with pytest.raises(UsageError) as caught:
        run(shlex.split(line), context=context())
    text = str(caught.value)
    assert text == snapshot
    assert text.count("\n") == 2
    for line in text.splitlines():  # one form for all errors: a lower-case start, no full stop
        words = line.partition(": ")[2]
        assert not words[0].isupper() and not words.endswith("."), line
    assert not (folder / ".mldeploy").exists()  # wrong words leave nothing behind


@given(
    st.lists(
        st.sampled_from([*"-nmpd", "--", "-", "", "model", "show", "-n", "--json", "-ic", "--ae", "=", "--x=1", "é"]),
        max_size=6,
    )
)
def test_odd_words_are_never_a_traceback(words: list[str]) -> None:
    try:
        find_command(words or [""], COMMANDS)
        parse(command("model", "deploy"), words)
    except UsageError as error:
        assert error.what


# Both spellings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "-n myservice -m m:1 -ic i.json -dc d.json -ct cluster --overwrite --no-wait",
        "--name myservice --model m:1 --ic i.json --dc d.json --ct cluster --overwrite --no-wait",
        "myservice -m m:1 --inference-config-file i.json --deploy-config-file=d.json --compute-target cluster "
        "--overwrite --no-wait",
        "--overwrite -ct cluster -dc d.json -ic i.json -m m:1 --no-wait -n myservice",
    ],
)
def test_flags_of_2019_and_later(line: str) -> None:
    args = words_of("model deploy", line)
    assert (args.name, args.model, args.inference_config, args.deploy_config) == (
        "myservice",
        ["m:1"],
        "i.json",
        "d.json",
    )
    assert (args.config_compute_target_name, args.overwrite, args.no_wait) == ("cluster", True, True)


def test_register_in_the_words_of_2019() -> None:
    args = words_of("model register", "-n m --asset-path outputs/model.pkl --experiment-name e --run-id r -t out.json")
    assert (args.name, args.asset_path, args.experiment_name, args.run_id) == ("m", "outputs/model.pkl", "e", "r")
    assert words_of("model register", "-n m -p model.pkl").model_path == "model.pkl"


def test_a_list_may_be_repeated_and_may_have_several_values() -> None:
    args = words_of("model deploy", "s -m a:1 b -m c:3 --tag x=1 y --tag z=2")
    assert (args.name, args.model, args.config_tags) == ("s", ["a:1", "b", "c:3"], ["x=1", "y", "z=2"])


def test_positionals_may_stand_after_options() -> None:
    assert words_of("service run", "-d '[1]' churn").name == "churn"
    assert words_of("service run", "--json churn -d '[1]'").name == "churn"
    assert words_of("service get-logs", "-f churn").follow is True
    assert words_of("service show", "-- churn").name == "churn"


def test_toggles() -> None:
    assert words_of("model deploy", "--ae").config_auth_enabled is True
    assert words_of("model deploy", "--ae false").config_auth_enabled is False
    assert words_of("model deploy", "x").config_auth_enabled is None


def test_every_setting_of_every_target_has_a_flag() -> None:
    names = {param.name.removeprefix("config_") for param in command("model", "deploy").params}
    assert all(field.name in names for spec in SPECS.values() for field in spec.fields)


# A flag beats the file ------------------------------------------------------------------------------------------


def deploy_args(line: str) -> Any:
    return words_of("model deploy", line)


def test_a_flag_beats_the_file(folder: Path) -> None:
    (folder / "d.json").write_text(json.dumps({"computeType": "local", "port": 8890, "workerCount": 2}))
    assert make_deploy_config(deploy_args("-dc d.json")) == DeployConfig("Local", {"port": 8890, "worker_count": 2})
    both = make_deploy_config(deploy_args("-dc d.json --port 9000 --ae false --tag a=b"))
    assert both is not None
    assert both.passed == {"port": 9000, "worker_count": 2, "auth_enabled": False, "tags": {"a": "b"}}


def test_a_flag_mends_a_wrong_file(folder: Path) -> None:
    (folder / "d.json").write_text(json.dumps({"computeType": "local", "port": 99999}))
    config = make_deploy_config(deploy_args("-dc d.json --port 9000"))
    assert config is not None and config.passed == {"port": 9000}


def test_violations_say_where_the_value_came_from(folder: Path, snapshot: SnapshotAssertion) -> None:
    (folder / "d.json").write_text(
        json.dumps({"computeType": "aks", "containerResourceRequirements": {"cpu": 2}, "gpuCores": -1})
    )
    with pytest.raises(ConfigError) as caught:
        make_deploy_config(deploy_args("-dc d.json --ccl 1 --mi 2"))
    with pytest.raises(ConfigError) as flags_only:
        make_deploy_config(deploy_args("--to aci --cc 0 --vnet-name v"))
    assert [str(caught.value), str(flags_only.value)] == snapshot


def test_wrong_keys_and_wrong_values_are_said_at_once(folder: Path, snapshot: SnapshotAssertion) -> None:
    group = {"cpu": "1", "memoryInGB": 0}
    aci = {"computeType": "aci", "enableAppInsights": True, "containerResourceRequirements": group, "sslEnabled": True}
    (folder / "aci.json").write_text(json.dumps(aci))
    (folder / "local.json").write_text(json.dumps({"computeType": "local", "port": 70000, "foo": 1}))
    texts = []
    for read in (
        lambda: make_deploy_config(deploy_args("-dc aci.json --gb 1")),  # a flag mends one of the values
        lambda: make_deploy_config(deploy_args("-dc local.json")),
        lambda: make_changed_config(deploy_args("-dc local.json"), DeployConfig("Local")),
    ):
        with pytest.raises(ConfigError) as caught:
            read()
        texts.append(str(caught.value))
    assert texts == snapshot


def test_an_update_names_no_option_that_it_does_not_have(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        make_changed_config(deploy_args("--cc 2"), DeployConfig("Local"))
    assert caught.value.hint == "leave --cpu-cores out"


def test_a_reserved_name_in_the_inference_config_has_its_place(folder: Path) -> None:
    data = {"entryScript": "score.py", "environment": {"name": "AzureML-x"}}
    (folder / "i.json").write_text(json.dumps(data))
    with pytest.raises(MldeployError) as caught:
        make_inference_config(context(), deploy_args("-ic i.json"))
    assert caught.value.where == "i.json, environment.name"


PYTHONIC = re.compile(r"\w+=(True|['{\[])|\w\(|\b(set_key|target_dir|model_name|child_paths)\b")


@pytest.mark.parametrize(
    "line",
    [
        "model register -n ü -p m.pkl",
        "model register -n m -p m.pkl --cc 0",
        "model register -n m -p m.pkl --model-framework sklearn",
        "model register -n m -p m.pkl --model-framework-version 1",
        "model register -n m -p m.pkl --child-path x",
        "model update m:1 --add-property p=2",
        "model deploy s -m m:1 --es nope.py",
        "model list -w nope",
    ],
)
def test_a_hint_is_in_the_words_of_the_command_line(line: str, folder: Path) -> None:
    (folder / "m.pkl").touch()
    run(shlex.split("model register -n m -p m.pkl --property p=1"), context=context())
    with pytest.raises(MldeployError) as caught:
        run(shlex.split(line), context=context())
    assert not PYTHONIC.search(caught.value.hint), caught.value.hint
    assert caught.value.why


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("model download m:1", "--overwrite"),
        ("workspace create .", "--exist-ok"),
        ("model deploy svc -m m:1 --es score.py --cp aci", "--target local"),
        ("model deploy svc -m m:1 --es score.py -e zz", "conda file"),
    ],
)
def test_a_hint_names_the_option_beside_the_argument(line: str, option: str, folder: Path) -> None:
    (folder / "m.pkl").touch()
    (folder / "score.py").write_text("def init(): ...\ndef run(data): ...\n")
    run(shlex.split("model register -n m -p m.pkl"), context=context())
    with pytest.raises(MldeployError) as caught:
        run(shlex.split(line), context=context())
    assert option in caught.value.hint and caught.value.why


def test_which_target(folder: Path) -> None:
    (folder / "d.json").write_text('{"computeType": "ACI"}')
    assert make_deploy_config(deploy_args("x")) is None
    assert make_deploy_config(deploy_args("--port 1")) == DeployConfig("Local", {"port": 1})
    assert make_deploy_config(deploy_args("--to aci")) == DeployConfig("ACI")
    assert make_deploy_config(deploy_args("-ct cluster")) == DeployConfig("AKS", {"compute_target_name": "cluster"})
    assert make_deploy_config(deploy_args("-dc d.json --to aci")) == DeployConfig("ACI")
    with pytest.raises(UsageError, match=r"d\.json is for aci"):
        make_deploy_config(deploy_args("-dc d.json --to local"))


def test_an_update_changes_only_what_is_named(folder: Path) -> None:
    current = DeployConfig("Local", {"port": 8890, "worker_count": 2})
    args = words_of("service update", "churn --worker-count 3 --tag a=b")
    changed = make_changed_config(args, current)
    assert changed is not None and changed.passed == {"port": 8890, "worker_count": 3}
    assert given_metadata(args) == {"tags": {"a": "b"}}
    assert make_changed_config(words_of("service update", "churn -m m:2"), current) is None
    (folder / "d.json").write_text('{"computeType": "aks"}')
    with pytest.raises(UsageError, match=r"d\.json is for aks"):
        make_changed_config(words_of("service update", "churn -dc d.json"), current)


def test_inference_config_from_file_flags_and_defaults(folder: Path) -> None:
    for name in ("score.py", "other.py"):
        (folder / name).write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    (folder / "i.yml").write_text("entryScript: score.py\n")
    from_file = make_inference_config(context(), deploy_args("-ic i.yml"))
    assert from_file.entry_script == "score.py"
    assert make_inference_config(context(), deploy_args("-ic i.yml --es other.py")).entry_script == "other.py"
    assert make_inference_config(context(), deploy_args("x")) is None
    notebook = context(defaults={"entry_script": "other.py"})
    assert make_inference_config(notebook, deploy_args("x")).entry_script == "other.py"
    assert make_inference_config(notebook, deploy_args("--script score.py")).entry_script == "score.py"
    with pytest.raises(UsageError, match="entry script is missing"):
        make_inference_config(context(), deploy_args("--runtime python"))


def test_an_environment_in_the_file(folder: Path) -> None:
    (folder / "score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    (folder / "src").mkdir()
    (folder / "src" / "score.py").write_text((folder / "score.py").read_text())
    (folder / "src" / "env.yml").write_text("dependencies:\n- python=3.11\n- pip:\n  - numpy\n")
    environment = {"name": "e", "python": {"condaDependenciesFile": "env.yml"}}
    data = {"entryScript": "score.py", "sourceDirectory": "src", "environment": environment}
    (folder / "i.json").write_text(json.dumps(data))
    made = make_inference_config(context(), deploy_args("-ic i.json"))
    assert made.environment.name == "e"
    assert made.environment.to_spec().pip == ["numpy"]


# A real workspace -----------------------------------------------------------------------------------------------


def test_models_from_register_to_delete(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(b"model")
    ctx = context()
    made = run(shlex.split("model register churn model.pkl --tag stage=test -d 'a model' -t meta.json"), context=ctx)
    assert (made.text, made.data["id"], made.data["tags"]) == ("Registered churn:1", "churn:1", {"stage": "test"})
    assert "Created workspace" in said(ctx)
    assert json.loads((folder / "meta.json").read_text())["modelId"] == "churn:1"
    run(shlex.split("model register -n churn -p model.pkl"), context=context())
    listed = run(["model", "list"], context=context())
    assert [row["version"] for row in listed.data] == [2, 1]
    assert [line.split()[:2] for line in listed.text.splitlines()] == [
        ["NAME", "VERSION"],
        ["churn", "2"],
        ["churn", "1"],
    ]
    assert len(run(["model", "list", "--latest"], context=context()).data) == 1
    assert [m["id"] for m in run(shlex.split("model list --tag stage=test"), context=context()).data] == ["churn:1"]
    assert run(["model", "show", "churn"], context=context()).data["version"] == 2
    assert run(shlex.split("model show -n churn --version 1"), context=context()).data["version"] == 1
    run(shlex.split("model update churn:1 --add-tag stage=prod --description new --cc 2 --gb 1.5"), context=context())
    run(shlex.split("model update churn:1 --cc 4"), context=context())
    shown = run(["model", "show", "churn:1"], context=context()).data
    assert (shown["tags"], shown["description"]) == ({"stage": "prod"}, "new")
    resources = Model(Workspace.get(), "churn", version=1).resource_configuration
    assert resources == ResourceConfiguration(cpu=4, memory_in_gb=1.5)
    assert run(shlex.split("model list --dataset-id other"), context=context()).data == []
    with pytest.raises(ModelNotFoundException):
        run(shlex.split("model show -n churn --run-id other"), context=context())
    copied = run(shlex.split("model download churn:1 -t copy"), context=context())
    assert Path(copied.data["path"]).read_bytes() == b"model"
    assert run(["model", "delete", "churn:1"], context=context()).data == {"modelId": "churn:1", "deleted": True}
    with pytest.raises(ModelNotFoundException):
        run(["model", "show", "churn:1"], context=context())


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'{"modelId": "a:1",}', "it is not valid JSON: a comma stands before the closing } (line 1, column 18)"),
        (b"\xff", "it is not UTF-8 text"),
        (b"[]", "it has no modelId"),
    ],
)
def test_a_file_of_model_register_that_cannot_be_used(folder: Path, raw: bytes, why: str) -> None:
    (folder / "meta.json").write_bytes(raw)
    with pytest.raises(UsageError) as caught:
        run(shlex.split("model deploy x -f meta.json"), context=context())
    assert caught.value.why == why


def test_the_form_of_the_output_may_be_written_in_capitals() -> None:
    assert words_of("model list", "-o JSON").json is True


def test_a_target_may_be_written_in_capitals(folder: Path) -> None:
    assert words_of("service list", "-c ACI").compute_type == "aci"
    assert words_of("model deploy", "x --cp Local").target == "local"


def test_nothing_is_registered_when_its_id_cannot_be_written(folder: Path) -> None:
    (folder / "m.pkl").touch()
    for place, why in (("/nope/meta.json", "no such file or directory"), (".", "is a directory")):
        with pytest.raises(UsageError) as caught:
            run(["model", "register", "-n", "m", "-p", "m.pkl", "-t", place], context=context())
        assert caught.value.why == why
    with pytest.raises(MldeployError):
        run(["model", "register", "-n", "m", "-p", "gone.pkl", "-t", "meta.json"], context=context())
    assert not (folder / "meta.json").exists()
    assert run(["model", "list"], context=context()).data == []


def test_reading_makes_no_workspace(folder: Path) -> None:
    for line in ("model list", "model show churn", "workspace show", "prune"):
        with pytest.raises(WorkspaceError):
            run(shlex.split(line), context=context())
    assert run(["service", "list"], context=context()).data == []
    assert list(folder.iterdir()) == []


def test_the_workspace_of_v1s_config(folder: Path) -> None:
    (folder / ".azureml").mkdir()
    settings = {"subscription_id": "s", "resource_group": "r", "workspace_name": "team"}
    (folder / ".azureml" / "config.json").write_text(json.dumps(settings))
    with pytest.raises(WorkspaceError, match="team has nothing in it yet"):
        run(["model", "list"], context=context())
    assert run(["service", "list"], context=context()).data == []
    assert not (folder / ".mldeploy").exists()
    (folder / "model.pkl").write_bytes(b"model")
    run(["model", "register", "churn", "model.pkl"], context=context())
    details = run(["workspace", "show"], context=context()).data
    assert (details["subscription_id"], details["resource_group"]) == ("s", "r")


def test_workspaces(folder: Path) -> None:
    made = run(shlex.split("workspace create a --name first"), context=context())
    assert made.data["name"] == "first"
    run(["workspace", "create", "b"], context=context())
    with pytest.raises(WorkspaceError):
        run(["workspace", "create", "b"], context=context())
    run(["workspace", "create", "b", "--exist-ok"], context=context())
    folders = {row["name"]: row["path"] for row in run(["workspace", "list"], context=context()).data}
    assert folders["first"] == str(folder / "a") and folders["b"] == str(folder / "b")
    assert run(shlex.split("workspace show a"), context=context()).data["name"] == "first"
    assert run(shlex.split("model list -w a"), context=context()).data == []
    assert run(shlex.split("model list -w first"), context=context()).data == []


def test_the_python_of_a_command_runs_as_printed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "model.pkl").write_bytes(b"model")
    (folder / "my conf.json").write_text('{"entryScript": "score.py"}')

    def printed(line: str) -> str:
        ctx = context()
        run([*shlex.split(line), "--show-python"], context=ctx)
        return said(ctx)[max(0, said(ctx).find("from mldeploy_jupyter import")) :]

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
    assert other["ws"].name == run(["workspace", "show"], context=context()).data["name"]
    for line in ("model list --latest", "workspace show", "workspace list", "prune --dry-run", "service list"):
        outcome(printed(line))

    # What works on a service or begins one: every name is there, without doing it.
    def python_of(python: str, words: str) -> str:
        parsed = parse(command(*words.split()[:2]), shlex.split(words)[2:])
        return python_code.command_program(Result(python=python, data={}), context(), parsed)

    deploy = python_of(
        "Model.deploy(ws, 'c', ['churn:1'], inference_config)", "model deploy c -m churn:1 --script s.py"
    )
    assert "inference_config = InferenceConfig(entry_script='s.py')" in deploy
    filed = python_of("Model.deploy(ws, 'c', [], inference_config)", "model deploy c -ic 'my conf.json'")
    assert "inference_config = InferenceConfig(**read_inference_config('my conf.json'))" in filed
    keyed = python_of(
        "Model.deploy(ws, 'c', [], AciWebservice.deploy_configuration(primary_key=***))", "model deploy c"
    )
    update = python_of(
        "service.add_tags({'a': 'b'})\nservice.update(description='x')", "service update c --add-tag a=b"
    )
    assert "service = Webservice(ws, 'c')" in update
    for text in (deploy, filed, keyed, update):
        assert not python_code.undefined_names(text) and compile(text, "printed", "exec")


def test_what_is_not_used_is_said(folder: Path) -> None:
    run(["workspace", "create"], context=context())
    ctx = context()
    run(shlex.split("model list -g group --subscription-id s"), context=ctx)
    assert said(ctx).count("is not used here") == 2


# Completion -----------------------------------------------------------------------------------------------------


def test_completion(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(b"model")
    for name in ("churn", "cats"):
        run(["model", "register", name, "model.pkl"], context=context())
    ctx = context()
    line = commands.complete_line
    assert line(["mo"], ctx) == ["model"]
    assert line(["model", "de"], ctx) == ["delete", "deploy"]
    assert line(["service", "get"], ctx) == ["get-access-token", "get-keys", "get-logs"]
    assert line(["model", "deploy", "--over"], ctx) == ["--overwrite"]
    assert line(["model", "deploy", "--to", "a"], ctx) == ["aci", "aks", "aksendpoint"]
    assert line(["model", "deploy", "-m", "c"], ctx) == ["cats", "cats:1", "churn", "churn:1"]
    assert line(["model", "deploy", "-m", "cats:1", "ch"], ctx) == ["churn", "churn:1"]
    assert line(["model", "deploy", "--ae", "t"], ctx) == ["true"]
    assert line(["model", "show", "ch"], ctx) == ["churn", "churn:1"]
    assert line(["model", "register", "x", "mod"], ctx) == ["model.pkl"]
    assert line(["model", "deploy", "-ic", "mo"], ctx) == ["model.pkl"]
    assert line(["service", "show", ""], ctx) == []
    assert line(["service", "show", "a", "b"], ctx) == []
    assert line(["nothing", "x"], ctx) == []
    assert "--json" in line(["prune", "-"], ctx)


def test_completion_without_a_workspace(folder: Path) -> None:
    assert commands.complete_line(["model", "show", ""], context()) == []
    assert not (folder / ".mldeploy").exists()


# Results as data ------------------------------------------------------------------------------------------------


def test_every_error_is_data(folder: Path) -> None:
    for line in ("model show nothing", "model lst", "workspace show"):
        with pytest.raises(MldeployError) as caught:
            run(shlex.split(line), context=context())
        data = json.loads(json.dumps(caught.value.as_dict()))
        assert data["code"] and data["what"] and data["hint"]
