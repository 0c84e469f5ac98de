"""Calls of `run()` for a script that uses Flask: as in v1, each call is inside a Flask request."""

from __future__ import annotations

import os
import re
import sys
import types
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..system.imports import imported_after
from .arguments import raw_environ
from .messages import Request, Response
from .scorer import Scorer
from .script import Script


def make_scorer(script: Script, **options: Any) -> Scorer:
    """The scorer for a script whose `init()` has run. `options` are those of `Scorer`."""
    return (FlaskScorer if uses_flask(script.module) else Scorer)(script, **options)


def uses_flask(script: types.ModuleType) -> bool:
    """Whether the script, or a module beside or below it, imports Flask. A library that does needs no request."""
    file = getattr(script, "__file__", None)
    if not file:
        return False
    folder = str(Path(file).parent) + os.sep
    # What is beside the script was imported by it. Others are not looked at: that would copy 8 MB of a fork's memory.
    files = {getattr(sys.modules.get(name), "__file__", None) for name in imported_after(script.__name__)}
    own = [file, *(path for path in files if isinstance(path, str) and path.startswith(folder))]
    if not any(_imports_flask(path) for path in own if "site-packages" not in path):
        return False
    return "flask" in sys.modules or find_spec("flask") is not None


_IMPORT = re.compile(rb"^\s*(?:import|from)\s+flask\b", re.MULTILINE)


def _imports_flask(path: str) -> bool:
    try:
        return path.endswith(".py") and _IMPORT.search(Path(path).read_bytes()) is not None
    except OSError:
        return False


class FlaskScorer(Scorer):
    """A scorer whose calls have `flask.request`, `current_app` and `g`, so that `jsonify()` and its like work.

    With `@rawhttp`, `run()` gets `flask.request` itself, as in v1.
    """

    def __init__(self, script: Script, **options: Any) -> None:
        import flask

        from ..azureml.aml_request import AMLRequest

        super().__init__(script, **options)
        self._app = flask.Flask(script.module.__name__)
        self._app.request_class = type("AMLFlaskRequest", (AMLRequest, flask.Request), {})

    def call_run(self, request: Request, arguments: dict[str, Any], parse_ms: float = 0.0) -> Response:
        with self._app.request_context(raw_environ(request)):
            return super().call_run(request, self._with_request(arguments), parse_ms)

    async def score_async(self, request: Request) -> Response:
        with self._app.request_context(raw_environ(request)):
            return await super().score_async(request)

    def parse_arguments(self, request: Request, began: float) -> dict[str, Any]:
        return self._with_request(super().parse_arguments(request, began))

    def _with_request(self, arguments: dict[str, Any]) -> dict[str, Any]:
        import flask

        if self.script.mode != "raw" or not flask.has_request_context():
            return arguments
        return {**arguments, self.script.parameters[0].name: flask.request}
