"""`%register`: a file, a folder, or a fitted object of the notebook, as the next version of a model."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from mldeploy_jupyter.commands import Args, Command, Context, Result, UsageError, command
from mldeploy_jupyter.commands.formatting import pairs
from mldeploy_jupyter.commands.python_code import call, program
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.name_rules import check_model_name
from mldeploy_jupyter.notebook.forms import FORM, given_params, refuse_form, refuse_other_options, show_form
from mldeploy_jupyter.notebook.session import Session

DOC = """Register a file, a folder, or a variable of the notebook as the next version of a model.

A variable that holds a fitted object is written as NAME.pkl (with joblib where it is installed, else pickle)
and kept in the workspace only. A file or folder of that name comes first. %register alone shows a form."""


def register_command(session: Session) -> Command:
    base = command("model", "register")
    own: dict[str, dict[str, Any]] = {
        "model_path": {
            "doc": "The file or folder, also runs:/ID/PATH and models:/NAME/1; or a variable of the notebook."
        },
        "name": {"required": False},
    }
    params = (*(replace(param, **own.get(param.name, {})) for param in base.params), FORM)

    def run(context: Context, args: Args) -> Result:
        if args.form or not args.name:
            return _show_form(session, context, args, base)
        if not args.asset_path and not args.model_path:
            raise _no_model_named(session, context, args.name)
        if args.asset_path:
            return base.run(context, args)
        check_model_name(args.name)
        with ExitStack() as stack:
            dump = _dump_variable(session, context, args, stack)
            result = base.run(context, args)
        # The file of a variable is temporary, so the printed program writes one here.
        return replace(
            result, python=program(*dump, _register_call(args, f"{args.name}.pkl" if dump else args.model_path))
        )

    return Command(("register",), DOC, params, run, "register churn model.pkl --tag stage=test")


def _show_form(session: Session, context: Context, args: Args, base: Command) -> Result:
    """Shows the form. Raises `UsageError` for other options, and where it cannot be shown."""
    given = given_params(args, base)
    if args.form:
        refuse_other_options("register", given)
    workspace = context.workspace(args.path) if args.path else None
    if (args.form or not given) and show_form(session, "register", workspace=workspace):
        return Result()
    if args.form:
        raise refuse_form("register")
    raise UsageError("%register needs NAME", why="it was not given", hint=_register_example(session, context, "NAME"))


def _dump_variable(session: Session, context: Context, args: Args, stack: ExitStack) -> list[str]:
    """Replaces a path that is the name of a variable by the file its value was written to.

    Returns the Python that writes it, nothing for a path. The file lives as long as `stack`.
    """
    word, namespace = args.model_path, context.namespace or {}
    if not word.isidentifier() or word not in namespace:
        if word.isidentifier() and not os.path.exists(word):
            from difflib import get_close_matches

            near = get_close_matches(word, _variables(session, context), n=1)
            raise UserErrorException(
                f"there is no file, folder or variable {word}",
                why=f"looked in {os.getcwd()} and in the notebook",
                hint=f"did you mean the variable {near[0]}?"
                if near
                else _register_example(session, context, args.name),
            )
        return []
    value = namespace[word]
    if os.path.exists(word):
        print(f"note: {word} is a file or folder here, and that is registered, not the variable {word}")
        return []
    if isinstance(value, (str, os.PathLike)):
        args.model_path = os.fspath(value)
        return []
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mldeploy-")))
    path = folder / f"{args.name}.pkl"
    library = _dump(word, value, path)
    print(f"The variable {word} ({type(value).__name__}) is kept in the workspace only, as {path.name}, with {library}")
    args.model_path = str(path)
    if library.startswith("joblib"):
        return [f"joblib.dump({word}, {path.name!r})"]
    return [f"with open({path.name!r}, 'wb') as file:", f"    pickle.dump({word}, file)"]


def _variables(session: Session, context: Context) -> list[str]:
    """The user's variables that may hold a model."""
    hidden = session.shell.user_ns_hidden
    return [
        name
        for name, value in (context.namespace or {}).items()
        if name not in hidden and name[:1] != "_" and not isinstance(value, (type, ModuleType))
    ]


def _register_example(session: Session, context: Context, name: str) -> str:
    namespace = context.namespace or {}
    fitted = [word for word in _variables(session, context) if hasattr(namespace[word], "predict")]
    return f"for example: %register {name} {fitted[-1] if fitted else 'model.pkl'}"


def _no_model_named(session: Session, context: Context, name: str) -> UsageError:
    return UsageError(
        f"%register {name} names no model",
        why="after the model's name comes its file, its folder, or a variable that holds it",
        hint=_register_example(session, context, name),
    )


def _dump(word: str, value: Any, path: Path) -> str:
    """Writes the object to `path`; returns the library that did. Raises `UserErrorException` when that fails."""
    kind = type(value)
    if kind.__module__ == "__main__":
        print(
            f"warning: the class {kind.__name__} exists only in this notebook, and a service cannot load the model "
            "without it; define it in a module beside the entry script and import it from there"
        )
    try:
        if "joblib" in sys.modules or find_spec("joblib") is not None:
            import joblib

            joblib.dump(value, path)
            return f"joblib {joblib.__version__}"
        import pickle

        with path.open("wb") as file:
            pickle.dump(value, file)
        return "pickle"
    except Exception as error:  # the object's own code may raise anything
        raise UserErrorException(
            f"the variable {word} cannot be written to a file",
            why=f"{type(error).__name__}: {error}",
            hint=f"save it in a form of its library, then %register NAME PATH (it is a {kind.__name__})",
        ) from error


def _register_call(args: Args, path: str) -> str:
    return "model = " + call(
        "Model.register",
        "ws",
        model_path=path,
        model_name=args.name,
        tags=pairs(args.tag, "--tag"),
        properties=pairs(args.property, "--property"),
        description=args.description,
        child_paths=args.child_path,
        model_framework=args.model_framework,
        model_framework_version=args.model_framework_version,
    )
