"""Every public call of v1 says in plain words that an argument is wrong: None, or a value of another type."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mldeploy_jupyter
from mldeploy_jupyter import Environment, Model, Run, Webservice, Workspace
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.records import ServiceRecord

WRONG = [None, 5, "x", b"x", [1], {"a": object()}, object(), 3.5, float("nan"), True]

# What ends something, and what takes data that only our own code makes.
LEFT_OUT = {"cancel", "complete", "delete", "fail", "migrate", "wait_for_completion", "from_data", "from_deployment"}


@pytest.fixture
def objects(folder: Path) -> dict[str, Any]:
    """The public classes, and an object of those that need a workspace."""
    (folder / "m.txt").write_text("x")
    ws = Workspace.create("test")
    store = ws.folder.open_store()
    store.save_service(ServiceRecord("svc", "local", "Local", workspace_id=ws.folder.id))
    classes = {name: getattr(mldeploy_jupyter, name) for name in mldeploy_jupyter.__all__}
    return {
        **{name: value for name, value in classes.items() if inspect.isclass(value)},
        "workspace": ws,
        "model": Model.register(ws, "m.txt", "mod"),
        "webservice": Webservice(ws, "svc"),
        "run": Run.get_context(),
        "environment": Environment("env"),
    }


def _calls(owner: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The callables of a class or an object, by name."""
    if inspect.isclass(owner):
        yield "", owner
    for name in dir(type(owner) if not inspect.isclass(owner) else owner):
        if name.startswith("_") or name in LEFT_OUT:
            continue
        value = inspect.getattr_static(owner, name)
        bound = isinstance(value, (staticmethod, classmethod)) or not inspect.isclass(owner)
        if bound and (isinstance(value, (staticmethod, classmethod)) or inspect.isfunction(value)):
            yield name, getattr(owner, name)


def test_a_wrong_argument_is_an_error_of_ours(objects: dict[str, Any]) -> None:
    right = {"workspace": objects["workspace"], "name": "svc", "models": [objects["model"]], "model_path": "m.txt"}
    defects = []
    tried: set[Any] = set()
    for owner_name, owner in objects.items():
        for name, function in _calls(owner):
            if getattr(function, "__func__", function) in tried:
                continue  # as another class has it
            tried.add(getattr(function, "__func__", function))
            parameters = [
                parameter
                for parameter in inspect.signature(function).parameters.values()
                if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
                and parameter.name != "print_"
            ]
            required = {p.name: right.get(p.name, "x") for p in parameters if p.default is p.empty}
            for parameter in parameters:
                for wrong in WRONG if parameter.default is not None else WRONG[1:]:  # None is right there
                    try:
                        result = function(**{**required, parameter.name: wrong})
                        if inspect.isgenerator(result):
                            next(result, None)
                    except MldeployError as error:
                        assert error.what and error.why and error.hint, (owner_name, name, parameter.name, wrong)
                    except Exception as error:
                        defects.append(f"{owner_name}.{name}({parameter.name}={wrong!r}): {error!r}")
    assert not defects, "\n".join(defects)


def test_a_deployment_without_a_workspace_is_refused_first(objects: dict[str, Any]) -> None:
    with pytest.raises(MldeployError) as caught:
        Model.deploy(None, "svc", [objects["model"]])  # type: ignore[arg-type]
    assert str(caught.value).splitlines()[:2] == ["error: workspace is None", "cause: it must be a Workspace"]
