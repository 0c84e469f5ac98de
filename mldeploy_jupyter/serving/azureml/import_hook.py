"""The import names of Azure ML's v1 packages, for entry scripts, even where the real packages are installed.

Only the modules in `NAMES` are replaced. `azureml` itself remains a namespace or the installed package, so that
`azureml.train` and other real submodules are still found. Where they are not installed, their import says why there is
none. Names that need a workspace can be imported, not used.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from functools import cache
from typing import Any

from ..schema import base, decorators, numpy_type, pandas_type, spark_type, standard_type
from . import data_collector, exceptions, model, offline_run, telemetry, v1_names, workspace
from .sklearn_joblib import JoblibFinder
from .stand_ins import StandIn

# Modules of this package whose public names a module has. They import werkzeug, so they wait until a script wants them.
_LATER = {
    "azureml.contrib.services.aml_request": "aml_request",
    "azureml.contrib.services.aml_response": "aml_response",
    "azureml_inference_server_http.api.aml_request": "aml_request",
    "azureml_inference_server_http.api.aml_response": "aml_response",
}

_LATER_NAMES = {"aml_request": ("AMLRequest", "rawhttp"), "aml_response": ("AMLResponse",)}


class _NeedsWorkspace(StandIn):
    """A name of v1 that is of no use in a service: raises `NotInService`."""

    def _refusal(cls, used: str) -> Exception:
        return model.NotInService(
            f"{cls.__name__}{used} needs a workspace, and a service has none: "
            "do this where the service is deployed from, or take it out of the script"
        )


@cache  # made when a script imports it: a process of a service has no use for most of them
def _v1_value(name: str) -> Any:
    """What an entry script gets for a name of `v1_names.EVERY_NAME`."""
    if name in v1_names.CONSTANTS:
        return v1_names.CONSTANTS[name]
    for home in (model, data_collector, exceptions, offline_run, telemetry, workspace):
        if hasattr(home, name):
            return getattr(home, name)
    return _NeedsWorkspace(name, (), {"__doc__": "v1's class, which is of no use in a service."})


_DECORATORS = {"input_schema": decorators.input_schema, "output_schema": decorators.output_schema}

_SCHEMA_UTIL = {
    name: getattr(decorators, name)
    for name in ("get_input_schema", "get_output_schema", "get_supported_versions", "is_schema_decorated")
}

_TYPES: dict[str, dict[str, Any]] = {
    "abstract": {"AbstractParameterType": base.AbstractParameterType},
    "numpy": {"NumpyParameterType": numpy_type.NumpyParameterType},
    "pandas": {"PandasParameterType": pandas_type.PandasParameterType},
    "spark": {"SparkParameterType": spark_type.SparkParameterType},
    "standard_py": {"StandardPythonParameterType": standard_type.StandardPythonParameterType},
}

# The modules that are replaced, and their attributes, those of v1's as names only: see `attributes_of`. A name that is
# a prefix of another is a package.
NAMES: dict[str, dict[str, Any]] = {
    **{module: dict.fromkeys(names) for module, names in v1_names.EVERY_NAME.items()},
    "azureml_inference_server_http": {},
    "azureml_inference_server_http.api": {},
    "inference_schema": {},
    "inference_schema.schema_decorators": _DECORATORS,
    "inference_schema.schema_util": _SCHEMA_UTIL,
    "inference_schema.parameter_types": {},
    **{name: {} for name in _LATER},
    **{f"inference_schema.parameter_types.{name}_parameter_type": attributes for name, attributes in _TYPES.items()},
}

# The parents of those modules, made only where no installed package has them.
_NAMESPACES = ("azureml", "azureml.contrib")


def attributes_of(module: str) -> dict[str, Any]:
    """The attributes of a module that is replaced, except for those that wait until it is imported."""
    return {**NAMES.get(module, {}), **{name: _v1_value(name) for name in v1_names.EVERY_NAME.get(module, ())}}


class _Loader(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__.update(attributes_of(module.__name__))
        if later := _LATER.get(module.__name__):
            source = importlib.import_module(f".{later}", __package__)
            module.__dict__.update((name, getattr(source, name)) for name in _LATER_NAMES[later])
        module.__doc__ = f"{module.__name__} as mldeploy's scoring server provides it."


class _ReplacingFinder(importlib.abc.MetaPathFinder):
    """Finds the modules in `NAMES`. First in `sys.meta_path`, before those that find installed packages."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in NAMES:
            return None
        package = any(name.startswith(fullname + ".") for name in NAMES)
        return importlib.machinery.ModuleSpec(fullname, _Loader(), is_package=package)


class _NamespaceFinder(importlib.abc.MetaPathFinder):
    """Finds the parents in `_NAMESPACES`. Last in `sys.meta_path`, after those that find installed packages."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _NAMESPACES:
            return None
        return importlib.machinery.ModuleSpec(fullname, _Loader(), is_package=True)


class AbsentFinder(importlib.abc.MetaPathFinder):
    """Explains why a module of v1 is missing. It is last in `sys.meta_path`, so an installed one is found first."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        parent, _, name = fullname.rpartition(".")
        if fullname.partition(".")[0] != "azureml":
            return None
        if parent in NAMES:  # `from azureml.core import name`; the module's name would make Python drop this error
            known = ", ".join(sorted(known for known in v1_names.NAMES.get(parent, NAMES[parent]) if known[0] != "_"))
            raise ImportError(f"{parent} has no {name} in a service; it has: {known or 'modules only'}")
        absent = v1_names.find_not_offered(fullname)
        why = absent.why if absent else "it is not part of what a service has of v1"
        raise ModuleNotFoundError(f"there is no {fullname}: {why}", name=fullname)


def install() -> None:
    """Makes the names importable in this process. Further calls have no effect."""
    if not any(isinstance(finder, _ReplacingFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ReplacingFinder())
        sys.meta_path.append(_NamespaceFinder())
        sys.meta_path.append(AbsentFinder())
        sys.meta_path.append(JoblibFinder())
