"""Checks of single arguments, made before anything is read or written.

A `check_...` function takes the argument's name and value, and returns the value in the form the caller needs.
"""

from __future__ import annotations

import json
import operator
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from difflib import get_close_matches
from itertools import islice
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Protocol

from mldeploy_jupyter.core.errors import ConfigError, UserErrorException, WebserviceException
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

MOST_NAMES = 10_000  # of a folder, compared with one that is not there


class WorkspaceLike(Protocol):
    """The part of `Workspace` that models, runs, services and environments use.

    The class itself is above them, because it returns their objects.
    """

    @property
    def name(self) -> str: ...

    @property
    def start(self) -> Path:
        """The folder in which the search for `.mldeploy/` begins."""

    @property
    def folder(self) -> WorkspaceFolder:
        """The folder `.mldeploy/`, created when there is none."""

    def find_folder(self) -> WorkspaceFolder | None:
        """The folder `.mldeploy/`, or None when there is none."""

    def get_run(self, run_id: str) -> RunLike: ...

    def register_model(self, model_path: str, model_name: str) -> Any: ...


class RunLike(Protocol):
    """The part of `Run` that a model's user reads: `Model.run` is the run that the model was registered from.

    The class itself is above models.
    """

    id: str

    @property
    def experiment_name(self) -> str | None: ...

    @property
    def status(self) -> str:
        """v1's word, such as Running or Completed."""

    @property
    def tags(self) -> dict[str, Any]: ...

    @property
    def properties(self) -> dict[str, Any]: ...

    def add_properties(self, properties: dict[str, Any]) -> None: ...

    def get_details(self) -> dict[str, Any]: ...

    def get_metrics(
        self, name: str | None = None, recursive: bool = False, run_type: Any = None, populate: bool = False
    ) -> dict[str, Any]: ...

    def get_file_names(self) -> list[str]: ...

    def download_file(self, name: str, output_file_path: str | Path | None = None) -> None: ...

    def local_copy(self, name: str) -> AbstractContextManager[Path]:
        """A copy of one of the run's files, for the length of a block."""


class ModelLike(Protocol):
    """The part of `Model` that services use."""

    @property
    def workspace(self) -> WorkspaceLike: ...

    @property
    def id(self) -> str:
        """`<name>:<version>`."""


class KnownNames:
    """Restricts assignment to the names in `_names`, in a dataclass to its fields. Others raise `ConfigError`."""

    _names: ClassVar[frozenset[str]] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        known = self._names or frozenset(getattr(self, "__dataclass_fields__", ()))
        if name not in known and not name.startswith("_"):
            raise unknown_name(type(self).__name__, name, known)
        super().__setattr__(name, value)


class AzureOnly(UserErrorException):
    """A call of v1 whose result would be a resource of Azure."""

    code = "AzureOnly"


class ModelFileNotFound(WebserviceException, FileNotFoundError):
    """`model_path` does not exist. Also a `FileNotFoundError`, which v1 raises here."""

    code = "ModelFileNotFound"


def unknown_name(owner: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for assigning a name that `owner` does not have; its hint is the nearest known one."""
    near = get_close_matches(name, sorted(known), n=1)
    return ConfigError(
        f"{owner} has no setting {name!r}",
        why=f"its settings are {', '.join(sorted(known))}",
        hint=f"did you mean {near[0]}?" if near else "use one of these names",
    )


def azure_method(call: str, why: str, hint: str) -> Callable[..., NoReturn]:
    """A method that raises `AzureOnly`, for a method of v1 that has no meaning here. `hint` names a replacement."""

    def method(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise AzureOnly(f"{call} needs Azure", why=why, hint=hint)

    method.__name__ = method.__qualname__ = call
    method.__doc__ = f"Raises `AzureOnly`: {why}."
    return method


def note_ignored(call: str, given: Mapping[str, Any], known: Iterable[str], *, show: bool = True) -> None:
    """Prints one line that lists the Azure parameters of v1 in `given` that are not None, unless `show` is False.

    Raises `UserErrorException` for a parameter that is not in `known`: v1 does not have it either.
    """
    names = [*known]
    for name in given:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            raise UserErrorException(
                f"{call} has no parameter {name!r}",
                why="neither v1 nor this package has it",
                hint=f"did you mean {near[0]!r}?" if near else f"help({call}) lists the parameters",
            )
    ignored = [name for name, value in given.items() if value is not None]
    if ignored and show:
        verb = "is" if len(ignored) == 1 else "are"
        print(f"{call}: {', '.join(ignored)} {verb} ignored; there are no Azure resources here")


def check_workspace(workspace: Any) -> WorkspaceLike:
    """Returns the workspace. Raises `UserErrorException` for anything else."""
    # The class is inspected, not the object: reading `workspace.folder` would create the folder.
    if not hasattr(type(workspace), "find_folder"):
        raise UserErrorException(
            f"workspace is {workspace!r}", why="it must be a Workspace", hint="ws = Workspace.get(), and pass ws"
        )
    checked: WorkspaceLike = workspace
    return checked


def check_path(argument: str, value: Any, example: str) -> str:
    """Returns the path as text. Raises `UserErrorException` when it is empty or not a path."""
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise UserErrorException(f"{argument} is {value!r}", why="it must be a path", hint=f"such as {example}")
    return str(os.fspath(value))


def check_whole_number(argument: str, value: Any, least: int) -> int:
    """Returns the number. Raises `UserErrorException` when it is below `least` or not an integer."""
    try:
        number = operator.index(value)  # NumPy integers too
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise UserErrorException(
            f"{argument} is {value!r}",
            why=f"it must be a whole number of at least {least}",
            hint="correct it, or leave it out",
        )
    return number


def check_seconds(argument: str, value: Any) -> None:
    """Raises `UserErrorException` when the value is neither None nor a number of seconds; 0 and less are allowed."""
    is_number = isinstance(value, Real) and not isinstance(value, bool) and value == value  # NaN equals nothing
    if value is not None and not is_number:
        raise UserErrorException(
            f"{argument} is {value!r}",
            why="it must be a number of seconds",
            hint="leave it out to wait without a limit",
        )


def check_text(argument: str, value: Any) -> str | None:
    """Returns the string, None for "". Raises `UserErrorException` when it is neither a string nor None."""
    if value is not None and not isinstance(value, str):
        raise UserErrorException(
            f"{argument} is {value!r}",
            why=f"it must be a string, not {type(value).__name__}",
            hint="pass str(...) of it",
        )
    return value or None


def check_keys(argument: str, value: Any) -> set[str]:
    """Returns the keys as a set. Raises `UserErrorException` when the value is not a list of strings."""
    keys: list[Any] = [*value] if isinstance(value, Iterable) and not isinstance(value, str) else [None]
    if not all(isinstance(key, str) for key in keys):
        raise UserErrorException(
            f"{argument} is {value!r}",
            why="it must be a list of keys",
            hint=f"pass {argument}=[{value!r}]" if isinstance(value, str) else f'pass {argument}=["key"]',
        )
    return {*keys}


def check_json_dict(argument: str, value: Any) -> dict[str, Any]:
    """Returns the dict after a round trip through JSON, `{}` for None.

    Raises `WebserviceException` when it is not a dict, a key is not a string, or a value is not JSON.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WebserviceException(
            f"{argument} is {value!r}",
            why=f"it must be a dict, not {type(value).__name__}",
            hint=f'pass {argument}={{"key": "value"}}',
        )
    for key in value:
        if not isinstance(key, str):
            raise WebserviceException(
                f"{argument} has the key {key!r}", why="keys must be strings", hint=f"use {str(key)!r}"
            )
    result = {}
    for key, item in value.items():
        try:
            result[key] = json.loads(json.dumps(item, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            # Not the message of the exception: it differs between versions of Python.
            why = "it holds a value that JSON does not have"
            if not isinstance(error, TypeError):
                why = "it holds NaN or infinity, or refers to itself"
            raise WebserviceException(
                f"{argument}[{key!r}] cannot be kept: {type(item).__name__}",
                why=why,
                hint=f"use a string, number, list or dict: str(...) or float(...) of {argument}[{key!r}]",
            ) from None
    return result


def find_source(text: str) -> Path:
    """The local file or folder to register.

    Raises `ModelFileNotFound` when it does not exist, `UserErrorException` for a malformed `models:` or `runs:` URI.
    """
    if re.match(r"(models|runs):", text):
        raise UserErrorException(
            f"model_path is {text!r}",
            why="it is neither runs:/<run id>/<path> nor models:/<name>/<version> nor models:/<name>@<alias>",
            hint="such as runs:/RUN_ID/outputs/model.pkl or models:/NAME/latest",
        )
    path = Path(text).expanduser()
    if not path.exists():
        raise ModelFileNotFound(
            f"there is no file or folder {text}",
            why=_why_missing(path),
            hint=f"did you mean {path.with_name(near)}?"
            if (near := _similar_name(path))
            else "save the model first, such as joblib.dump(model, 'model.pkl'), and pass that path",
        )
    return path


def _similar_name(path: Path) -> str:
    """The file or folder beside `path` whose name resembles its own; "" without one."""
    try:
        with os.scandir(path.parent) as entries:
            found = [entry.name for entry in islice(entries, MOST_NAMES) if entry.name != path.name]  # a dangling link
    except OSError:
        return ""
    names = {Path(name).stem: name for name in found}
    near = get_close_matches(path.stem, names, n=1)  # what many files share, such as .pkl, does not make names similar
    return names[near[0]] if near else ""


def _why_missing(path: Path) -> str:
    if path.is_symlink():
        return f"it is a link to {os.readlink(path)}, which does not exist"
    parent = Path(os.path.abspath(path)).parent
    if not parent.is_dir():
        return f"the folder {parent} does not exist"
    return f"it was looked for in {parent}"
