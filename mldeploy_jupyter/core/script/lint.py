"""Finds problems that an entry script will have in a service, from its source, although it can be imported."""

from __future__ import annotations

import ast
import builtins
import dis
from collections.abc import Iterator
from types import CodeType

from mldeploy_jupyter.core.script.entry_script import (
    Function,
    iter_bindings,
    names_in,
    own_nodes,
    parse_and_compile,
)

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
    for scope in iter_scopes(code):
        for instruction in dis.get_instructions(scope):
            if instruction.opname == "STORE_GLOBAL" or (instruction.opname == "STORE_NAME" and scope is code):
                defined.add(instruction.argval)
        for name, line, _ in global_loads(scope):
            used[name] = min(line, used.get(name, line))
    known = defined | MODULE_NAMES | (set(dir(builtins)) - KERNEL_NAMES)
    return sorted(((name, line) for name, line in used.items() if name not in known), key=lambda item: item[1])


def find_swallowed_exception(text: str) -> int | None:
    """The line where `run()` returns the text of an exception it caught, or None.

    Every failure of the model then looks like a good answer (HTTP 200). Raises `EntryScriptError` for a syntax error.
    """
    tree, _ = parse_and_compile(text, "score.py")
    run = dict(iter_bindings(tree.body)).get("run")
    if not isinstance(run, Function):
        return None
    for handler in (node for node in own_nodes(run) if isinstance(node, ast.ExceptHandler)):
        if handler.type is not None and not names_in(handler.type) & {"Exception", "BaseException"}:
            continue
        tainted = {handler.name} if handler.name else set()
        for node in own_nodes(handler):
            if not isinstance(node, ast.Assign | ast.AnnAssign | ast.Return) or node.value is None:
                continue
            if not contains_exception(node.value, tainted):
                continue
            if isinstance(node, ast.Return):
                return node.lineno
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            tainted |= {target.id for target in targets if isinstance(target, ast.Name)}
    return None


def find_text_read_as_file(text: str) -> int | None:
    """The line where `run()` hands its body, a text, to `read_json()` of pandas, or None.

    pandas 3 takes it for the name of a file. Raises `EntryScriptError` for a syntax error.
    """
    tree, _ = parse_and_compile(text, "score.py")
    run = dict(iter_bindings(tree.body)).get("run")
    if not isinstance(run, Function):
        return None
    nodes = list(own_nodes(run))
    texts = {argument.arg for argument in (*run.args.posonlyargs, *run.args.args)}
    texts -= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    # What a client wrote as JSON inside of JSON: `json.loads(data)["rows"]`.
    parsed = [node for node in nodes if isinstance(node, ast.Assign) and _is_of_json(node.value)]
    texts |= {target.id for node in parsed for target in node.targets if isinstance(target, ast.Name)}
    for node in nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "read_json" and node.args:
            given = node.args[0]
            if _is_of_json(given) or (isinstance(given, ast.Name) and given.id in texts):
                return node.lineno
    return None


def _is_of_json(value: ast.expr) -> bool:
    """Whether it is what `json.loads` or `json.dumps` returned, or an item of it."""
    while isinstance(value, ast.Subscript):
        value = value.value
    functions = ("json.dumps", "dumps", "json.loads", "loads")
    return isinstance(value, ast.Call) and ast.unparse(value.func) in functions


def global_loads(scope: CodeType) -> Iterator[tuple[str, int, int]]:
    """Where the code loads names that are not its own, without its inner scopes: name, line (from 1), column (from 0).

    Line and column are 0 where Python keeps none.
    """
    own = set()
    for instruction in dis.get_instructions(scope):
        name, operation = instruction.argval, instruction.opname
        if operation == "STORE_NAME" and scope.co_name != "<module>":
            own.add(name)  # a class body
        elif operation in {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"} and name not in own:
            positions = instruction.positions
            yield name, (positions.lineno if positions else 0) or 0, (positions.col_offset if positions else 0) or 0


def iter_scopes(code: CodeType) -> Iterator[CodeType]:
    """The code of the module, and of every function, class and comprehension in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from iter_scopes(constant)


def contains_exception(value: ast.expr, tainted: set[str]) -> bool:
    # An AMLResponse has a status code of its own, so clients see the failure.
    if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] == "AMLResponse":
        return False
    calls = {ast.unparse(child.func).rpartition(".")[2] for child in ast.walk(value) if isinstance(child, ast.Call)}
    return bool(names_in(value) & tainted or "format_exc" in calls or "exc_info" in calls)
