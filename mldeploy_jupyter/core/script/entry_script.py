"""Reads an entry script's source without running it.

An entry script defines `init()`, called once, and `run(...)`, called for each request. `check` refuses a script that
cannot serve; `lint` finds what goes wrong in one that can.
"""

from __future__ import annotations

import ast
import difflib
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import CodeType

from mldeploy_jupyter.core.errors import EntryScriptError

Function = ast.FunctionDef | ast.AsyncFunctionDef

_SCHEMA = ("input_schema", "output_schema")  # decorators that pass on what `run` returns

_KEEPS_SIGNATURE = {"update_wrapper", "__wrapped__", "__signature__"}  # as functools.wraps does

LINE_SHOWN = 100  # characters, at most, of a line of the script in a message


@dataclass(frozen=True)
class Parameter:
    """One parameter of `run`. `annotation` is its source text, "" without one."""

    name: str
    required: bool = True
    annotation: str = ""


@dataclass(frozen=True)
class EntryScript:
    """What a script defines.

    `functions` are the names of its top-level functions. `parameters`, `is_async` and `decorators` (names as written,
    without arguments) are those of `run`. `imports` are top-level module names, wherever they are imported.
    `init_line` and `run_line` count from 1.

    `known` is False when `init` or `run` is imported or assigned: what they take is then known only when they run, and
    `parameters` may be empty.
    """

    filename: str
    functions: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    is_async: bool = False
    decorators: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    init_line: int = 0
    run_line: int = 0
    known: bool = True


def check(text: str, filename: str = "score.py") -> EntryScript:
    """Checks that the script can serve, and returns what it defines.

    Raises `EntryScriptError` with the line for a syntax error, a missing `init` or `run`, an `init` that is async or
    has required parameters, a `run` without parameters or with `*args`, `**kwargs` or positional-only parameters, a
    `run` that is a generator, and a decorator that hides its parameters.
    """
    tree, _ = parse_and_compile(text, filename)
    bindings = dict(iter_bindings(tree.body))
    functions = {name: node for name, node in bindings.items() if isinstance(node, Function)}
    has_star_import = "*" in bindings  # which may bring either function
    for name in ("init", "run"):
        if name not in bindings and not has_star_import:
            raise _missing_function(name, sorted(bindings), functions, filename, text.splitlines())
    init, run = functions.get("init"), functions.get("run")
    lines = text.splitlines()
    if init is not None:
        _check_init(init, filename, lines)
    if run is not None:
        _check_decorators(run, functions, filename, lines)
        _check_run(run, filename, lines)
    return EntryScript(
        filename=filename,
        functions=tuple(functions),
        parameters=tuple(_parameters(run)) if run is not None else (),
        is_async=isinstance(run, ast.AsyncFunctionDef),
        decorators=tuple(_decorator(node) for node in run.decorator_list) if run is not None else (),
        imports=tuple(sorted(_imports(tree))),
        init_line=getattr(bindings.get("init"), "lineno", 0),
        run_line=getattr(bindings.get("run"), "lineno", 0),
        known=init is not None and run is not None,
    )


def parse_and_compile(text: str, filename: str) -> tuple[ast.Module, CodeType]:
    """The syntax tree and the code of a script. Raises `EntryScriptError` for a syntax error."""
    text = text.removeprefix("\ufeff")  # a byte order mark, which Python skips in files
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the script's own run warns of invalid escapes
            tree = ast.parse(text, filename)
            # Only the compiler finds some errors, such as `return` outside a function.
            code = compile(text, filename, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise syntax_error(error.msg, filename, error.lineno or 0, error.offset or 0, error.text or "", text) from None
    except ValueError as error:  # null bytes, on Python 3.11
        raise syntax_error(str(error), filename, 0, 0, "", text) from None
    except (RecursionError, MemoryError):
        raise syntax_error("the code is nested too deeply", filename, 0, 0, "", text) from None
    return tree, code


def syntax_error(
    message: str, filename: str, line: int, column: int, line_text: str, script: str = ""
) -> EntryScriptError:
    """The error for a script that Python cannot parse."""
    if not line_text and line:
        line_text = next(iter(script.splitlines()[line - 1 : line]), "")
    line_text = line_text.rstrip()
    hint = "correct the line, then try again"
    if line_text.lstrip().startswith(("%", "!")):
        hint = "leave magics and shell commands out of the entry script: a service runs plain Python"
    if script and "\0" in script:
        hint = "write the file again as UTF-8 text: it holds null bytes"
    message = re.sub(
        r" (?:\(detected at line \d+\)|on line \d+)$", "", message
    )  # the script's line, which is not the cell's
    shown = line_text.strip()
    shown = shown if len(shown) <= LINE_SHOWN else shown[:LINE_SHOWN] + "…"
    return EntryScriptError(
        f"{filename} has a syntax error",
        why=f"{message}: {shown}" if shown else message,
        hint=hint,
        where=f"{filename} line {line}" if line else "",
        line=line,
        column=column,
        text=line_text,
    )


def _missing_function(
    name: str, bound: list[str], functions: dict[str, Function], filename: str, lines: list[str]
) -> EntryScriptError:
    call = f"{name}()" if name == "init" else "run(data)"
    purpose = "loads the model once" if name == "init" else "answers a request"
    # Similar names are offered, such as Init or runs, but not predict.
    near = difflib.get_close_matches(name, [other for other in bound if other.lower() == name], 1, 0)
    near = near or difflib.get_close_matches(name, [b for b in bound if b not in ("init", "run")], 1, 0.6)
    node = functions.get(near[0]) if near else None
    hint = f"define {call} at the top level of {filename}: it {purpose}"
    if near:
        hint = f"did you mean {name}() by {near[0]}()? Rename it, then try again"
    line = node.lineno if node is not None else 0
    return EntryScriptError(
        f"{filename} has no {name}() function",
        why=f"a service calls {name}(); the script defines "
        + (", ".join(f"{f}()" for f in functions) or "no function"),
        hint=hint,
        where=f"{filename} line {line}" if line else "",
        line=line,
        text=next(iter(lines[line - 1 : line]), "") if line else "",
    )


def _check_init(init: Function, filename: str, lines: list[str]) -> None:
    if isinstance(init, ast.AsyncFunctionDef):
        raise _contract_error(
            init, filename, lines, "init() is async", "init() is called, not awaited", "write def init():"
        )
    positional = [*init.args.posonlyargs, *init.args.args]
    required = positional[: len(positional) - len(init.args.defaults)]
    required += [a for a, d in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True) if d is None]
    if required:
        names = ", ".join(arg.arg for arg in required)
        raise _contract_error(
            init,
            filename,
            lines,
            "init() takes parameters",
            f"it is called without any, but asks for {names}",
            "write def init(): and read what it needs from the environment or AZUREML_MODEL_DIR",
        )


def _check_run(run: Function, filename: str, lines: list[str]) -> None:
    arguments = run.args
    odd = [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    odd += [f"**{arguments.kwarg.arg}"] if arguments.kwarg else []
    hint = "name each part of the request: def run(data): or def run(data, threshold=0.5):"
    if odd:
        why = "a request is passed by the names of the parameters, and these have none"
        raise _contract_error(run, filename, lines, f"run() takes {' and '.join(odd)}", why, hint)
    if arguments.posonlyargs:
        names = ", ".join(arg.arg for arg in arguments.posonlyargs)
        why = "a request is passed by the names of the parameters"
        raise _contract_error(
            run, filename, lines, f"run() takes {names} by position only", why, "remove the / from def run(...)"
        )
    if not arguments.args and not arguments.kwonlyargs:
        raise _contract_error(
            run, filename, lines, "run() takes no parameter", "it is called with the request's body", hint
        )
    # Another decorator may collect what a generator yields.
    if is_generator(run) and all(_decorator(node).rpartition(".")[2] in _SCHEMA for node in run.decorator_list):
        raise _contract_error(
            next(node for node in own_nodes(run) if isinstance(node, ast.Yield | ast.YieldFrom)),
            filename,
            lines,
            "run() is a generator",
            "a yield makes it one, and a service sends one whole answer",
            "collect the parts in a list and return it, as in return list(...)",
        )


def _check_decorators(run: Function, functions: dict[str, Function], filename: str, lines: list[str]) -> None:
    """Refuses a decorator of the script itself whose inner function hides the parameters of `run`."""
    for node in run.decorator_list:
        maker = outer = functions.get(_decorator(node))
        # A call makes the decorator first: the inner function is one level deeper.
        for _ in range(2 if isinstance(node, ast.Call) else 1):
            maker, outer = (_returned_function(maker) if maker is not None else None), maker
        if maker is None or outer is None or maker.decorator_list or not (maker.args.vararg or maker.args.kwarg):
            continue
        raise _contract_error(
            maker,
            filename,
            lines,
            f"the decorator {_decorator(node)} hides the parameters of run()",
            "a request is passed by the names of the parameters, and the function that it puts in run()'s place "
            "has none",
            f"write @functools.wraps({next((arg.arg for arg in outer.args.args), 'function')}) above def {maker.name}",
        )


def _returned_function(maker: Function) -> Function | None:
    """The inner function that `maker` returns, if it is clear which one that is."""
    inner = {node.name: node for node in maker.body if isinstance(node, Function)}
    returned = [node.value for node in own_nodes(maker) if isinstance(node, ast.Return)]
    spelt = {getattr(node, "attr", getattr(node, "id", "")) for node in own_nodes(maker)}
    if len(returned) == 1 and isinstance(returned[0], ast.Name) and not spelt & _KEEPS_SIGNATURE:
        return inner.get(returned[0].id)
    return None


def _contract_error(
    node: Function | ast.expr, filename: str, lines: list[str], what: str, why: str, hint: str
) -> EntryScriptError:
    text = next(iter(lines[node.lineno - 1 : node.lineno]), "")
    where = f"{filename} line {node.lineno}"
    column = node.col_offset + 1
    return EntryScriptError(what, why=why, hint=hint, where=where, line=node.lineno, column=column, text=text)


def _parameters(run: Function) -> Iterator[Parameter]:
    arguments = run.args
    first_default = len(arguments.args) - len(arguments.defaults)
    for index, arg in enumerate(arguments.args):
        yield Parameter(arg.arg, index < first_default, _source(arg.annotation))
    for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield Parameter(arg.arg, default is None, _source(arg.annotation))


def _source(node: ast.expr | None) -> str:
    return ast.unparse(node) if node is not None else ""


def _decorator(node: ast.expr) -> str:
    return ast.unparse(node.func if isinstance(node, ast.Call) else node)


def _imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found


def iter_bindings(body: Iterable[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """The names that the module binds, with the statement, also below `if`, `try` and `with`. The last one counts."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef):
            yield node.name, node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0], node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for name in names_in(target):
                    yield name, node
        else:
            for part in ("body", "orelse", "finalbody", "handlers"):
                inner = getattr(node, part, None)
                if isinstance(inner, list):
                    yield from iter_bindings(inner)


def names_in(node: ast.AST) -> set[str]:
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below `node` in source order, without those in nested functions and classes."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.ClassDef | ast.Lambda):
            yield child
            yield from own_nodes(child)


def is_generator(function: Function) -> bool:
    """Whether the function has a `yield` of its own."""
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own_nodes(function))
