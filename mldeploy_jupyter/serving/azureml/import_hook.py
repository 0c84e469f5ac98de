"""v1's import names inside a worker resolve to us, also where the real packages are installed.

`azureml` itself stays what it is, a namespace or the installed package: `azureml.train` and other real
submodules are still found. Only the names in `NAMES` are ours.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any

from ..schema import base, decorators, numpy_type, pandas_type, spark_type, standard_type
from . import data_collector, model, rawhttp

_REQUEST = {"AMLRequest": rawhttp.AMLRequest, "rawhttp": rawhttp.rawhttp}

_RESPONSE = {"AMLResponse": rawhttp.AMLResponse}

_ERRORS = {
    "WebserviceException": model.WebserviceException,
    "ModelNotFoundException": model.ModelNotFoundException,
}

_DECORATORS = {"input_schema": decorators.input_schema, "output_schema": decorators.output_schema}

_TYPES: dict[str, dict[str, Any]] = {
    "abstract": {"AbstractParameterType": base.AbstractParameterType},
    "numpy": {"NumpyParameterType": numpy_type.NumpyParameterType},
    "pandas": {"PandasParameterType": pandas_type.PandasParameterType},
    "spark": {"SparkParameterType": spark_type.SparkParameterType},
    "standard_py": {"StandardPythonParameterType": standard_type.StandardPythonParameterType},
}

# Modules that are ours: name -> what they hold. Packages are those that others are below.
NAMES: dict[str, dict[str, Any]] = {
    "azureml.core": {"Model": model.Model, "Run": model.Run, "Workspace": model.Workspace},
    "azureml.core.model": {"Model": model.Model},
    "azureml.core.run": {"Run": model.Run},
    "azureml.core.workspace": {"Workspace": model.Workspace},
    "azureml.exceptions": _ERRORS,
    "azureml.contrib.services": {},
    "azureml.contrib.services.aml_request": _REQUEST,
    "azureml.contrib.services.aml_response": _RESPONSE,
    "azureml.monitoring": {"ModelDataCollector": data_collector.ModelDataCollector},
    "azureml_inference_server_http": {},
    "azureml_inference_server_http.api": {},
    "azureml_inference_server_http.api.aml_request": _REQUEST,
    "azureml_inference_server_http.api.aml_response": _RESPONSE,
    "inference_schema": {},
    "inference_schema.schema_decorators": _DECORATORS,
    "inference_schema.parameter_types": {},
    **{f"inference_schema.parameter_types.{name}_parameter_type": held for name, held in _TYPES.items()},
}

# Only there when no real package holds them.
_NAMESPACES = ("azureml", "azureml.contrib")


class _Loader(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__.update(NAMES.get(module.__name__, {}))
        module.__doc__ = f"{module.__name__} as mldeploy's scoring server provides it."


class _Ours(importlib.abc.MetaPathFinder):
    """First in line: what is ours stays ours."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in NAMES:
            return None
        package = any(name.startswith(fullname + ".") for name in NAMES)
        spec = importlib.machinery.ModuleSpec(fullname, _Loader(), is_package=package)
        return spec


class _Namespaces(importlib.abc.MetaPathFinder):
    """Last in line: the parents of our names, where nothing is installed that has them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _NAMESPACES:
            return None
        return importlib.machinery.ModuleSpec(fullname, _Loader(), is_package=True)


def install() -> None:
    """Makes the names importable in this process. A second call changes nothing."""
    if not any(isinstance(finder, _Ours) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Ours())
        sys.meta_path.append(_Namespaces())
