"""`init()` and `run()` of a service that scores with a model of MLflow."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..azureml.http_contract import declare_contract
from ..azureml.rawhttp import rawhttp
from ..log import writer
from .description import find_model, read_contract
from .requests import is_older_form, to_mlflow_form

if TYPE_CHECKING:
    from ..azureml.aml_request import AMLRequest
    from ..azureml.aml_response import AMLResponse

_loaded: _Loaded | None = None


class _Loaded:
    """The model, its input schema (None without one), and the module of MLflow that reads requests."""

    def __init__(self, folder: Path) -> None:
        self.server = importlib.import_module("mlflow.pyfunc.scoring_server")
        self.error: type[Exception] = importlib.import_module("mlflow.exceptions").MlflowException
        os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"  # flavours ask for it
        self.model = importlib.import_module("mlflow.pyfunc").load_model(str(folder))
        self.schema = self.model.metadata.get_input_schema()

    def score(self, body: bytes, content_type: str) -> tuple[int, str]:
        """Status and text of the answer, which is JSON when the status is 200. Raises `self.error`."""
        found = self.server.invocations(body, content_type, self.model, self.schema)
        return found.status, found.response


def init() -> None:
    """Loads the model of the service. Raises `FileNotFoundError` when no folder of it has a file `MLmodel`."""
    global _loaded
    _loaded = _Loaded(find_model())


@rawhttp
def run(request: AMLRequest) -> AMLResponse:
    """Answers a request in any format of MLflow, or one of those that services of Azure took."""
    from ..azureml.aml_response import AMLResponse

    assert _loaded is not None
    body = request.get_data()
    content_type = request.headers.get("content-type", "")
    older = "json" in content_type and is_older_form(body)
    try:
        status, text = _loaded.score(to_mlflow_form(body) if older else body, content_type)
    except _loaded.error as error:
        return _refuse(error)
    if status != 200:
        own = _own_error("wrong-content-type", "content-type")
        return AMLResponse({"error_code": "BAD_REQUEST", "message": text, "error": own}, status)
    if older:
        text = json.dumps(json.loads(text)["predictions"])
    return AMLResponse(text, mimetype="application/json")


def _refuse(error: Any) -> AMLResponse:
    """The answer to what MLflow raised: its own, without a stack trace. What the model itself raised is logged."""
    from ..azureml.aml_response import AMLResponse

    answer = json.loads(error.serialize_as_json())
    traceback = answer.pop("stack_trace", None)
    failed = traceback is not None and not answer["message"].startswith("Failed to parse input")
    if failed:
        writer.log("the model failed with a request", level="error", traceback=traceback)
    answer["error"] = _own_error("script-failed" if failed else "does-not-fit")
    return AMLResponse(answer, error.get_http_status_code(), run_function_failed=failed)


def _own_error(code: str, where: str = "") -> dict[str, str]:
    """The part of an error in the server's form that MLflow's does not have."""
    return {"code": code, "where": where, "hint": ""}


if (_contract := read_contract()) is not None:
    declare_contract(run, _contract)
