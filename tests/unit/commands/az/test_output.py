"""`--query` and `--output`, with the meaning that they have in `az`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.commands import COMMON, Result, UsageError
from mldeploy_jupyter.commands.az.output import OUTPUTS, read_query, shape_result
from mldeploy_jupyter.commands.grammar import Args
from tests.unit.commands.support import run_line

DATA = [
    {"name": "a", "version": 1, "live": True, "tags": {"x": "1"}, "models": ["m:1", "n:2"], "error": None},
    {"name": "b", "version": 2, "live": False, "tags": {}, "models": [], "error": "e"},
]


def shape(output: str | None, query: str | None = None, data: Any = DATA) -> Result:
    return shape_result(Result("value", "text", data), Args(output=output), read_query(query))


@pytest.mark.parametrize("output", [None, "table", "json", "jsonc"])
def test_without_a_query_a_result_is_as_it_was(output: str | None) -> None:
    assert shape(output) == Result("value", "text", DATA)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("[].name", ["a", "b"]),
        ("[0].name", "a"),
        ("[?live].{n: name, v: version}", [{"n": "a", "v": 1}]),
        ("length(@)", 2),
        ("[5].name", None),
        ("[].tags.x", ["1"]),
    ],
)
def test_a_query_alone_is_json(query: str, found: Any) -> None:
    result = shape(None, query)
    assert (result.value, result.data, json.loads(result.text)) == (None, found, found)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("[0].name", "a"),
        ("[].name", "a\nb"),
        ("[].[name, version]", "a\t1\nb\t2"),
        ("[].{n: name, live: live, error: error}", "a\tTrue\tNone\nb\tFalse\te"),
        ("[0].{models: models, tags: tags, n: name}", "2\t\ta"),
        ("[0].live", "true"),
        ("[5].name", ""),
        ('[`"a\\tb\\nc"`, name]', "a b c\nNone"),  # one line an item
        ('`"a\\nb"`', "a\nb"),
        ("[].models[]", "m:1\nn:2"),
    ],
)
def test_tsv_is_a_line_for_each_item(query: str, text: str) -> None:
    assert shape("tsv", query).text == text


def test_a_table_has_the_names_of_the_query() -> None:
    assert shape("table", "[].{name: name, t: tags, v: version}").text == "Name  V\na     1\nb     2"
    assert shape("table", "[].[name, version]").text == "Column1  Column2\na        1\nb        2"
    assert shape("table", "[].name").text == "Result\na\nb"
    assert shape("table", "[]", data=[]).text == ""


def test_yaml_and_none() -> None:
    assert shape("yaml", "[0].{n: name, models: models}").text == "n: a\nmodels:\n- m:1\n- n:2"
    assert shape("yaml", "[0].name").text == "a"
    assert shape("none").text == ""


def test_the_grammar_offers_every_format() -> None:
    assert {*next(param.choices for param in COMMON if param.name == "output")} == {*OUTPUTS}


def test_a_wrong_query_runs_no_command(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        run_line("workspace create . --query [0")
    assert caught.value.why == "invalid jmespath expression: Incomplete expression"
    assert not (folder / ".mldeploy").exists()


def test_a_query_that_does_not_fit_says_that_the_command_is_done(folder: Path) -> None:
    with pytest.raises(UsageError, match="the command itself succeeded"):
        run_line("workspace create . --query length(nope)")
    assert (folder / ".mldeploy").exists()


def test_a_query_of_a_command(folder: Path) -> None:
    (folder / "m.json").write_text("1")
    run_line("model register churn m.json")
    assert run_line("model list --query [].name -o tsv").text == "churn"
    assert run_line("model show -n churn --query {id:id,tags:tags} --json").data == {"id": "churn:1", "tags": {}}
