"""Entry scripts of every kind whose `run()` cannot fail, and bodies for them: valid, nearly valid and absurd."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

_DECORATED = """
    import numpy as np, pandas as pd
    from inference_schema.schema_decorators import input_schema, output_schema
    from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
    from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
    from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
    def init(): pass
"""
_HINTED = """
    from dataclasses import dataclass
    from typing import Literal, Optional, TypedDict
    from datetime import datetime
    import numpy as np, pandas as pd, pydantic
    class Person(pydantic.BaseModel):
        name: str
        age: int
    @dataclass
    class Point:
        x: float
        y: float = 0.0
        kind: Optional[Literal["a", "b"]] = None
    def init(): pass
"""


def _sample(kind: str, more: str = "") -> str:
    return f"{_DECORATED}\n    @input_schema('data', {kind})\n    def run(data{more}): return [int(np.size(data))]\n"


_FRAME = "pd.DataFrame({'a': [1, 2], 'b': [1.5, 2.5], 'c': ['x', 'y'], 'd': pd.to_datetime(['2020-01-01'] * 2)})"
SCRIPTS = {
    "text": "def init(): pass\ndef run(data): return data.encode('utf-16', 'surrogatepass').hex()",
    "bytes": "def init(): pass\ndef run(data: bytes): return len(data)",
    "raw": """
        from azureml.contrib.services.aml_request import rawhttp
        def init(): pass
        @rawhttp
        def run(request): return [request.method, len(request.data), len(request.args), len(request.headers)]
    """,
    "two": "def init(): pass\ndef run(a, b, c=3): return [str(type(a)), str(type(b)), str(type(c))]",
    "echo": "def init(): pass\ndef run(a, b): return [a, b]",
    "ints": _sample("NumpyParameterType(np.array([[1, 2, 3]]))"),
    "floats": _sample("NumpyParameterType(np.array([[1.5, 2.5]], 'f4'))"),
    "loose": _sample("NumpyParameterType(np.array([[1.5, 2.5]]), enforce_shape=False)"),
    "strings": _sample("NumpyParameterType(np.array(['abc']))"),
    "bools": _sample("NumpyParameterType(np.array([True]))"),
    "frame": _sample(f"PandasParameterType({_FRAME})"),
    "split": _sample(f"PandasParameterType({_FRAME}, orient='split')"),
    "columns": _sample(f"PandasParameterType({_FRAME}, orient='columns')"),
    "standard": _sample("StandardPythonParameterType({'a': [1, 2], 'b': {'c': 'x'}, 'd': 1.5})"),
    "point": f"{_HINTED}\n    def run(data: Point): return [data.x, data.y]\n",
    "points": f"{_HINTED}\n    def run(data: list[Point], n: int = 1): return len(data) * n if n < 9 else 0\n",
    "person": f"{_HINTED}\n    def run(data: Person): return data.age % 2\n",
    "map": f"{_HINTED}\n    def run(data: dict[str, list[int]] | None): return data and len(data)\n",
    "when": f"{_HINTED}\n    def run(data: datetime): return str(data)\n",
    "array": f"{_HINTED}\n    def run(data: np.ndarray): return data.size\n",
    "table": f"{_HINTED}\n    def run(data: pd.DataFrame): return len(data)\n",
}
EXAMPLES: dict[str, Any] = {
    "two": {"a": 1, "b": [2]},
    "echo": {"a": {"x": 1}, "b": "y"},
    "ints": {"data": [[1, 2, 3], [4, 5, 6]]},
    "floats": {"data": [[1.5, 2.5]]},
    "loose": {"data": [[1.5, 2.5]]},
    "strings": {"data": ["abc", "d"]},
    "bools": {"data": [True, False]},
    "frame": {"data": [{"a": 1, "b": 1.5, "c": "x", "d": "2020-01-01T00:00:00"}]},
    "split": {"data": {"columns": ["a", "b", "c", "d"], "index": [0], "data": [[1, 1.5, "x", "2020-01-01T00:00:00"]]}},
    "columns": {"data": {"a": {"0": 1}, "b": {"0": 1.5}, "c": {"0": "x"}, "d": {"0": "2020-01-01T00:00:00"}}},
    "standard": {"data": {"a": [1], "b": {"c": "x"}, "d": 1.5}},
    "point": {"data": {"x": 1.5, "y": 2, "kind": "a"}},
    "points": {"data": [{"x": 1.5}], "n": 2},
    "person": {"data": {"name": "x", "age": 3}},
    "map": {"data": {"x": [1, 2]}},
    "when": {"data": "2020-01-01T00:00:00Z"},
    "array": {"data": [[1, 2]]},
    "table": {"data": [{"a": 1}]},
}
EDGES = [0, -1, 1.7, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30, 1e308, -0.0, 5e-324, float("nan"),
         float("inf"), float("-inf"), "", "\0", "\ud800", "é" * 50, "1", "NaN", "2020-13-45", "9999999-01-01", "inf",
         True, None, [], {}]  # fmt: skip
VALUES = st.recursive(
    st.sampled_from(EDGES) | st.integers() | st.floats() | st.text(max_size=5) | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.sampled_from("abcdxy"), inner),
    max_leaves=12,
)


def bodies(name: str) -> st.SearchStrategy[bytes]:
    example = EXAMPLES.get(name, {"data": 1})
    changed = st.builds(_changed, st.just(example), st.lists(st.integers(0, 7), max_size=6), VALUES)
    envelope = VALUES.map(lambda value: {**example, "data": value})
    said = (changed | changed | envelope | VALUES).map(_encoded)
    return st.one_of(
        said,
        said,
        st.builds(
            _cut, said, st.integers(0, 400), st.sampled_from([b"", b"\0", b"\xff", b",", b"[", b"\xef\xbb\xbf", b"NaN"])
        ),
        said.map(lambda body: b"\xef\xbb\xbf" + body),
        st.binary(max_size=60),
        st.integers(1, 3000).map(lambda n: b'{"data": ' + b"[" * n + b"]" * n + b', "a": 1, "b": 2}'),
        st.integers(1, 3000).map(lambda n: b'{"data":' * n + b"1" + b"}" * n),
        st.just(json.dumps(example).encode()[:-1] + b"," + json.dumps(example).encode()[1:]),  # every key twice
        st.just(json.dumps(example).encode("utf-16")),
    )


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8")


def _changed(value: Any, path: list[int], put: Any) -> Any:
    """The value with another one somewhere inside."""
    if not path:
        return put
    if isinstance(value, dict) and value:
        name = list(value)[path[0] % len(value)]
        if path[0] == 7:
            return {key: item for key, item in value.items() if key != name}
        return {**value, name: _changed(value[name], path[1:], put)}
    if isinstance(value, list) and value:
        at = path[0] % len(value)
        return [*value[:at], _changed(value[at], path[1:], put), *value[at + 1 :]]
    return put


def _cut(body: bytes, at: int, put: bytes) -> bytes:
    at %= len(body) + 1
    return body[:at] + put + body[at + 1 :]
