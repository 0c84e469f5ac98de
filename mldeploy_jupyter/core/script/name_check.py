"""Refuses a script whose requests are bound to fail because `run()` uses a name that nothing defines.

`lint` reports every undefined name as a warning; this module proves which of them a request reaches. What it cannot
prove stays a warning: a script may define names while it runs.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import sys
from collections.abc import Container, Iterator
from functools import lru_cache
from types import CodeType

from mldeploy_jupyter.core.errors import EntryScriptError
from mldeploy_jupyter.core.script.entry_script import (
    EntryScript,
    Function,
    check,
    is_generator,
    iter_bindings,
    names_in,
    own_nodes,
    parse_and_compile,
)
from mldeploy_jupyter.core.script.lint import contains_exception, find_undefined_names, global_loads, iter_scopes

# How surely a request evaluates an expression. GUARDED: it handles a NameError, or runs only after another failure.
GUARDED, SOMETIMES, ALWAYS = 0, 1, 2

# A script that uses one of these may define names that its source does not show.
_DYNAMIC_NAMES = frozenset({"exec", "globals", "locals", "__builtins__", "builtins", "__main__", "gettext"})
_DYNAMIC_ATTRIBUTES = frozenset({"__dict__", "__globals__", "f_globals", "modules", "load_session", "load_module"})

_IMPORTS = {
    "DataFrame": "from pandas import DataFrame",
    "Series": "from pandas import Series",
    "ndarray": "from numpy import ndarray",
    "np": "import numpy as np",
    "pd": "import pandas as pd",
    "pl": "import polars as pl",
    "plt": "import matplotlib.pyplot as plt",
    "sns": "import seaborn as sns",
    "sp": "import scipy as sp",
    "st": "import streamlit as st",
    "tf": "import tensorflow as tf",
    "nn": "from torch import nn",
    "Path": "from pathlib import Path",
    "datetime": "from datetime import datetime",
    "partial": "from functools import partial",
    "deepcopy": "from copy import deepcopy",
    "defaultdict": "from collections import defaultdict",
    "AMLResponse": "from azureml.contrib.services.aml_response import AMLResponse",
    "AMLRequest": "from azureml.contrib.services.aml_request import AMLRequest",
    "rawhttp": "from azureml.contrib.services.aml_request import rawhttp",
    "Model": "from azureml.core.model import Model",
}  # names that are commonly used without their import


def check_source(text: str, filename: str, notebook_names: Container[str] = ()) -> EntryScript:
    """Checks that the script can serve, as `entry_script.check` does, and that `run()` has the names it needs.

    `notebook_names` are the variables of the notebook, which the message then speaks of.

    Raises:
        EntryScriptError: what `entry_script.check` raises. Also when `run()`, or a function that it calls, uses a name
            that is defined nowhere (code `name-error`, or `notebook-name` for one of the notebook's), or that only
            `init()` has, for lack of `global` (`global-missing`).
    """
    try:
        return _check_once(text, filename)
    except EntryScriptError:
        pass
    script = check(text, filename)
    _check_names(text, filename, notebook_names)  # says more, since it knows the notebook's names
    return script


@lru_cache(maxsize=16)
def _check_once(text: str, filename: str) -> EntryScript:
    """A script that is right is checked once, by the cell that writes it, not again by each deployment."""
    script = check(text, filename)
    _check_names(text, filename, ())
    return script


def _check_names(text: str, filename: str, notebook_names: Container[str]) -> None:
    undefined = dict(find_undefined_names(text))
    if not undefined:
        return
    tree, code = parse_and_compile(text, filename)
    if _may_define_names(tree, filename):
        return
    owners = find_local_owners(tree, code)
    for name, line, certainty in sorted(_uses_in_run(tree, code, set(undefined)), key=lambda use: use[1]):
        owner = owners.get(name)
        if certainty == ALWAYS or (owner and certainty == SOMETIMES):
            raise _error(name, line, owner, text, filename, tree, notebook_names)


def find_local_owners(tree: ast.Module, code: CodeType) -> dict[str, str]:
    """The names that `init()`, or a function that it calls, assigns as local variables, each with that function."""
    functions = _plain_functions(tree)
    scopes = {scope.co_name: scope for scope in code.co_consts if isinstance(scope, CodeType)}
    owners: dict[str, str] = {}
    waiting = ["init"]
    seen = set()
    while waiting:
        function = waiting.pop(0)
        scope, node = scopes.get(function), functions.get(function)
        if scope is None or node is None or function in seen:
            continue
        seen.add(function)
        arguments = scope.co_argcount + scope.co_kwonlyargcount
        for name in {*scope.co_varnames[arguments:], *scope.co_cellvars} - set(scope.co_varnames[:arguments]):
            owners.setdefault(name, function)
        waiting += sorted(names_in(node) & set(functions))
    return owners


def suggest_definition(name: str, tree: ast.Module | None = None) -> str:
    """How to get the name: a spelling that the script has, or an import; "" when there is none to suggest."""
    bound = [other for other, _ in iter_bindings(tree.body)] if tree is not None else []
    near = difflib.get_close_matches(name, bound, 1, 0.75)
    if near:
        return f"did you mean {near[0]}?"
    if name in _IMPORTS:
        return f"write {_IMPORTS[name]}"
    try:
        found = name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        found = False
    return f"write import {name}" if found else ""


def _error(
    name: str,
    line: int,
    owner: str | None,
    text: str,
    filename: str,
    tree: ast.Module,
    notebook_names: Container[str],
) -> EntryScriptError:
    if owner:
        code, what = "global-missing", f"{name} is known only inside {owner}()"
        why = f"{owner}() assigns it without the statement global {name}, so run() does not see it"
        hint = f"write global {name} as the first line of {owner}()"
    elif name in notebook_names:
        code, what = "notebook-name", f"the script uses {name}, which exists only in the notebook"
        why = "a service runs the script alone, without the notebook's variables"
        hint = f"define or import {name} in {filename}"
    else:
        code, what = "name-error", f"{name} is not defined"
        why = "run() uses it, and the script neither defines nor imports it"
        suggested = suggest_definition(name, tree)
        hint = suggested or f"define or import {name} in {filename}, or correct the name"
    shown = next(iter(text.splitlines()[line - 1 : line]), "")
    return EntryScriptError(
        what, why=why, hint=hint, where=f"{filename} line {line}", code=code, line=line, column=1, text=shown
    )


def _may_define_names(tree: ast.Module, filename: str) -> bool:
    own_module = filename.rpartition("/")[2].removesuffix(".py")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in _DYNAMIC_NAMES:
            return True
        if isinstance(node, ast.Attribute) and node.attr in _DYNAMIC_ATTRIBUTES:
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "vars" and not node.args:
            return True
        if isinstance(node, ast.Import | ast.ImportFrom):
            named = {alias.name.partition(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                named = {(node.module or "").partition(".")[0], *(named if not node.module else ())}
                named |= {"builtins"} if any(alias.name in _DYNAMIC_ATTRIBUTES for alias in node.names) else set()
            if named & {"builtins", "__main__", own_module}:
                return True
    return False


def _plain_functions(tree: ast.Module) -> dict[str, Function]:
    """The functions at the top level that their name surely stands for: bound once, without decorators."""
    bindings = list(iter_bindings(tree.body))
    names = [name for name, _ in bindings]
    return {
        name: node
        for name, node in bindings
        if isinstance(node, Function) and names.count(name) == 1 and not node.decorator_list
    }


def _uses_in_run(tree: ast.Module, code: CodeType, undefined: set[str]) -> Iterator[tuple[str, int, int]]:
    """Where a request loads one of the `undefined` names: name, line, and how surely."""
    run = dict(iter_bindings(tree.body)).get("run")
    if not isinstance(run, Function):
        return
    loads = {load for scope in iter_scopes(code) for load in global_loads(scope)}
    for node, certainty in _Reach(_plain_functions(tree), loads).walk_function(run, ALWAYS):
        if node.id in undefined:
            yield node.id, node.lineno, certainty


class _Reach:
    """Walks what a request evaluates. `loads` are the places, as (name, line, column), where a global is loaded."""

    def __init__(self, functions: dict[str, Function], loads: set[tuple[str, int, int]]) -> None:
        self._functions = functions
        self._loads = loads
        self._entered: dict[str, int] = {}  # function -> how surely it was walked

    def walk_function(self, function: Function, certainty: int) -> Iterator[tuple[ast.Name, int]]:
        if self._entered.get(function.name, -1) >= certainty:
            return
        self._entered[function.name] = certainty
        yield from self._walk_body(function.body, certainty)

    def _walk_body(self, body: list[ast.stmt], certainty: int) -> Iterator[tuple[ast.Name, int]]:
        for statement in body:
            yield from self._walk(statement, certainty)
            if isinstance(statement, ast.Return | ast.Raise | ast.Break | ast.Continue):
                return

    def _walk(self, node: ast.AST, certainty: int) -> Iterator[tuple[ast.Name, int]]:
        sometimes = min(certainty, SOMETIMES)
        if isinstance(node, ast.Name):
            if (node.id, node.lineno, node.col_offset) in self._loads:
                yield node, certainty
                if node.id in self._functions:  # passed on, and called by someone else
                    yield from self.walk_function(self._functions[node.id], sometimes)
        elif isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            parts = [node.func, *node.args, *(keyword.value for keyword in node.keywords)]
            for part in parts:
                if part is node.func and called in self._functions:
                    if (called, part.lineno, part.col_offset) in self._loads:
                        function = self._functions[called]
                        yield from self.walk_function(function, sometimes if is_generator(function) else certainty)
                else:
                    yield from self._walk(part, certainty)
        elif isinstance(node, Function | ast.Lambda):
            outside = [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
            outside += node.decorator_list if isinstance(node, Function) else []
            for part in outside:
                yield from self._walk(part, certainty)
            if isinstance(node, Function):
                yield from self._walk_body(node.body, sometimes)
            else:
                yield from self._walk(node.body, sometimes)
        elif isinstance(node, ast.Try | ast.TryStar):
            guarded = any(_is_guard(handler) for handler in node.handlers)
            yield from self._walk_body(node.body, GUARDED if guarded else certainty)
            for handler in node.handlers:
                yield from self._walk_body(handler.body, GUARDED)
            yield from self._walk_body(node.orelse, certainty)
            yield from self._walk_body(node.finalbody, certainty)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            conditional = any(generator.ifs for generator in node.generators)
            for generator in node.generators:
                for part in (generator.iter, *generator.ifs):
                    yield from self._walk(part, certainty if part is generator.iter else sometimes)
            for part in elements:
                yield from self._walk(part, sometimes if conditional else certainty)
        else:
            yield from self._walk_parts(node, certainty, _conditional_parts(node))

    def _walk_parts(self, node: ast.AST, certainty: int, conditional: set[int]) -> Iterator[tuple[ast.Name, int]]:
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                inside = SOMETIMES if id(value) in conditional else certainty
                yield from self._walk_body(value, min(certainty, inside))
                continue
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, ast.AST):
                    inside = SOMETIMES if id(part) in conditional else certainty
                    yield from self._walk(part, min(certainty, inside))


def _conditional_parts(node: ast.AST) -> set[int]:
    """The parts of a node, by `id`, that are evaluated only at times."""
    parts: list[object] = []
    if isinstance(node, ast.If | ast.IfExp):
        parts = [node.body, node.orelse]
    elif isinstance(node, ast.For | ast.AsyncFor | ast.While):
        parts = [node.orelse]
    elif isinstance(node, ast.BoolOp):
        parts = [*node.values[1:]]
    elif isinstance(node, ast.Compare):
        parts = [*node.comparators[1:]]
    elif isinstance(node, ast.Assert):
        parts = [node.msg]
    elif isinstance(node, ast.Match):
        parts = [*node.cases]
    elif isinstance(node, ast.AnnAssign):
        parts = [node.annotation]  # not evaluated in a function
    return {id(part) for part in parts}


def _is_guard(handler: ast.ExceptHandler) -> bool:
    """Whether the request may still be answered after this handler caught a NameError.

    One that raises again, or answers with the text of the exception, as scripts of v1 do, saves nothing.
    """
    caught = {"Exception"} if handler.type is None else names_in(handler.type)
    if "NameError" in caught:
        return True
    if not caught & {"Exception", "BaseException"}:
        return False
    tainted = {handler.name} if handler.name else set()
    for node in own_nodes(handler):
        if isinstance(node, ast.Raise):
            return False
        if isinstance(node, ast.Assign) and contains_exception(node.value, tainted):
            tainted |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.Return) and node.value is not None and contains_exception(node.value, tainted):
            return False
    return True
