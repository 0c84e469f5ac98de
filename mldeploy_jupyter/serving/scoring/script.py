"""Loads an entry script and reads its contract: what `run()` takes and returns."""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import keyword
import re
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..azureml.http_contract import HttpContract, contract_of
from ..azureml.rawhttp import marked_function
from ..ipc.failure import ContractError
from ..schema.base import UnknownHint
from ..schema.decorators import Declared, declared_of, is_async
from ..schema.hints import resolve_hints, type_from_hint
from ..settings import Settings
from .text_parsing import parses_json, parses_text

HEADERS = "request_headers"  # the parameter of run() that gets the request's headers


@dataclass(frozen=True)
class Parameter:
    """One parameter of `run()`. `declared` is what `@input_schema`, or otherwise its type hint, says of it.

    One that is neither required nor has a default is None when it is left out.
    """

    name: str
    required: bool
    declared: Declared | None = None
    has_default: bool = True


@dataclass(frozen=True)
class Script:
    """A loaded entry script.

    `mode` is what `run()` gets: `raw` (an `AMLRequest`), `text` (the body as a string), `bytes` (the body), or `object`
    (the values of a JSON object, by parameter). `run` has all its decorators but those of the schema. `parameters`
    leaves `request_headers` out. `ignores_unknown_keys` is for scripts with `@input_schema`, as in v1; others refuse
    such keys. `output` is the parameter type of the result, or None. `warnings` are for the author of the script.
    """

    module: types.ModuleType
    init: Callable[[], Any]
    run: Callable[..., Any]
    parameters: list[Parameter]
    mode: str
    wants_headers: bool
    is_async: bool
    ignores_unknown_keys: bool = False
    output: Any = None
    warnings: list[str] = field(default_factory=list)
    contract: HttpContract | None = None

    @property
    def input(self) -> str:
        """What a request's body must be, in words: "a JSON object with text, optional top_k"."""
        if self.contract is not None:
            return self.contract.summary
        if self.mode != "object":
            return {"raw": "any request", "text": "the body as text", "bytes": "the body as bytes"}[self.mode]
        names = [p.name if p.required else f"optional {p.name}" for p in self.parameters]
        return f"a JSON object with {', '.join(names)}"

    @property
    def sample(self) -> dict[str, Any] | None:
        """A request body of the samples, as JSON data; None unless every required parameter has a sample."""
        if self.contract is not None:
            return self.contract.example  # type: ignore[no-any-return]
        if self.mode != "object":
            return None
        samples = {
            p.name: p.declared.param_type for p in self.parameters if p.declared and p.declared.param_type.has_sample
        }
        if any(p.required and p.name not in samples for p in self.parameters):
            return None
        return {name: param_type.dump() for name, param_type in samples.items()}

    @property
    def batchable(self) -> bool:
        """Whether one call could take the rows of several requests: its one parameter has rows."""
        if self.mode != "object" or self.wants_headers or len(self.parameters) != 1:
            return False
        declared = self.parameters[0].declared
        return declared is not None and declared.convert and declared.param_type.has_rows()


def load_script(settings: Settings) -> Script:
    """Imports the entry script, and puts its folder and the source directory first on `sys.path`.

    Raises `ContractError` when it is not an entry script, and whatever its code raises.
    """
    root = Path(settings.app_root or ".").absolute()
    path = root / settings.entry_script
    source = root / settings.source_directory
    for folder in dict.fromkeys([str(path.parent), str(source)]):
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)
    # The files of a bundle have its digest, the server's too: importing must not add compiled ones.
    sys.dont_write_bytecode = True
    return inspect_script(_import_file(path))


def _import_file(path: Path) -> types.ModuleType:
    if not path.is_file():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    name = _module_name(path.stem)
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


def _module_name(stem: str) -> str:
    """The name of the script's module. The file may have any name, such as `my-score.py`: it is loaded by its path."""
    taken = stem in sys.modules or stem in sys.stdlib_module_names
    if stem.isidentifier() and not keyword.iskeyword(stem) and not taken:
        return stem
    return "entry_script_" + re.sub(r"\W", "_", stem)  # a dot would make it a module of a package


def inspect_script(module: types.ModuleType) -> Script:
    """The contract of an imported entry script. Raises `ContractError` when it is not an entry script."""
    init, run = (_function(module, name) for name in ("init", "run"))
    driven = getattr(module, "driver_module", None)
    if isinstance(driven, types.ModuleType) and callable(getattr(driven, "run", None)):
        run = driven.run  # as in v1: a generated script around the author's, whose run() knows no schema
    _check_init(init)
    declaration = declared_of(run)
    declared, output, undecorated = declaration.inputs, declaration.output, declaration.undecorated
    marked = marked_function(run)
    takes_raw_http = marked is not None
    if not takes_raw_http and (inspect.isgeneratorfunction(undecorated) or inspect.isasyncgenfunction(undecorated)):
        raise ContractError("run() is a generator: collect the parts in a list and return it, as in return list(...)")
    signature = inspect.signature(undecorated).parameters
    call = declaration.call
    if marked is not None and any(p.kind in _VARIADIC for p in signature.values()):
        # A decorator without functools.wraps around @rawhttp: the request is all that it can be called with.
        signature, call = inspect.signature(marked).parameters, _called_by_position(call)
    _check_signature(undecorated, signature, declared)
    parameters = [_parameter_of(p, declared.get(p.name)) for p in signature.values() if p.name != HEADERS]
    _check_input(parameters, declared, takes_raw_http)
    mode, warnings = "raw", list[str]()
    if not takes_raw_http:
        hints, failed = resolve_hints(undecorated)
        hinted = [_with_hint(p, hints, warnings) for p in parameters]
        mode = _input_mode(parameters, declared, hints)
        if mode == "object" and not declared and len(parameters) == 1 and _takes_json_data(hints[parameters[0].name]):
            name = parameters[0].name
            if line := parses_text(undecorated, name):
                mode = "text"
                text = f"run() parses the text of the body itself (line {line}), so {name!r} is text, as in v1"
                warnings.append(f"{text}, and its type hint has no effect: write {name}: str")
        elif mode == "object" and not declared and _is_called_with_text(parameters, hints):
            name = parameters[0].name
            if line := parses_json(undecorated, name):
                mode, rest = "text", ", ".join(p.name for p in parameters[1:])
                text = f"run() parses the text of the body itself (line {line}), so {name!r} is text, as in v1"
                warnings.append(f"{text}, and {rest} cannot be sent: write @input_schema for an object with each")
        parameters = hinted if mode == "object" else parameters[:1]
        warnings += _object_warnings(parameters, declared, hints)
        warnings += [f"the type hint of {name!r} is not understood: {why}" for name, why in failed.items()]
        output = output or _type_of(hints.get("return"))
    return Script(
        module=module,
        init=init,
        run=call,
        parameters=parameters,
        mode=mode,
        wants_headers=HEADERS in signature,
        is_async=is_async(run),
        ignores_unknown_keys=bool(declared),
        output=output,
        warnings=[*warnings, *_integer_warnings(parameters), *_swallowed_exceptions(undecorated)],
        contract=contract_of(marked) if takes_raw_http else None,
    )


def _function(module: types.ModuleType, name: str) -> Callable[..., Any]:
    found = getattr(module, name, None)
    if found is None:
        raise ContractError(f"the entry script has no {name}() function")
    if not callable(found):
        raise ContractError(f"{name} in the entry script is {type(found).__name__}, not a function")
    return found  # type: ignore[no-any-return]


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _check_init(init: Callable[..., Any]) -> None:
    if inspect.iscoroutinefunction(init):
        raise ContractError("init() must be a plain function, not async")
    parameters = inspect.signature(init).parameters.values()
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in _VARIADIC]
    if required:
        raise ContractError(f"init() is called without arguments, but it requires {', '.join(required)}")


def _check_signature(
    run: Callable[..., Any], signature: Mapping[str, inspect.Parameter], declared: dict[str, Declared]
) -> None:
    for parameter in signature.values():
        if parameter.kind in _VARIADIC:
            name, path = getattr(run, "__name__", ""), getattr(run, "__qualname__", "")
            if name != "run" and name.isidentifier() and "<locals>" in path:  # a decorator's inner function
                advice = f"write @functools.wraps(...) above def {name}, or name its parameters"
                raise ContractError(f"run() is wrapped in a function that hides its parameters: {advice}")
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise ContractError(f"run() must name its parameters; {stars}{parameter.name} is not allowed")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ContractError(f"run() is called by parameter name; {parameter.name} is positional-only")
    unknown = [name for name in declared if name not in signature]
    if unknown:
        names = ", ".join(signature) or "none"
        raise ContractError(f"@input_schema names {unknown[0]!r}, but the parameters of run() are: {names}")


def _called_by_position(run: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run)
    def call(**arguments: Any) -> Any:
        return run(*arguments.values())

    return call


def _check_input(parameters: list[Parameter], declared: dict[str, Declared], takes_raw_http: bool) -> None:
    if takes_raw_http and declared:
        raise ContractError("run() cannot have both @rawhttp and @input_schema")
    if not parameters:
        raise ContractError("run() takes no input: it needs a parameter")
    if takes_raw_http and sum(p.required for p in parameters) > 1:
        raise ContractError("run() with @rawhttp takes one parameter, the request")


def _parameter_of(parameter: inspect.Parameter, declared: Declared | None) -> Parameter:
    has_default = parameter.default is not parameter.empty
    required = not has_default and not (declared is not None and declared.optional)
    return Parameter(parameter.name, required, declared, has_default)


def _input_mode(parameters: list[Parameter], declared: dict[str, Declared], hints: dict[str, Any]) -> str:
    """The mode of a script without `@rawhttp`.

    The body is an object with an entry for each parameter. Only a lone parameter without a sample gets the body itself,
    as in v1: as bytes with the hint `bytes`; as a string with the hint `str`, without a hint, or with one that checks
    nothing.
    """
    if declared or len(parameters) > 1:
        return "object"
    hint = hints.get(parameters[0].name, str)
    if hint in (str, bytes):
        return "text" if hint is str else "bytes"
    return "object" if _type_of(hint) is not None else "text"


def _is_called_with_text(parameters: list[Parameter], hints: dict[str, Any]) -> bool:
    """Whether v1's call, with the text of the body and nothing else, fits: the others have defaults."""
    first, *others = parameters
    return bool(others) and not any(p.required for p in others) and _takes_json_data(hints.get(first.name, str))


def _takes_json_data(hint: Any) -> bool:
    """Whether a hint is of the kind that v1 scripts have, for what they make of the body; not a class of their own."""
    origin = typing.get_origin(hint) or hint
    module = getattr(origin, "__module__", "")
    return module in ("builtins", "typing", "collections.abc") or module.partition(".")[0] in ("numpy", "pandas")


def _object_warnings(parameters: list[Parameter], declared: dict[str, Declared], hints: dict[str, Any]) -> list[str]:
    """A warning for what may be a script of v1, whose first parameter got the body as a string."""
    names = [p.name for p in parameters]
    if declared or len(names) < 2 or sum(p.required for p in parameters) > 1 or any(name in hints for name in names):
        return []
    text = f"run() has {len(names)} parameters, so it takes a JSON object with {', '.join(names)}"
    return [f"{text}; for the body as text, as in v1, it must have one"]


def _type_of(hint: Any) -> Any:
    try:
        return type_from_hint(hint) if hint is not None else None
    except UnknownHint:
        return None


def _with_hint(parameter: Parameter, hints: dict[str, Any], warnings: list[str]) -> Parameter:
    """The parameter with the type of its hint, if no sample declares one. Appends to `warnings` if that is unknown."""
    if parameter.declared is not None or parameter.name not in hints:
        return parameter
    try:
        param_type = type_from_hint(hints[parameter.name])
    except UnknownHint as error:
        text = f"the type hint of {parameter.name!r} is not understood, so its values are not checked: {error}"
        warnings.append(text)
        return parameter
    return replace(parameter, declared=Declared(param_type)) if param_type is not None else parameter


def _integer_warnings(parameters: list[Parameter]) -> list[str]:
    found = []
    for parameter in parameters:
        if parameter.declared is None:
            continue
        param_type = parameter.declared.param_type
        if param_type.only_integers():
            where = f"the sample of {parameter.name!r} has only whole numbers"
            found.append(f"{where}: floats like 1.7 will be refused with 422")
        elif columns := param_type.integer_columns():
            where = f"the sample of {parameter.name!r} has whole numbers in {', '.join(columns)}"
            found.append(f"{where}: floats like 1.7 will be refused there with 422")
    return found


def _swallowed_exceptions(run: Callable[..., Any]) -> list[str]:
    """A warning when run() returns the text of any exception: clients then get an error with status 200."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(run)))
    except (OSError, TypeError, SyntaxError):
        return []
    first_line = run.__code__.co_firstlineno
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler) or not _catches_everything(node):
            continue
        returns = [item for part in node.body for item in ast.walk(part) if isinstance(item, ast.Return)]
        names = (item.id for found in returns for item in ast.walk(found) if isinstance(item, ast.Name))
        if node.name is not None and node.name in names:
            line = first_line + node.lineno - 1
            return [f"run() catches every exception and returns its text (line {line}): a failure looks like a result"]
    return []


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    caught = handler.type
    return caught is None or (isinstance(caught, ast.Name) and caught.id in ("Exception", "BaseException"))
