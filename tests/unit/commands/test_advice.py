"""What an error advises is what helps: no circle, no option that does not exist, no way to a stranger's package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mldeploy_jupyter import InferenceConfig
from mldeploy_jupyter.commands import COMMANDS, COMMON, UsageError, command, parse
from mldeploy_jupyter.core.errors import ConfigError
from mldeploy_jupyter.notebook.magics import magics
from mldeploy_jupyter.notebook.session import Session

ROOT = Path(__file__).parents[3]


def refused(*words: str) -> UsageError:
    item = command(*words[:2])
    with pytest.raises(UsageError) as caught:
        parse(item, words[2:])
    return caught.value


def test_a_number_of_lines_is_not_taken_for_a_name() -> None:
    assert "-l 5" in refused("service", "get-logs", "churn", "-n", "5").hint


def test_an_option_is_suggested_in_its_usual_spelling() -> None:
    assert refused("service", "get-logs", "churn", "--nmu_lines", "5").hint == "did you mean --num-lines?"


def test_a_positional_that_is_missing_is_named_as_the_usage_does() -> None:
    assert refused("script", "check").what == "mldeploy script check needs FILE"


def test_a_misspelt_script_is_no_matter_of_an_inference_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "score.py").touch()
    with pytest.raises(ConfigError) as caught:
        InferenceConfig(entry_script="scoer.py").validate_configuration()
    assert str(caught.value) == (
        f"error: there is no entry script scoer.py\ncause: looked for {tmp_path}/scoer.py\nhint: did you mean score.py?"
    )


# Every text that a snapshot pins, with the commands, options and pages that its hints name.
HINTS = [
    (path, match[1])
    for path in sorted((ROOT / "tests").rglob("*.ambr"))
    for match in re.finditer(r"^ *'?hint: (.*(?:\n {8,}\S.*)*)", path.read_text("utf-8"), re.MULTILINE)
]

FLAGS = {
    flag
    for item in (*COMMANDS, *(m.command for m in magics(Session(None)) if m.command))
    for p in item.all_params
    for flag in p.flags
}
FLAGS |= {flag for param in COMMON for flag in param.flags}

# Options of other programs that hints name: pip, uv, conda, and of requirements files.
FOREIGN = {
    *("--extra-index-url", "--index-url", "--force-reinstall", "--user", "--no-builds", "--from-history", "--hash"),
    *("--format", "--version", "--help", "--help-all", "--find-links", "--export"),
}


def test_there_are_hints_to_look_at() -> None:
    assert len(HINTS) > 100


@pytest.mark.parametrize(("path", "hint"), HINTS, ids=range(len(HINTS)))
def test_what_a_hint_names_exists(path: Path, hint: str) -> None:
    hint = re.sub(r"\s+", " ", hint)
    names = {item.name for item in COMMANDS}
    groups = {name.split()[0] for name in names}
    for match in re.finditer(r"(?<![\w./-])%?mldeploy ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", hint):
        words = [word for word in match.groups() if word]
        assert words[0] in groups, f"{path}: {hint}"
        if words[0] not in names and not hint[match.end() :].startswith(" --help"):
            assert " ".join(words) in names, f"{path}: {hint}"
    for match in re.finditer(r"(?<!\S)`?%%?([a-z_]+)", hint):
        assert match[1] in {m.name for m in magics(Session(None))} | {"pip"}, f"{path}: {hint}"
    for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", hint):
        assert flag in FLAGS | FOREIGN, f"{path}: {hint}"
    for page in re.findall(r"\b(docs/[\w/-]+\.md)\b", hint):
        assert (ROOT / page).is_file(), f"{path}: {hint}"
