"""What holds for every command."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from mldeploy_jupyter.commands import COMMANDS, Command, parse, run
from mldeploy_jupyter.commands.parser import find_command
from mldeploy_jupyter.core.errors import MldeployError
from tests.unit.commands.support import make_context, notes, run_line


@pytest.mark.parametrize("item", COMMANDS, ids=lambda item: item.name)
def test_no_two_options_share_a_flag(item: Command) -> None:
    flags = [flag for param in item.all_params for flag in param.flags]
    names = [param.name for param in item.all_params]
    assert len(flags) == len(set(flags))
    assert len(names) == len(set(names))


@pytest.mark.parametrize("item", COMMANDS, ids=lambda item: item.name)
def test_the_example_of_every_command_can_be_parsed(item: Command) -> None:
    found, rest = find_command(shlex.split(item.example), COMMANDS)
    assert found is item
    parse(item, rest)


def test_what_is_not_used_is_notes(folder: Path) -> None:
    run(["workspace", "create"], context=make_context())
    ctx = make_context()
    run(shlex.split("model list -g group --subscription-id s"), context=ctx)
    assert notes(ctx).count("is not used here") == 2


def test_every_error_is_data(folder: Path) -> None:
    for line in ("model show nothing", "model lst", "workspace show"):
        with pytest.raises(MldeployError) as caught:
            run_line(line)
        data = json.loads(json.dumps(caught.value.as_dict()))
        assert data["code"] and data["what"] and data["hint"]


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
    run_line("model register -n m -p m.pkl --property p=1")
    with pytest.raises(MldeployError) as caught:
        run_line(line)
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
    run_line("model register -n m -p m.pkl")
    with pytest.raises(MldeployError) as caught:
        run_line(line)
    assert option in caught.value.hint and caught.value.why
