"""Commands and options of `az ml` that do not exist here say what to do instead."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import COMMANDS, UsageError
from mldeploy_jupyter.commands.az.advice import ADVICE, OPTION_ADVICE
from tests.unit.commands.support import check_usage_error, run_line

LINES = [
    "folder attach -w demo -g group",
    "workspace share -w demo --user somebody --role reader",
    "model package -m churn:1 --ic inferenceconfig.json",
    "endpoint realtime create-version -n churn --vn two --tp 10",
    "endpoint realtime get-logs -n churn",
    "endpoint realtime",
    "computetarget create aks -n cluster",
    "run submit-script -c sklearn train.py",
    "experiment list",
    "environment register -d folder",
    "dataset register -f data.json",
    "service create aci -n churn",
    "image create container -n churn",
    "job create --file job.yml",
    "az ml model deploy -n churn -m 'churn model:1' --ic i.json",
    "az ml folder attach -w demo",
    "az login",
    "ml service list",
    "az",
    "model deploy churn --pi profile.json",
    "model profile churn --idi 123",
    "model profile churn --output-metadata-file out.json",
    "service list --image-digest sha256:1",
]


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_v1_says_what_to_do(line: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    check_usage_error(line, folder, snapshot)


def test_no_advice_is_about_a_command_that_exists() -> None:
    names = {command.path[:length] for command in COMMANDS for length in (1, 2, 3)}
    assert not names & ADVICE.keys()


@pytest.mark.parametrize("hint", sorted({hint for _, hint in [*ADVICE.values(), *OPTION_ADVICE.values()]}))
def test_the_advised_command_exists(hint: str) -> None:
    for part in hint.split("mldeploy ")[1:]:
        words = [word.rstrip(",") for word in shlex.split(part.partition(", ")[0])]
        command = max((c for c in COMMANDS if tuple(words[: len(c.path)]) == c.path), key=lambda c: len(c.path))
        flags = {flag for param in command.all_params for flag in param.flags}
        assert {word for word in words if word.startswith("-")} <= flags


def test_help_of_a_command_of_v1_says_the_same() -> None:
    with pytest.raises(UsageError, match="'computetarget' is not a command"):
        run_line("computetarget --help")
