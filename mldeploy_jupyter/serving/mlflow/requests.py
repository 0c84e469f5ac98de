"""Bodies of services of Azure, in the form that MLflow reads.

`{"input_data": ...}` was sent to Azure's services for models of MLflow, and `{"columns": ..., "data": ...}` to those of
MLflow 1. Both answered with the predictions alone.
"""

from __future__ import annotations

import json
from typing import Any

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs", "messages", "prompt", "input")


def is_older_form(body: bytes) -> bool:
    """Whether the body, which is JSON, has one of the older forms and none of MLflow's."""
    if b'"input_data"' not in body and b'"columns"' not in body:
        return False
    data = _parse(body)
    if not isinstance(data, dict) or any(form in data for form in _FORMS):
        return False
    return "input_data" in data or {"columns", "data"} <= data.keys()


def to_mlflow_form(body: bytes) -> bytes:
    """The body in MLflow's form: a frame as `dataframe_split`, anything else as `inputs`."""
    data = _parse(body)
    values = data.get("input_data", data)
    frame = isinstance(values, dict) and {"columns", "data"} <= values.keys()
    if frame:
        values = {name: values[name] for name in ("columns", "index", "data") if name in values}
    form: dict[str, Any] = {"dataframe_split" if frame else "inputs": values}
    if "params" in data:
        form["params"] = data["params"]
    return json.dumps(form).encode()


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:  # MLflow says what is wrong
        return None
