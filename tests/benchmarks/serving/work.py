"""What is asked of the servers, and what the right answer is."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

Form = Literal["data", "v2", "inputs", "bytes"]
CONNECTIONS = (1, 8, 64)


@dataclass(frozen=True)
class Work:
    """One kind of request. `rows` of 10 features, or `size` raw bytes; `connections` are the loads to try."""

    name: str
    rows: int = 0
    size: int = 0
    connections: tuple[int, ...] = CONNECTIONS


WORKS = {
    work.name: work
    for work in (
        Work("small", rows=2),
        Work("batch", rows=2),
        Work("large", rows=1000),
        Work("raw", size=1024 * 1024, connections=(8,)),
    )
}


def features(rows: int) -> np.ndarray:
    X, _ = load_diabetes(return_X_y=True)
    return X[np.arange(rows) % len(X)]


def body(work: Work, form: Form) -> bytes:
    """The request's body in the form that a server wants."""
    if work.size:
        return bytes(range(256)) * (work.size // 256)
    rows = features(work.rows)
    if form == "v2":
        tensor = {
            "name": "predict",
            "shape": list(rows.shape),
            "datatype": "FP64",
            "data": [float(value) for value in rows.ravel()],
        }
        return json.dumps({"inputs": [tensor]}).encode()
    return json.dumps({"inputs" if form == "inputs" else "data": rows.tolist()}).encode()


def expected(work: Work) -> list[float] | int:
    if work.size:
        return work.size
    X, y = load_diabetes(return_X_y=True)
    return Ridge().fit(X, y).predict(features(work.rows)).tolist()  # type: ignore[no-any-return]


def result(answer: bytes, form: Form) -> Any:
    """The numbers in an answer."""
    value = json.loads(answer)
    if form == "v2":
        return value["outputs"][0]["data"]
    if form == "inputs":
        return value["predictions"]
    return value


def is_right(got: Any, wanted: list[float] | int) -> bool:
    """Whether the numbers are the expected ones, to nine digits."""
    if isinstance(wanted, int):
        return bool(got == wanted)
    if not isinstance(got, list) or len(got) != len(wanted):
        return False
    return all(
        isinstance(one, (int, float)) and math.isclose(one, other, rel_tol=1e-9)
        for one, other in zip(got, wanted, strict=True)
    )
