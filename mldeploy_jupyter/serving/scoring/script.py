"""Loads an entry script and finds out what its `run()` takes."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
import textwrap
import types
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..azureml.rawhttp import is_raw
from ..ipc.failure import ContractError
from ..schema.base import UnknownHint
from ..schema.decorators import Declared, declared_of
from ..schema.hints import resolve_hints, type_from_hint
from ..settings import Settings

HEADERS = "request_headers"


@dataclass(frozen=True)
class Parameter:
    """One parameter of `run()`. `declared` is what `@input_schema`, or else its type hint, says of it."""

    name: str
    required: bool
    declared: Declared | None = None


@dataclass(frozen=True)
class Script:
    """A loaded entry script. `mode`: `raw` (an AMLRequest), `text` (the body as a string), `bytes` (the body),

    `object` (a JSON object keyed by parameter). `parameters` leaves `request_headers` out.
    """

    module: types.ModuleType
    init: Callable[[], Any]
    run: Callable[..., Any]
    parameters: list[Parameter]
    mode: str
    wants_headers: bool
    is_async: bool
    output: Any = None
    warnings: list[str] = field(default_factory=list)

    @property
    def sample(self) -> dict[str, Any] | None:
        """The request body made of the samples; None unless every required parameter has one."""
        if self.mode != "object":
            return None
        samples = {
            p.name: p.declared.param_type for p in self.parameters if p.declared and p.declared.param_type.has_sample
        }
        if any(p.required and p.name not in samples for p in self.parameters):
            return None
        return {name: kind.dump() for name, kind in samples.items()}

    @property
    def batchable(self) -> bool:
        """Whether the rows of several requests can be given to one call: one parameter, of a type made of rows."""
        if self.mode != "object" or self.wants_headers or len(self.parameters) != 1:
            return False
        declared = self.parameters[0].declared
        return declared is not None and declared.convert and declared.param_type.has_rows()


def load_script(settings: Settings) -> Script:
    """Imports the entry script. Whatever it raises goes through; `ContractError` when it is no entry script."""
    root = Path(settings.app_root or ".").absolute()
    path = root / settings.entry_script
    source = root / settings.source_directory
    for folder in dict.fromkeys([str(path.parent), str(source)]):
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)
    # A bundle is named by its content: importing must not add compiled files to it.
    sys.dont_write_bytecode = True
    return inspect_script(_import(path))


def inspect_script(module: types.ModuleType) -> Script:
    init, run = (_function(module, name) for name in ("init", "run"))
    if inspect.iscoroutinefunction(init):
        raise ContractError("init() must be a plain function, not async")
    needed = [
        p.name for p in inspect.signature(init).parameters.values() if p.default is p.empty and p.kind not in _ANY
    ]
    if needed:
        raise ContractError(f"init() is called without arguments, but it requires {', '.join(needed)}")
    declared, output, plain = declared_of(run)
    signature = inspect.signature(plain).parameters
    _check_signature(signature, declared)
    parameters = [
        Parameter(
            p.name,
            p.default is p.empty and not (p.name in declared and declared[p.name].optional),
            declared.get(p.name),
        )
        for p in signature.values()
        if p.name != HEADERS
    ]
    sampled = bool(declared)
    raw = is_raw(run) or is_raw(plain)
    if raw and declared:
        raise ContractError("run() cannot have both @rawhttp and @input_schema")
    required = [p for p in parameters if p.required]
    if not parameters:
        raise ContractError("run() takes no input: it needs a parameter")
    if raw and len(required) > 1:
        raise ContractError("run() with @rawhttp takes one parameter, the request")
    warnings: list[str] = []
    mode = "raw"
    if not raw:
        hints, failed = resolve_hints(plain)
        mode = "object" if sampled or len(required) > 1 else _mode_of(hints, parameters[0].name)
        hinted = [_hinted(p, hints, warnings) for p in parameters]
        parameters = hinted if mode == "object" else parameters
        warnings += [f"the type hint of {name!r} is not understood: {why}" for name, why in failed.items()]
        output = output or _kind_of(hints.get("return"))
    return Script(
        module=module,
        init=init,
        run=plain,
        parameters=parameters,
        mode=mode,
        wants_headers=HEADERS in signature,
        is_async=inspect.iscoroutinefunction(plain),
        output=output,
        warnings=[*warnings, *_warnings(parameters), *_swallowed(plain)],
    )


def _mode_of(hints: dict[str, Any], first: str) -> str:
    """How a script without samples gets its one input: v1's way, unless a hint that is understood says more."""
    hint = hints.get(first, str)
    if hint in (str, bytes):
        return "text" if hint is str else "bytes"
    return "object" if _kind_of(hint) is not None else "text"


def _kind_of(hint: Any) -> Any:
    try:
        return type_from_hint(hint) if hint is not None else None
    except UnknownHint:
        return None


def _hinted(parameter: Parameter, hints: dict[str, Any], warnings: list[str]) -> Parameter:
    if parameter.declared is not None or parameter.name not in hints:
        return parameter
    try:
        kind = type_from_hint(hints[parameter.name])
    except UnknownHint as error:
        warnings.append(
            f"the type hint of {parameter.name!r} is not understood, so its values are not checked: {error}"
        )
        return parameter
    return replace(parameter, declared=Declared(kind)) if kind is not None else parameter


_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _import(path: Path) -> types.ModuleType:
    if not path.is_file():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    taken = path.stem in sys.modules or path.stem in sys.stdlib_module_names
    name = f"entry_script_{path.stem}" if taken else path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _function(module: types.ModuleType, name: str) -> Callable[..., Any]:
    found = getattr(module, name, None)
    if found is None:
        raise ContractError(f"the entry script has no {name}() function")
    if not callable(found):
        raise ContractError(f"{name} in the entry script is {type(found).__name__}, not a function")
    return found  # type: ignore[no-any-return]


def _check_signature(signature: Any, declared: dict[str, Declared]) -> None:
    for parameter in signature.values():
        if parameter.kind in _ANY:
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise ContractError(f"run() must name its parameters; {stars}{parameter.name} is not allowed")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ContractError(f"run() is called by parameter name; {parameter.name} is positional-only")
    unknown = [name for name in declared if name not in signature]
    if unknown:
        names = ", ".join(signature) or "none"
        raise ContractError(f"@input_schema names {unknown[0]!r}, but the parameters of run() are: {names}")


def _warnings(parameters: list[Parameter]) -> list[str]:
    found = []
    for p in parameters:
        kind = p.declared.param_type if p.declared is not None else None
        columns = kind.integer_columns() if kind is not None else []
        if kind is not None and kind.only_integers():
            found.append(f"the sample of {p.name!r} has only whole numbers: floats like 1.7 will be refused with 422")
        elif columns:
            where = f"the sample of {p.name!r} has whole numbers in {', '.join(columns)}"
            found.append(f"{where}: floats like 1.7 will be refused there with 422")
    return found


def _swallowed(run: Callable[..., Any]) -> list[str]:
    """A warning when run() returns what it catches: the client then gets status 200 with an error in it."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(run)))
    except (OSError, TypeError, SyntaxError):
        return []
    first = run.__code__.co_firstlineno
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler) or not (node.type is None or _name_of(node.type) in _EVERYTHING):
            continue
        returns = [item for part in node.body for item in ast.walk(part) if isinstance(item, ast.Return)]
        uses = (item.id for found in returns for item in ast.walk(found) if isinstance(item, ast.Name))
        if node.name is not None and node.name in uses:
            line = first + node.lineno - 1
            return [f"run() catches every exception and returns its text (line {line}): a failure looks like a result"]
    return []


_EVERYTHING = ("Exception", "BaseException")


def _name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""
