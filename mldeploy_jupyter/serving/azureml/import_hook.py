"""The import names of Azure ML's v1 packages, for entry scripts, even where the real packages are installed.

Only the modules in `NAMES` are replaced. `azureml` itself remains a namespace or the installed package, so that
`azureml.train` and other real submodules are still found.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any

from ..schema import base, decorators, numpy_type, pandas_type, spark_type, standard_type
from . import aml_response, data_collector, model, rawhttp

_REQUEST = {"AMLRequest": rawhttp.AMLRequest, "rawhttp": rawhttp.rawhttp}

_RESPONSE = {"AMLResponse": aml_response.AMLResponse}

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

# The modules that are replaced, and their attributes. A name that is a prefix of another is a package.
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
    **{f"inference_schema.parameter_types.{name}_parameter_type": attributes for name, attributes in _TYPES.items()},
}

# The parents of those modules, made only where no installed package has them.
_NAMESPACES = ("azureml", "azureml.contrib")


class _Loader(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__.update(NAMES.get(module.__name__, {}))
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


def install() -> None:
    """Makes the names importable in this process. Further calls have no effect."""
    if not any(isinstance(finder, _ReplacingFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ReplacingFinder())
        sys.meta_path.append(_NamespaceFinder())
