"""Finds the keys that a script reads when it parses its body itself, and a body that it takes for data unparsed."""

from __future__ import annotations

import ast

from mldeploy_jupyter.core.errors import EntryScriptError
from mldeploy_jupyter.core.script.entry_script import Function, iter_bindings, names_in, own_nodes, parse_and_compile

# Functions and methods that take data and do not parse text.
_TAKE_DATA = frozenset({
    *("DataFrame", "Series", "array", "asarray", "atleast_2d", "tensor", "as_tensor", "from_numpy", "reshape"),
    *("predict", "predict_proba", "transform", "decision_function", "model", "get", "items", "tolist", "len", "print"),
})  # fmt: skip

_PARSERS = ("json.loads", "loads", "orjson.loads", "ujson.loads")


def find_body_keys(text: str) -> list[str]:
    """The keys that `run()` reads of the JSON object in its first parameter, in the order of the source.

    Empty where it parses nothing, reads no key, or is not Python.
    """
    try:
        tree, _ = parse_and_compile(text, "score.py")
    except EntryScriptError:
        return []
    run = dict(iter_bindings(tree.body)).get("run")
    if not isinstance(run, Function) or not (arguments := [*run.args.posonlyargs, *run.args.args]):
        return []
    body = arguments[0]
    nodes = list(own_nodes(run))
    parsed = {body.arg} if _is_object(body.annotation) else set()
    for node in nodes:
        if isinstance(node, ast.Assign) and _parses(node.value, body.arg):
            parsed |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    found = []
    for node in nodes:
        source, key = _read_key(node)
        is_body = (isinstance(source, ast.Name) and source.id in parsed) or _parses(source, body.arg)
        if is_body and isinstance(key, ast.Constant) and isinstance(key.value, str):
            found.append((key.lineno, key.col_offset, key.value))
    return list(dict.fromkeys(key for _, _, key in sorted(found)))


def find_unparsed_text(text: str) -> str:
    """The one parameter of `run()` that gets the body as text, where `run()` takes it for data and parses nothing.

    "" where it has a type, or is given to a function that may parse it.
    """
    try:
        tree, _ = parse_and_compile(text, "score.py")
    except EntryScriptError:
        return ""
    run = dict(iter_bindings(tree.body)).get("run")
    if not isinstance(run, Function) or run.decorator_list:
        return ""
    arguments = [item for item in [*run.args.args, *run.args.kwonlyargs] if item.arg != "request_headers"]
    if len(arguments) != 1 or (arguments[0].annotation and ast.unparse(arguments[0].annotation) != "str"):
        return ""
    name = arguments[0].arg
    for node in own_nodes(run):
        if isinstance(node, ast.Call) and name in names_in(node):
            if ast.unparse(node.func).rpartition(".")[2] not in _TAKE_DATA:
                return ""
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == name:
            return ""  # another name of it may be parsed
    return name


def _read_key(node: ast.AST) -> tuple[ast.expr | None, ast.expr | None]:
    """The expression that is read and the key, for `body["data"]` and `body.get("data")`."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        return node.value, node.slice
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        return node.func.value, node.args[0]
    return None, None


def _parses(value: ast.expr | None, parameter: str) -> bool:
    """Whether the value is the parameter, parsed."""
    return (
        isinstance(value, ast.Call)
        and ast.unparse(value.func) in _PARSERS
        and bool(value.args)
        and isinstance(value.args[0], ast.Name)
        and value.args[0].id == parameter
    )


def _is_object(annotation: ast.expr | None) -> bool:
    return annotation is not None and ast.unparse(annotation) in ("dict", "Dict", "dict[str, Any]")
