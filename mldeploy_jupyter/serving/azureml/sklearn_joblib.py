"""`sklearn.externals.joblib`, which scikit-learn had before 0.23 and many scripts and notebooks of v1 import."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence

NAME = "sklearn.externals.joblib"


class JoblibFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers `sklearn.externals.joblib` with joblib, and says so once. Last, after a scikit-learn that has it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(fullname, self) if fullname == NAME else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module("joblib")
        print(f"warning: scikit-learn has no {NAME} since 0.23; joblib stands in for it", file=sys.stderr)

    @staticmethod
    def forget() -> None:
        """Takes back what was imported through this finder; a scikit-learn that has the module keeps it."""
        module = sys.modules.get(NAME)
        if module is not None and module is sys.modules.get("joblib"):
            del sys.modules[NAME]
            parent, _, child = NAME.rpartition(".")
            vars(sys.modules.get(parent, types.ModuleType(parent))).pop(child, None)
