"""Words in, command and arguments out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import COMMANDS, UsageError, command, parse
from mldeploy_jupyter.commands.parser import find_command
from tests.unit.commands.support import check_usage_error, parse_line, run_line

WRONG = [
    "modle list",
    "model lst",
    "model",
    "service --json",
    "deploy churn",
    "xyzzy",
    "version",
    "model deploy --entry-scrip score.py",
    "model list --latst",
    "model list --zzzzzz",
    "model register -p model.pkl",
    "model register churn a.pkl b.pkl",
    "model register churn -n other a.pkl",
    "model deploy -n",
    "model deploy --port",
    "model deploy --port --json",
    "model deploy --description -draft-",
    "model deploy --overwrite=yes",
    "model deploy x --to asure",
    "model deploy x --cc many",
    "model deploy x --ae perhaps",
    "model deploy x --nr 2.5 --to aks",
    "service list -c local --tga a",
    "model list -o xml",
    "model list --query [0",
]


@pytest.mark.parametrize("line", WRONG)
def test_usage_errors(line: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    check_usage_error(line, folder, snapshot)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("churn --inference-config i.json", "inference_config", "i.json"),
        ("churn --deploy-config=d.json", "deploy_config", "d.json"),
        ("churn --workspace demo", "path", "demo"),
        ("churn --environment e", "environment_name", None),  # it may also be the directory or the version
        ("churn --entry score.py", "entry_script", "score.py"),
        ("churn -v", "verbose", True),
        ("churn --debug --verbose", "verbose", True),
    ],
)
def test_an_option_may_lack_its_last_words(line: str, name: str, value: object) -> None:
    if value is None:
        with pytest.raises(UsageError, match="is not an option"):
            parse_line("model deploy", line)
    else:
        assert getattr(parse_line("model deploy", line), name) == value


def test_words_after_two_hyphens_are_no_options() -> None:
    assert parse_line("model register", "churn -- --model").model_path == "--model"


@given(
    st.lists(
        st.sampled_from([*"-nmpd", "--", "-", "", "model", "show", "-n", "--json", "-ic", "--ae", "=", "--x=1", "é"]),
        max_size=6,
    )
)
def test_odd_words_give_arguments_or_a_usage_error(words: list[str]) -> None:
    for read in (lambda: find_command(words or [""], COMMANDS), lambda: parse(command("model", "deploy"), words)):
        try:
            outcome = read()
        except UsageError as error:
            outcome = error.what
        assert outcome


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
def test_options_of_2019_and_later_mean_the_same(line: str) -> None:
    args = parse_line("model deploy", line)
    assert (args.name, args.model, args.inference_config, args.deploy_config) == (
        "myservice",
        ["m:1"],
        "i.json",
        "d.json",
    )
    assert (args.config_compute_target_name, args.overwrite, args.no_wait) == ("cluster", True, True)


def test_a_list_may_be_repeated_and_may_have_several_values() -> None:
    args = parse_line("model deploy", "s -m a:1 b -m c:3 --tag x=1 y --tag z=2")
    assert (args.name, args.model, args.config_tags) == ("s", ["a:1", "b", "c:3"], ["x=1", "y", "z=2"])


def test_positionals_may_stand_after_options() -> None:
    assert parse_line("service run", "-d '[1]' churn").name == "churn"
    assert parse_line("service run", "--json churn -d '[1]'").name == "churn"
    assert parse_line("service get-logs", "-f churn").follow is True
    assert parse_line("service show", "-- churn").name == "churn"


def test_toggles() -> None:
    assert parse_line("model deploy", "--ae").config_auth_enabled is True
    assert parse_line("model deploy", "--ae false").config_auth_enabled is False
    assert parse_line("model deploy", "x").config_auth_enabled is None


def test_the_form_of_the_output_may_be_written_in_capitals() -> None:
    assert parse_line("model list", "-o JSON").json is True


def test_a_target_may_be_written_in_capitals(folder: Path) -> None:
    assert parse_line("service list", "-c ACI").compute_type == "aci"
    assert parse_line("model deploy", "x --cp Local").target == "local"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("model deploy svc --cc much", "--cc cannot be 'much'"),
        ("model deploy svc --cpu-cores=much", "--cpu-cores cannot be 'much'"),
        ("model deploy svc --ae perhaps", "--ae cannot be 'perhaps'"),
        ("service get-logs svc --num_lines x", "--num_lines cannot be 'x'"),
        ("service get-logs svc -l x", "-l cannot be 'x'"),
        ("model deploy svc --to dokcer", "--to cannot be 'dokcer'"),
    ],
)
def test_a_wrong_value_is_named_by_the_flag_as_it_was_typed(folder: Path, line: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        run_line(line)
    assert caught.value.what == what


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("services", "did you mean: mldeploy service list"),
        ("models", "did you mean: mldeploy model list"),
        ("workspaces", "did you mean: mldeploy workspace list"),
        ("services show", "did you mean: mldeploy service show"),
        ("scripts", "did you mean: mldeploy script"),
        ("status", "did you mean: mldeploy service show"),
        ("score churn", "did you mean: mldeploy service run"),
        ("service status", "did you mean: mldeploy service show"),
        ("workspace init", "did you mean: mldeploy workspace create"),
        ("image serve", "run: mldeploy image --help"),
    ],
)
def test_what_a_newcomer_types_has_the_command_that_is_meant(folder: Path, line: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        run_line(line)
    assert caught.value.hint == hint
