"""Reads JSON and YAML configuration files as plain data, and locates errors in them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mldeploy_jupyter.core.configs.fields import Spelling
from mldeploy_jupyter.core.errors import ConfigError
from mldeploy_jupyter.core.files import decode_text

MAX_BYTES = 1_000_000  # of a configuration file
MAX_DEPTH = 50  # levels of nesting in a YAML file


@dataclass(frozen=True)
class Problem:
    """What is wrong at one path of a file: `{path} {text}`. `fix` says what to write instead.

    `unknown` is for a key that nothing reads, and `meant` the path of the key that it seems to stand for.
    """

    path: str
    text: str
    fix: str = ""
    unknown: bool = False
    meant: str = ""

    def as_note(self, file: Path) -> str:
        """The line that says of an unknown key that the file is used without it, as v1 did."""
        advice = "" if self.fix.startswith("known here") else self.fix.removeprefix(f"remove {self.path}: ")
        return f"note: {self.path} in {file} is ignored, as in v1" + (f"; {advice}" if advice else "")


# Is told of the keys that a file is used without, a line each.
Note = Callable[[str], None]


def warn(text: str) -> None:
    """The `Note` of a call from Python: a warning."""
    warnings.warn(text.removeprefix("note: "), stacklevel=4)


class FileProblems(ConfigError):
    """All problems of a configuration file in one error; `problems` has them as data."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        fixes = list(dict.fromkeys(problem.fix for problem in problems if problem.fix))
        super().__init__(
            f"{path} cannot be used",
            why="\n       ".join(f"{problem.path} {problem.text}" for problem in problems),
            hint="\n      ".join(fixes or [f"correct {path.name} and run the command again"]),
        )
        self.problems = problems

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "violations": [{"field": p.path, "limit": p.text} for p in self.problems]}


def read_mapping(path: Path) -> dict[str, Any]:
    """The file's top-level object. A `.json` file is JSON, any other YAML (which reads JSON too).

    v1 read both as YAML, so a `.json` file may also be YAML that looks like JSON, with comments or a comma too many.
    Raises `ConfigError` when the file is missing, is not text, has a syntax error or a duplicate key (with the
    line), or holds something other than an object.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read",
            why=(error.strerror or str(error)).lower(),
            hint="check the path and run the command again",
        ) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(
            f"{path} is too large",
            why=f"a configuration file has at most {MAX_BYTES} bytes",
            hint="check that the path is the configuration's",
        )
    try:
        text = decode_text(raw)
    except UnicodeDecodeError:
        raise _syntax(path, "the file is not UTF-8 text") from None
    data = _load_lax_json(path, text) if path.suffix.lower() == ".json" else _load_yaml(path, text)
    if not isinstance(data, dict):
        raise _syntax(path, f"the file must hold an object (key: value), not {type_word(data)}")
    return data


def check_keys(
    data: dict[str, Any],
    known: Iterable[str],
    prefix: str,
    hints: Mapping[str, str],
    fixes: Mapping[str, str] = MappingProxyType({}),
) -> list[Problem]:
    """A problem for each key of `data` that is not in `known`; `prefix` is the path of `data`, with its last dot.

    The fix names the known key that is meant: that of `hints`, which maps frequent mistakes to correct paths, one that
    differs only in case, or a similar one. `fixes` has the text for paths whose setting exists elsewhere.
    """
    names = list(known)
    found = []
    for key in data:
        if key in names:
            continue
        path = f"{prefix}{key}"
        right = hints.get(path) or next((prefix + name for name in names if name.lower() == str(key).lower()), "")
        if not right and path in fixes:
            found.append(Problem(path, "is not a known key", fixes[path], unknown=True))
            continue
        if not right:
            from difflib import get_close_matches

            near = get_close_matches(str(key), names, n=1, cutoff=0.6)
            right = prefix + near[0] if near else ""
        if not right and data[key] is None:  # nothing is said
            continue
        fix = f"write {right} instead of {path}" if right else f"known here: {', '.join(sorted(names))}"
        found.append(Problem(path, "is not a known key", fix, unknown=True, meant=right))
    return found


def resolve_beside(name: str, file: Path) -> str:
    """The path `name`, which may be relative to the current directory, as in v1, or to the folder of `file`."""
    beside = file.resolve().parent / name
    return str(beside) if not Path(name).exists() and beside.exists() else name


def type_word(value: Any) -> str:
    """The type of a value in the words of JSON, with an article."""
    words = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return "null" if value is None else words.get(type(value), f"a {type(value).__name__}")


def make_file_spelling(names: dict[str, str]) -> Spelling:
    """The spelling of settings in a file; `names` maps names in Python to paths in the file."""
    return Spelling(names, ": ")


def describe_json_error(error: json.JSONDecodeError) -> tuple[str, int, int]:
    """What is wrong in a JSON text, and its line and column (both from 1), the same on every Python.

    Of a trailing comma, Python 3.13 gives the position of the comma, older versions that of the closing bracket.
    """
    comma = _trailing_comma(error)
    if comma is None:
        return error.msg[:1].lower() + error.msg[1:], error.lineno, error.colno
    before = error.doc[:comma]
    closing = error.doc[comma + 1 :].lstrip()[:1]
    line, column = before.count("\n") + 1, comma - before.rfind("\n")
    return f"there is a comma before the closing {closing}", line, column


def _trailing_comma(error: json.JSONDecodeError) -> int | None:
    """The position of the comma before a closing bracket, if that is the error."""
    if error.msg.startswith("Illegal trailing comma"):
        return error.pos
    expected = {"Expecting property name enclosed in double quotes": "}", "Expecting value": "]"}.get(error.msg)
    before = error.doc[: error.pos].rstrip()
    return len(before) - 1 if error.doc[error.pos : error.pos + 1] == expected and before.endswith(",") else None


def _syntax(path: Path, why: str, where: str = "") -> ConfigError:
    return ConfigError(
        f"{path.name} cannot be read",
        why=why,
        where=where,
        hint=f"correct {path.name} and run the command again",
    )


def _load_json(path: Path, text: str) -> Any:
    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
        if twice is not None:
            raise _syntax(path, f"the key {twice!r} is there twice", f"{path}, line {_second_line(text, twice)}")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=no_duplicates)
    except json.JSONDecodeError as error:
        words, line, column = describe_json_error(error)
        raise _syntax(path, f"it is not valid JSON: {words}", f"{path}, line {line}, column {column}") from None
    except ValueError as error:  # a number of thousands of digits
        raise _syntax(path, str(error).partition(":")[0].lower()) from None
    except RecursionError:
        raise _syntax(path, "it is nested too deeply") from None


def _load_lax_json(path: Path, text: str) -> Any:
    """JSON, or else YAML. Raises the error of JSON for a text that is neither."""
    try:
        return _load_json(path, text)
    except ConfigError as error:
        if not isinstance(error.__context__, json.JSONDecodeError):
            raise
        try:
            data = _load_yaml(path, text.expandtabs())  # YAML does not indent with tabs
        except ConfigError:
            data = None
        if not isinstance(data, dict):
            raise
        return data


def _line(path: Path, mark: Any) -> str:
    return f"{path}, line {mark.line + 1}"


def _second_line(text: str, key: str) -> int:
    lines = [number for number, line in enumerate(text.splitlines(), 1) for _ in range(line.count(json.dumps(key)))]
    return lines[min(1, len(lines) - 1)] if lines else 1


def _load_yaml(path: Path, text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML without duplicate keys."""

    def mapping(loader: Loader, node: yaml.MappingNode) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _syntax(path, "a key must be a single word", _line(path, key_node.start_mark))
            key = str(key_node.value)
            if key in seen:
                raise _syntax(path, f"the key {key!r} is there twice", _line(path, key_node.start_mark))
            seen.add(key)
        return {loader.construct_object(k, deep=True): loader.construct_object(v, deep=True) for k, v in node.value}

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    try:
        depth = 0
        for event in yaml.parse(text, Loader=Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:  # stop now: the parser's time grows with the square of the depth
                raise _syntax(path, "it is nested too deeply", _line(path, event.start_mark))
            if isinstance(event, yaml.AliasEvent):  # nested aliases can grow without bound
                raise _syntax(path, "it has a YAML alias", _line(path, event.start_mark))
        return yaml.load(text, Loader=Loader)  # a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _syntax(path, f"it is not valid YAML: {error.problem or error.context}", where) from None
    except yaml.YAMLError as error:
        raise _syntax(path, f"it is not valid YAML: {str(error).splitlines()[0]}") from None
    except ValueError as error:  # a date that does not exist, such as 2026-02-31
        raise _syntax(path, f"a value in it cannot be read: {error}") from None
    except RecursionError:
        raise _syntax(path, "it is nested too deeply") from None
