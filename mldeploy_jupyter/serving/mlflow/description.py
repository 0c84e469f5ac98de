"""What a model of MLflow says of itself: the schemas of its signature, and its input example."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

from ..azureml.http_contract import HttpContract

DESCRIPTION = "MLmodel"

_WORDS = "dataframe_split, dataframe_records, instances or inputs"

# Types of columns and parameters -> JSON Schema.
_TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": "string", "format": "date-time"},
}

# Kinds of numpy's types -> JSON Schema.
_KINDS = {"bool": "boolean", "int": "integer", "uint": "integer", "float": "number", "str": "string"}


def find_model() -> Path:
    """The folder of the model: the one nearest to the top of AZUREML_MODEL_DIR that has a file `MLmodel`.

    Raises `FileNotFoundError` where there is none.
    """
    root = Path(os.environ.get("AZUREML_MODEL_DIR") or ".")
    found = sorted(root.rglob(DESCRIPTION), key=lambda path: (len(path.parts), path))
    if not found:
        raise FileNotFoundError(2, "no model of MLflow: no folder has a file MLmodel", str(root))
    return found[0].parent


def read_contract() -> HttpContract | None:
    """What the service's requests and results are. None when that cannot be read, which `init()` will report."""
    try:
        folder = find_model()
        yaml = importlib.import_module("yaml")  # MLflow needs it, too
        data = yaml.safe_load((folder / DESCRIPTION).read_text("utf-8"))
        return make_contract(data, _read_example(folder, data.get("saved_input_example_info") or {}))
    except Exception:  # a model of another release: it may score all the same
        return None


def make_contract(data: dict[str, Any], example: Any = None) -> HttpContract:
    """The contract of a model whose file `MLmodel` is `data`. `example` is a request's body."""
    signature = data.get("signature") or {}
    inputs, outputs, params = (_read_json(signature.get(name)) for name in ("inputs", "outputs", "params"))
    result: dict[str, Any] = {"type": "object", "required": ["predictions"]}
    result["properties"] = {"predictions": _result_schema(outputs)}
    return HttpContract(
        summary=f"a JSON object with {_WORDS}" + (", optional params" if params else ""),
        request=_request_schema(inputs, params),
        result=result,
        example=example,
        score_paths=("/invocations",),
        health_paths=("/ping", "/health"),
        answers={"/version": str(data.get("mlflow_version") or "").encode()},
    )


def _request_schema(inputs: list[Any] | None, params: list[Any] | None) -> dict[str, Any]:
    named = {str(item["name"]): item for item in inputs or [] if item.get("name") is not None}
    row: dict[str, Any] = {"type": "object"}
    required = [name for name, item in named.items() if item.get("required", True)]
    if named:
        row["properties"] = {name: _schema_of(item) for name, item in named.items()}
        row |= {"required": required} if required else {}
    cells = {"type": "array", "items": {"type": "array", "items": {}}}
    split = {
        "type": "object",
        "properties": {
            "columns": {"type": "array", "items": {}},
            "index": {"type": "array", "items": {}},
            "data": cells,
        },
        "required": ["data"],
    }
    # A lone tensor without a name is the value itself; named ones and columns are an object of lists.
    lone = not named and inputs and _schema_of(inputs[0])
    properties: dict[str, Any] = {
        "dataframe_split": split,
        "dataframe_records": {"type": "array", "items": row},
        "instances": lone or {"type": "array", "items": row if named and _has_columns(inputs) else {}},
        "inputs": lone or {},
        "params": {"type": "object", **_param_schema(params or [])},
    }
    description = f"Exactly one of {_WORDS}, as `mlflow models serve` takes them."
    return {"type": "object", "description": description, "properties": properties}


def _has_columns(inputs: list[Any] | None) -> bool:
    return all(item.get("type") != "tensor" for item in inputs or [])


def _param_schema(params: list[Any]) -> dict[str, Any]:
    found = {}
    for item in params:
        schema = _schema_of(item)
        if item.get("shape"):
            schema = {"type": "array", "items": schema}
        found[str(item["name"])] = {**schema, "default": item["default"]} if item.get("default") is not None else schema
    return {"properties": found} if found else {}


def _result_schema(outputs: list[Any] | None) -> dict[str, Any]:
    """The predictions: a lone tensor or unnamed column as it is, columns as records, named tensors as an object."""
    if not outputs:
        return {}
    if len(outputs) == 1 and outputs[0].get("name") is None:
        schema = _schema_of(outputs[0])
        return schema if outputs[0].get("type") == "tensor" else {"type": "array", "items": schema}
    properties = {str(item.get("name")): _schema_of(item) for item in outputs}
    row = {"type": "object", "properties": properties}
    return {"type": "array", "items": row} if _has_columns(outputs) else row


def _schema_of(item: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of one column, parameter or tensor of a signature; anything unknown is any value."""
    kind = item.get("type")
    if kind == "tensor":
        spec = item.get("tensor-spec") or {}
        name = str(spec.get("dtype", "")).rstrip("0123456789")
        schema: dict[str, Any] = {"type": _KINDS[name]} if name in _KINDS else {}
        for _ in spec.get("shape") or []:
            schema = {"type": "array", "items": schema}
        return schema
    if kind == "array":
        return {"type": "array", "items": _schema_of(item.get("items") or {})}
    if kind == "map":
        return {"type": "object", "additionalProperties": _schema_of(item.get("values") or {})}
    if kind == "object":
        fields = item.get("properties") or {}
        found: dict[str, Any] = {"type": "object", "properties": {name: _schema_of(fields[name]) for name in fields}}
        required = [name for name, field in fields.items() if field.get("required", True)]
        return found | ({"required": required} if required else {})
    return dict(_TYPES.get(str(kind), {}))


def _read_json(text: Any) -> list[Any] | None:
    data = json.loads(text) if isinstance(text, str) else text
    return data if isinstance(data, list) else None


def _read_example(folder: Path, info: dict[str, Any]) -> Any:
    """The model's input example as a request's body: None without one, or in a form that cannot be told."""
    if name := info.get("serving_input_path"):
        return json.loads((folder / str(name)).read_text("utf-8"))
    if not info.get("artifact_path"):
        return None
    data = json.loads((folder / str(info["artifact_path"])).read_text("utf-8"))
    if info.get("type") == "dataframe" and info.get("pandas_orient") == "split":
        return {"dataframe_split": data}
    if info.get("type") == "ndarray" and isinstance(data, dict) and "inputs" in data:
        return {"inputs": data["inputs"]}
    return None
