"""The parameters of requests and topics, checked strictly: a browser sends them, and anybody may send to a server."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mldeploy_jupyter.core import name_rules
from mldeploy_jupyter.core.journal.journal import STAGES
from mldeploy_jupyter.panel.failures import bad_request
from mldeploy_jupyter.panel.log_lines import MAX_LINES_A_PAGE

MAX_TEXT = 1000  # characters of a text
MAX_VALUE = 10_000  # characters of a value in a form
MAX_VALUES = 1000  # values in a form, and items of one value
MAX_NUMBER = 2**53 - 1  # the largest integer that JavaScript has exactly


@dataclass(frozen=True)
class Parameter:
    """One parameter. `check` returns what the value must be, "" when it is right."""

    check: Callable[[Any], str]
    required: bool = False


Parameters = Mapping[str, Parameter]


def text(pattern: str = "", rule: str = "", *, required: bool = False, limit: int = MAX_TEXT) -> Parameter:
    """A text that matches `pattern`, which `rule` says in words."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            return "must be a text"
        if len(value) > limit:
            return f"must have at most {limit} characters"
        return "" if not pattern or re.fullmatch(pattern, value) else rule

    return Parameter(check, required)


def integer(minimum: int = 0, maximum: int = MAX_NUMBER, *, required: bool = False) -> Parameter:
    """A whole number between both bounds."""

    def check(value: Any) -> str:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return "" if whole and minimum <= value <= maximum else f"must be an integer from {minimum} to {maximum}"

    return Parameter(check, required)


def number(minimum: float, maximum: float) -> Parameter:
    """A number between both bounds."""

    def check(value: Any) -> str:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if is_number and minimum <= value <= maximum else f"must be a number from {minimum:g} to {maximum:,g}"

    return Parameter(check)


def boolean() -> Parameter:
    """True or false."""
    return Parameter(lambda value: "" if isinstance(value, bool) else "must be true or false")


def choice(*words: str, required: bool = False) -> Parameter:
    """One of these words."""
    rule = f"must be one of {', '.join(words)}"
    return Parameter(lambda value: "" if isinstance(value, str) and value in words else rule, required)


def body(*, required: bool = False) -> Parameter:
    """A request's body: `{"json": text}`, or `{"base64": text, "contentType": text}`; `scoring.read_body` reads it."""
    return Parameter(lambda value: "" if isinstance(value, Mapping) else "must be an object", required)


def values(*, required: bool = False) -> Parameter:
    """The values of a form: texts, numbers, truth values, None, lists of texts and objects of texts."""

    def is_plain(value: Any) -> bool:
        return value is None or (isinstance(value, str | int | float) and len(str(value)) <= MAX_VALUE)

    def check(given: Any) -> str:
        if not isinstance(given, Mapping) or len(given) > MAX_VALUES:
            return f"must be an object with at most {MAX_VALUES} keys"
        for value in given.values():
            items = (
                [*value, *value.values()]
                if isinstance(value, Mapping)
                else value
                if isinstance(value, list)
                else [value]
            )
            if len(items) > 2 * MAX_VALUES or not all(is_plain(item) for item in items):
                return "must have plain values, lists or objects of them"
        return ""

    return Parameter(check, required)


WORKSPACE: Parameters = {"workspace": text(r"[A-Za-z0-9-]{1,64}", "must be the id of a workspace")}
SERVICE_NAME = text(name_rules.SERVICE_NAME, name_rules.SERVICE_NAME_RULE)
SERVICE: Parameters = {"service": replace(SERVICE_NAME, required=True), **WORKSPACE}
DEPLOYMENT: Parameters = {
    "deployment": text(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}", "must be the id of a deployment", required=True),
    **WORKSPACE,
}
MODEL: Parameters = {
    "model": text(rf"{name_rules.MODEL_NAME}:[1-9][0-9]{{0,9}}", "must be the name:version of a model", required=True),
    **WORKSPACE,
}
LATENCY_RUN: Parameters = {
    "run": text(r"\d{8}T\d{6}-[0-9a-f]{6}", "must be the id of a latency run", required=True),
    **WORKSPACE,
}

LOG: Parameters = {
    "stage": choice(*STAGES),
    "level": choice("warning", "error"),
    "revision": integer(1, 1_000_000_000),
    "search": text(),
    "after": integer(),
    "limit": integer(1, MAX_LINES_A_PAGE),
}


def check_parameters(name: str, parameters: Parameters, given: Any) -> dict[str, Any]:
    """The given parameters. Raises `UserErrorException` for one that is missing, unknown or of another form.

    A parameter that is None counts as not given.
    """
    if not isinstance(given, Mapping):
        raise bad_request(f"{name} cannot be answered", "its parameters must be an object")
    values = {key: value for key, value in given.items() if value is not None}
    for key in values:
        if key not in parameters:
            raise bad_request(f"{name} cannot be answered", f"it has no parameter {str(key)[:60]!r}")
    for key, parameter in parameters.items():
        if key not in values:
            if parameter.required:
                raise bad_request(f"{name} cannot be answered", f"it needs the parameter {key}")
            continue
        wrong = parameter.check(values[key])
        if wrong:
            shown = repr(values[key])
            shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
            raise bad_request(f"{name} cannot be answered", f"{key} is {shown}; it {wrong}")
    return values
