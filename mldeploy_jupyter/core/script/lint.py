"""Finds what will go wrong in a service although the entry script can be imported, from its source."""

from __future__ import annotations

import ast
import builtins
import dis
from collections.abc import Iterator
from types import CodeType

from mldeploy_jupyter.core.script.entry_script import Function, iter_bindings, names_in, parse_and_compile

# Names that every module has, besides the builtins.
MODULE_NAMES = frozenset(
    {"__name__", "__file__", "__doc__", "__package__", "__spec__", "__loader__", "__builtins__", "__annotations__"}
    | {"__cached__", "__dict__", "__path__", "__debug__", "__class__", "__module__", "__qualname__"}
)

# Names that IPython adds to the builtins of a kernel; a service lacks them.
KERNEL_NAMES = frozenset({"display", "get_ipython", "__IPYTHON__"})


def find_undefined_names(text: str) -> list[tuple[str, int]]:
    """The names the script uses but neither defines nor imports, each with the line of its first use.

    In a service these raise `NameError`. Empty when a `from x import *` makes it impossible to tell. Raises
    `EntryScriptError` for a syntax error.
    """
    tree, code = parse_and_compile(text, "score.py")
    if "*" in dict(iter_bindings(tree.body)):  # allowed at the top only
        return []
    # The compiler has already resolved the scope of every name, so its instructions are read instead of the tree.
    defined, used = set(), dict[str, int]()
    for scope in _scopes(code):
        own = set()
        for instruction in dis.get_instructions(scope):
            name, operation = instruction.argval, instruction.opname
            if operation == "STORE_GLOBAL" or (operation == "STORE_NAME" and scope is code):
                defined.add(name)
            elif operation == "STORE_NAME":
                own.add(name)  # a class body
            elif operation in {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"} and name not in own:
                positions = instruction.positions
                line = (positions.lineno if positions else None) or 0
                used[name] = min(line, used.get(name, line))
    known = defined | MODULE_NAMES | (set(dir(builtins)) - KERNEL_NAMES)
    return sorted(((name, line) for name, line in used.items() if name not in known), key=lambda item: item[1])


def find_init_locals(text: str) -> set[str]:
    """The names that are local to `init()`, as assigned names are without `global`. Raises `EntryScriptError`."""
    _, code = parse_and_compile(text, "score.py")
    for scope in _scopes(code):
        if scope.co_qualname == "init":
            return set(scope.co_varnames) | set(scope.co_cellvars)
    return set()


def find_swallowed_exception(text: str) -> int | None:
    """The line where `run()` returns the text of an exception it caught, or None.

    Every failure of the model then looks like a good answer (HTTP 200). Raises `EntryScriptError` for a syntax error.
    """
    tree, _ = parse_and_compile(text, "score.py")
    run = dict(iter_bindings(tree.body)).get("run")
    if not isinstance(run, Function):
        return None
    for handler in (node for node in _own_nodes(run) if isinstance(node, ast.ExceptHandler)):
        if handler.type is not None and not names_in(handler.type) & {"Exception", "BaseException"}:
            continue
        tainted = {handler.name} if handler.name else set()
        for node in _own_nodes(handler):
            if not isinstance(node, ast.Assign | ast.AnnAssign | ast.Return) or node.value is None:
                continue
            if not _contains_exception(node.value, tainted):
                continue
            if isinstance(node, ast.Return):
                return node.lineno
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            tainted |= {target.id for target in targets if isinstance(target, ast.Name)}
    return None


def _scopes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _scopes(constant)


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below `node` in source order, without those in nested functions and classes."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.ClassDef | ast.Lambda):
            yield child
            yield from _own_nodes(child)


def _contains_exception(value: ast.expr, tainted: set[str]) -> bool:
    # An AMLResponse has a status code of its own, so clients see the failure.
    if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] == "AMLResponse":
        return False
    calls = {ast.unparse(child.func).rpartition(".")[2] for child in ast.walk(value) if isinstance(child, ast.Call)}
    return bool(names_in(value) & tainted or "format_exc" in calls or "exc_info" in calls)
