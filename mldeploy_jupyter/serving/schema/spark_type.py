"""`SparkParameterType`: rows as a Spark data frame with the sample's schema. Needs pyspark in the script."""

from __future__ import annotations

import json
from typing import Any

from .base import Misfit, OwnParameterType, kind_of


class SparkParameterType(OwnParameterType):
    """A Spark data frame from a list of objects. `apply_sample_schema` imposes the sample's schema.

    Raises `TypeError` when the sample is not a Spark data frame.
    """

    def __init__(self, sample_input: Any, apply_sample_schema: bool = True) -> None:
        if not (type(sample_input).__module__.startswith("pyspark.") and hasattr(sample_input, "sparkSession")):
            raise TypeError(f"the sample must be a Spark DataFrame, not {type(sample_input).__name__}")
        super().__init__(sample_input)
        self.apply_sample_schema = apply_sample_schema

    def careful(self, value: Any, where: str) -> Any:
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise Misfit(where, f"expected a list of objects, one a row, got {kind_of(value)}")
        names = list(self.sample_input.columns)
        for index, row in enumerate(value):
            missing = [name for name in names if name not in row]
            if missing:
                raise Misfit(f"{where}[{index}]", f"no column {missing[0]!r}", f"The columns are: {', '.join(names)}.")
        session = self.sample_input.sparkSession
        try:
            if self.apply_sample_schema:  # Spark verifies each value against the schema, and loses nothing
                rows = [tuple(row[name] for name in names) for row in value]
                return session.createDataFrame(rows, schema=self.sample_input.schema)
            return session.createDataFrame(value)
        except (TypeError, ValueError) as error:
            raise Misfit(where, str(error)) from error

    def dump(self) -> Any:
        return [json.loads(row) for row in self.sample_input.toJSON().collect()]

    def schema(self) -> dict[str, Any]:
        fields = json.loads(self.sample_input.schema.json())["fields"]
        properties = {item["name"]: _schema(item["type"]) for item in fields}
        row = {"type": "object", "properties": properties, "required": list(properties)}
        return {"type": "array", "items": row, "x-format": "pyspark.sql.DataFrame"}


def _schema(kind: Any) -> dict[str, Any]:
    if kind in ("integer", "long", "short", "byte"):
        return {"type": "integer"}
    if kind in ("double", "float"):
        return {"type": "number"}
    return {"type": kind} if kind in ("boolean", "string") else {}
