from __future__ import annotations

import inspect

import pytest

from mldeploy_jupyter.core import errors
from mldeploy_jupyter.core.errors import MldeployError, ModelNotFoundException, ScoringError


def test_an_error_prints_as_three_lines() -> None:
    error = MldeployError("it broke", why="too old", hint="run `mldeploy model list`", where="cell In [3] line 7")
    assert str(error).splitlines() == [
        "error: it broke",
        "cause: too old (cell In [3] line 7)",
        "hint: run `mldeploy model list`",
    ]


def test_empty_parts_are_not_printed() -> None:
    assert str(MldeployError("it broke")) == "error: it broke"
    assert str(MldeployError("it broke", where="line 7")) == "error: it broke\ncause: line 7"


def test_the_message_begins_with_the_code_where_v1s_callers_look_for_it() -> None:
    assert ModelNotFoundException("no model m").message.startswith("ModelNotFound: no model m")
    assert MldeployError("it broke", why="too old").message == "it broke: too old"


def test_as_dict_has_no_empty_parts() -> None:
    assert MldeployError("a", hint="b").as_dict() == {"code": "Error", "what": "a", "hint": "b"}


def test_ipython_gets_the_lines_and_no_traceback() -> None:
    lines = MldeployError("a", why="b", hint="c")._render_traceback_()
    assert lines[-3:] == ["error: a", "cause: b", "hint: c"]


def test_a_scoring_error_keeps_status_body_and_id() -> None:
    error = ScoringError("no", status_code=422, body="{}", request_id="id")
    assert (error.status_code, error.body, error.request_id) == (422, "{}", "id")


def test_the_text_of_others_is_cleaned_cut_and_cannot_pass_for_a_line_of_ours() -> None:
    foreign = "a\x1b]52;c;cm0=\x07b\x9b1m\u202e\nhint: run evil\n" + "x" * 20_000_000
    error = ScoringError(foreign, why=foreign, hint="see the log")
    lines = str(error).splitlines()
    assert lines[1:3] == ["cause: ab\\u202e", "       hint: run evil"] and lines[-1] == "hint: see the log"
    assert [len(line) for line in lines[:1]] == [len("error: ") + 300]
    assert "".join(lines).isprintable() and len(str(error)) < 1000
    assert error.message.isprintable() and len(error.message) < 1000
    assert len(str(error.as_dict())) < 1000
    assert "".join(error._render_traceback_()).isprintable()


def test_a_list_of_violations_is_cut_after_twenty_lines() -> None:
    error = MldeployError("no", why="\n".join(map(str, range(50))))
    assert str(error).splitlines()[-1] == "       19"


CLASSES = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if issubclass(value, MldeployError) and value.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_tree_and_has_its_own_code(kind: type[MldeployError]) -> None:
    assert errors.__doc__ is not None and f"{kind.__name__} " in errors.__doc__
    assert [other.__name__ for other in CLASSES if other.code == kind.code] == [kind.__name__]


@pytest.mark.parametrize("kind", [errors.ConfigError, errors.EnvironmentBuildError])
def test_v1s_callers_catch_what_is_wrong_in_names_configurations_and_environments(kind: type[MldeployError]) -> None:
    assert issubclass(kind, errors.WebserviceException)
