"""v1's name for entry scripts `azureml.monitoring.ModelDataCollector`: stores inputs and predictions as CSV."""

from __future__ import annotations

import csv
import io
import os
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

VARIABLE = "MLDEPLOY_MODEL_DATA"

CORRELATION = "$aml_dc_correlation_id"  # v1's key of the id that `collect` returns


class ModelDataCollector:
    """Appends rows to `<folder>/<model>/<designation>/<year>/<month>/<day>/data.csv`.

    `folder` is in the environment variable MLDEPLOY_MODEL_DATA; without it, collecting does nothing. Several workers
    may write: each call is one `write`. A disk error is printed and does not fail the request.
    """

    def __init__(
        self,
        model_name: str,
        designation: str = "default",
        feature_names: list[str] | None = None,
        workspace: str = "default",
        webservice_name: str = "default",
        model_version: str = "default",
        collection_name: str = "default",
        *,
        identifier: str | None = None,
        **_: Any,
    ) -> None:
        self.model_name = model_name
        self.designation = designation = identifier or designation  # `identifier` is its name of 2018
        self.feature_names = list(feature_names or [])
        folder = os.environ.get(VARIABLE)
        parts = [_safe(part) for part in (model_name, designation)]
        self._folder = Path(folder, *parts) if folder else None
        self._lock = threading.Lock()
        self._next = threading.local()  # `id`: of the data that this thread collects next

    def collect(self, input_data: Any, user_correlation_id: str = "") -> dict[str, str]:
        """Stores a list, an array or a data frame, one CSV line for each row.

        Returns what `add_correlations` of another collector takes, under v1's key: the id of these rows.
        """
        correlation_id = user_correlation_id or self._next.__dict__.pop("id", "") or str(uuid.uuid4())
        if self._folder is not None:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self._append([[stamp, correlation_id, *row] for row in _rows(input_data)])
        return {CORRELATION: correlation_id}

    def add_correlations(self, input_data: Any, correlations: dict[str, str] | None) -> Any:
        """Links the data that this collector gets next to the rows that another has stored: they have the same id.

        Returns the data as it is; in v1 it had further columns. None links nothing.
        """
        if correlations:
            self._next.id = correlations[CORRELATION]
        return input_data

    def _append(self, rows: list[list[Any]]) -> None:
        assert self._folder is not None
        path = self._folder / time.strftime("%Y/%m/%d", time.gmtime()) / "data.csv"
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        with self._lock:
            try:
                for folder in reversed(path.parents):  # `parents=True` would give all but the last the usual mode
                    if not folder.is_dir():
                        folder.mkdir(mode=0o700, exist_ok=True)
                if not path.exists() and self.feature_names:
                    head = ",".join(["$Timestamp", "$CorrelationId", *self.feature_names]) + "\n"
                    text = io.StringIO(head + text.getvalue())
                descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    os.write(descriptor, text.getvalue().encode())
                finally:
                    os.close(descriptor)
            except OSError as error:  # a full disk must not fail a prediction
                print(f"warning: model data is not kept: {error}", file=sys.stderr)


def _rows(data: Any) -> list[list[Any]]:
    if hasattr(data, "to_numpy"):
        data = data.to_numpy()
    if hasattr(data, "tolist"):
        data = data.tolist()
    if not isinstance(data, (list, tuple)):
        return [[data]]
    if any(isinstance(row, (list, tuple)) for row in data):
        return [list(row) if isinstance(row, (list, tuple)) else [row] for row in data]
    return [list(data)]


def _safe(part: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in str(part)).lstrip(".") or "_"
