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
