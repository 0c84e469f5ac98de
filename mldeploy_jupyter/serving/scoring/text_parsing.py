"""Whether `run()` parses a parameter as text itself, whatever its type hint says: v1 gave it the body as text."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Callable
from typing import Any, NamedTuple

# Functions and methods whose first argument is text: `json.loads(data)`, `pd.read_json(data)`, `io.StringIO(data)`.
_PARSERS = {
    *("loads", "read_json", "read_csv", "StringIO", "literal_eval", "safe_load", "full_load", "b64decode"),
    *("fromstring", "JSONDecoder", "model_validate_json", "parse_raw", "from_json"),
}

# Those of JSON. A parameter beside others may well be text in another form, such as an image in base64.
_JSON_PARSERS = {"loads", "read_json", "literal_eval", "JSONDecoder", "model_validate_json", "parse_raw", "from_json"}

# Methods of text: `data.strip()`.
_METHODS = {"encode", "split", "splitlines", "strip", "startswith", "lower", "upper"}

_MAX_DEPTH = 3  # of calls into functions of the script


class _Signs(NamedTuple):
    """What tells that a value is text: functions that it is given to, and methods of it."""

    parsers: set[str]
    methods: set[str]


_ANY_TEXT, _JSON = _Signs(_PARSERS, _METHODS), _Signs(_JSON_PARSERS, set())


def parses_text(run: Callable[..., Any], name: str) -> int:
    """The line on which `run()` parses the parameter as text, or gives it to a function beside it that does; or 0."""
    return _find_parsing(inspect.unwrap(run), name, _MAX_DEPTH, _ANY_TEXT)


def parses_json(run: Callable[..., Any], name: str) -> int:
    """The line on which `run()` parses the parameter as JSON, or gives it to a function beside it that does; or 0."""
    return _find_parsing(inspect.unwrap(run), name, _MAX_DEPTH, _JSON)


def _find_parsing(function: Any, name: str, depth: int, signs: _Signs) -> int:
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType):
        return 0
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return 0
    names = {name}
    for node in ast.walk(tree):  # other names of the same text: `body = data`
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in names:
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    first_line = function.__code__.co_firstlineno
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _takes_text(node, names, function, depth, signs):
            return first_line + node.lineno - 1
        if isinstance(node, ast.Call) and signs.methods and _asks_for_text(node, names):
            return first_line + node.lineno - 1
    return 0


def _takes_text(call: ast.Call, names: set[str], function: types.FunctionType, depth: int, signs: _Signs) -> bool:
    called = call.func
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id in names:
        return called.attr in signs.methods
    given = [position for position, item in enumerate(call.args) if isinstance(item, ast.Name) and item.id in names]
    if not given:
        return False
    word = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    if word in signs.parsers:
        return given[0] == 0
    helper = function.__globals__.get(word) if isinstance(called, ast.Name) else None
    if depth <= 0 or not isinstance(helper, types.FunctionType) or helper.__module__ != function.__module__:
        return False
    parameters = list(inspect.signature(helper).parameters)
    return given[0] < len(parameters) and bool(_find_parsing(helper, parameters[given[0]], depth - 1, signs))


def _asks_for_text(call: ast.Call, names: set[str]) -> bool:
    """Whether it is `isinstance(data, str)`."""
    if not isinstance(call.func, ast.Name) or call.func.id != "isinstance" or len(call.args) != 2:
        return False
    value, kind = call.args
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    is_text = any(isinstance(item, ast.Name) and item.id in ("str", "bytes") for item in kinds)
    return is_text and isinstance(value, ast.Name) and value.id in names
