"""Scripts with the decorators of inference_schema, in all their forms."""

from __future__ import annotations

from .case import Ask, Case, case

IMPORTS = """
        import datetime
        import numpy as np
        import pandas as pd
        from inference_schema.schema_decorators import input_schema, output_schema
        from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
        from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
        from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
        from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType

        def init():
            pass
"""


def schema(kind: str, script: str, *asks: tuple[object, object] | Ask, refused: str = "") -> Case:
    return case(kind, IMPORTS + script, *asks, refused=refused)


AUTOML = """
        data_sample = PandasParameterType(pd.DataFrame({"age": pd.Series([0], dtype="int64"),
                                                        "job": pd.Series(["x"], dtype="object")}))
        input_sample = StandardPythonParameterType({"data": data_sample})
        method_sample = StandardPythonParameterType("predict")
        sample_global_params = StandardPythonParameterType({"method": method_sample})
        result_sample = NumpyParameterType(np.array([0]))
        output_sample = StandardPythonParameterType({"Results": result_sample})

        @input_schema("Inputs", input_sample)
        @input_schema("GlobalParameters", sample_global_params, convert_to_provided_type=False)
        @output_schema(output_sample)
        def run(Inputs, GlobalParameters={"method": "predict"}):
            data = Inputs["data"]
            if GlobalParameters.get("method", None) == "predict_proba":
                return {"Results": [0.5] * len(data)}
            return {"Results": (data["age"] * 2).tolist()}
"""

AUTOML_OLD = """
        input_sample = pd.DataFrame({"age": pd.Series([1], dtype="int64"), "job": pd.Series(["x"], dtype="object")})
        output_sample = np.array([0])

        @input_schema("data", PandasParameterType(input_sample))
        @output_schema(NumpyParameterType(output_sample))
        def run(data):
            try:
                result = data["age"].to_numpy() * 2
                import json
                return json.dumps({"result": result.tolist()})
            except Exception as e:
                result = str(e)
                return json.dumps({"error": result})
"""

CASES: tuple[Case, ...] = (
    schema(
        "an array in and out",
        """
        @input_schema("data", NumpyParameterType(np.array([[1.0, 2.0]])))
        @output_schema(NumpyParameterType(np.array([3.0])))
        def run(data):
            return data.sum(axis=1).tolist()
        """,
        ({"data": [[1, 2], [3.5, 4]]}, [3.0, 7.5]),
        Ask({"data": [[1, 2, 3]]}, None, 422),
    ),
    schema(
        "an array that is returned as it is",
        """
        @input_schema("data", NumpyParameterType(np.array([[1.0, 2.0]])))
        @output_schema(NumpyParameterType(np.array([[1.0, 2.0]])))
        def run(data):
            return data * 2
        """,
        ({"data": [[1, 2]]}, [[2.0, 4.0]]),
    ),
    schema(
        "an array of any shape",
        """
        @input_schema("data", NumpyParameterType(np.array([1.0]), enforce_shape=False))
        def run(data):
            return list(data.shape)
        """,
        ({"data": [[1, 2, 3], [4, 5, 6]]}, [2, 3]),
    ),
    schema(
        "an image as an array of bytes",
        """
        @input_schema("image", NumpyParameterType(np.zeros((1, 2, 2, 3), dtype=np.uint8)))
        def run(image):
            return [str(image.dtype), list(image.shape), int(image.max())]
        """,
        ({"image": [[[[1, 2, 255]] * 2] * 2]}, ["uint8", [1, 2, 2, 3], 255]),
    ),
    schema(
        "an array of texts",
        """
        @input_schema("data", NumpyParameterType(np.array(["a sentence of some length"])))
        def run(data):
            return [text.upper() for text in data]
        """,
        ({"data": ["a", "b"]}, ["A", "B"]),
    ),
    schema(
        "rows of mixed values, which numpy makes texts",
        """
        @input_schema("data", NumpyParameterType(np.array([[1, "Thursday", 16, 3.48]])))
        def run(data):
            return data.tolist()
        """,
        ({"data": [[2, "Friday", True, 0.5]]}, [["2", "Friday", "True", "0.5"]]),
        ({"data": [["2", "Friday", "16", "0.5"]]}, [["2", "Friday", "16", "0.5"]]),
        Ask({"data": [[None, "Friday", 16, 0.5]]}, None, 422),
    ),
    schema(
        "an empty batch",
        """
        @input_schema("data", NumpyParameterType(np.array([1, 2])))
        def run(data):
            return len(data)
        """,
        ({"data": []}, 0),
    ),
    schema(
        "records in an array",
        """
        sample = np.array([("a", (1.0, 2.0))], dtype=[("name", "U10"), ("grades", "f8", (2,))])

        @input_schema("data", NumpyParameterType(sample))
        def run(data):
            return data["grades"].mean(axis=1).tolist()
        """,
        ({"data": [{"name": "b", "grades": [1, 3]}]}, [2.0]),
    ),
    schema(
        "a whole number for each item of the sample, and a fraction of the client's",
        """
        @input_schema("data", NumpyParameterType(np.array([[10, 9, 8]])))
        def run(data):
            return data.tolist()
        """,
        ({"data": [[1, 2, 3]]}, [[1, 2, 3]]),
        Ask({"data": [[1.7, 2, 3]]}, None, 422),  # v1 scored 1
    ),
    schema(
        "a table of records",
        """
        @input_schema("data", PandasParameterType(pd.DataFrame({"a": [1.5], "b": ["x"]})))
        @output_schema(NumpyParameterType(np.array([1.5])))
        def run(data):
            return data["a"].to_numpy()
        """,
        ({"data": [{"a": 1, "b": "y"}, {"b": "z", "a": 2.5}]}, [1.0, 2.5]),
        ({"data": {"a": [1], "b": ["y"]}}, [1.0]),
        ({"data": {"a": {"0": 1}, "b": {"0": "y"}}}, [1.0]),
    ),
    schema(
        "a table split into columns and rows",
        """
        @input_schema("data", PandasParameterType(pd.DataFrame({"a": [1.5], "b": ["x"]}), orient="split"))
        def run(data):
            return data.to_dict("records")
        """,
        ({"data": {"columns": ["a", "b"], "index": [0], "data": [[2, "y"]]}}, [{"a": 2.0, "b": "y"}]),
    ),
    schema(
        "a table of values",
        """
        @input_schema("data", PandasParameterType(pd.DataFrame({"a": [1.5], "b": ["x"]}), orient="values"))
        def run(data):
            return data.values.tolist()
        """,
        ({"data": [[2, "y"]]}, [[2.0, "y"]]),
    ),
    schema(
        "a table whose columns get the sample's names",
        """
        sample = pd.DataFrame({"a": [1.5], "b": ["x"]})

        @input_schema("data", PandasParameterType(sample, apply_column_names=True))
        def run(data):
            return list(data.columns)
        """,
        ({"data": [{"p": 1, "q": "y"}]}, ["a", "b"]),
    ),
    schema(
        "a table without types",
        """
        sample = pd.DataFrame({"a": [1.5], "b": ["x"]})

        @input_schema("data", PandasParameterType(sample, enforce_column_type=False, enforce_shape=False))
        def run(data):
            return len(data.columns)
        """,
        ({"data": [{"a": 1, "b": "y", "c": 2}]}, 3),
    ),
    schema(
        "a table with dates and categories",
        """
        sample = pd.DataFrame({"when": pd.to_datetime(["2020-01-02"]), "kind": pd.Series(["x"], dtype="category")})

        @input_schema("data", PandasParameterType(sample))
        def run(data):
            return [data["when"].dt.year.tolist(), data["kind"].tolist()]
        """,
        ({"data": [{"when": "2021-03-04T05:06:07Z", "kind": "x"}]}, [[2021], ["x"]]),
        ({"data": [{"when": "03/04/2021", "kind": "x"}]}, [[2021], ["x"]]),
    ),
    schema(
        "a missing value in a table",
        """
        @input_schema("data", PandasParameterType(pd.DataFrame({"a": [1.5], "b": ["x"]})))
        def run(data):
            return data.isna().sum().to_dict()
        """,
        ({"data": [{"a": None, "b": "y"}]}, {"a": 1, "b": 0}),
    ),
    schema(
        "the script that automated machine learning wrote",
        AUTOML_OLD,
        ({"data": [{"age": 2, "job": "y"}]}, '{"result": [4]}'),
    ),
    schema(
        "its later form, with Inputs and GlobalParameters",
        AUTOML,
        ({"Inputs": {"data": [{"age": 2, "job": "y"}]}, "GlobalParameters": {"method": "predict"}}, {"Results": [4]}),
        ({"Inputs": {"data": [{"age": 2, "job": "y"}]}}, {"Results": [4]}),
    ),
    schema(
        "a dict of plain values, some left out",
        """
        @input_schema("p", StandardPythonParameterType({"num_beams": 1, "max_length": 2}))
        @output_schema(StandardPythonParameterType({"length": 1}))
        def run(p):
            return {"length": p.get("max_length", 20)}
        """,
        ({"p": {"num_beams": 3}}, {"length": 20}),
        ({"p": {"num_beams": 3, "max_length": "7", "more": [1]}}, {"length": "7"}),
    ),
    schema(
        "a list of texts",
        """
        @input_schema("queries", StandardPythonParameterType(["what is this"]))
        def run(queries):
            return [len(q) for q in queries]
        """,
        ({"queries": ["a", "bc"]}, [1, 2]),
    ),
    schema(
        "a list of whole numbers, and a client that sends fractions",
        """
        @input_schema("rows", StandardPythonParameterType([[1, 2]]))
        def run(rows):
            return np.asarray(rows, dtype=float).sum(axis=1).tolist()
        """,
        ({"rows": [[1, 2]]}, [3.0]),
        ({"rows": [[1.5, 2], ["3", 4]]}, [3.5, 7.0]),
        Ask({"rows": 1}, None, 422),
    ),
    schema(
        "a sample with None and with numbers as keys",
        """
        @input_schema("p", StandardPythonParameterType({1: "a", "filter": None}))
        def run(p):
            return p
        """,
        ({"p": {"1": "b", "filter": {"a": 1}}}, {"1": "b", "filter": {"a": 1}}),
    ),
    schema(
        "a number in a column of text",
        """
        sample = pd.DataFrame({"code": pd.Series(["example"], dtype="object"), "n": [1.5]})

        @input_schema("data", PandasParameterType(sample))
        def run(data):
            return [str(code) for code in data["code"]]
        """,
        ({"data": [{"code": 7, "n": 1}, {"code": "x", "n": 2}]}, ["7", "x"]),
    ),
    schema(
        "several parameters, one with a default",
        """
        @input_schema("text", StandardPythonParameterType("some text"))
        @input_schema("top", StandardPythonParameterType(3))
        @output_schema(StandardPythonParameterType(["a"]))
        def run(text, top=2):
            return list(text)[:top]
        """,
        ({"text": "abcd", "top": 1}, ["a"]),
        ({"text": "abcd"}, ["a", "b"]),
        ({"text": "abcd", "unknown": True}, ["a", "b"]),
        Ask({"top": 1}, None, 422),
    ),
    schema(
        "an optional parameter",
        """
        @input_schema("data", StandardPythonParameterType([1]))
        @input_schema("params", StandardPythonParameterType({"n": 1}), optional=True)
        def run(data, params=None):
            return [data, params is None]
        """,
        ({"data": [1], "params": None}, [[1], True]),
        ({"data": [1]}, [[1], True]),
        ({"data": [1], "params": {"n": 2}}, [[1], False]),
    ),
    schema(
        "a value that is not converted",
        """
        @input_schema("data", PandasParameterType(pd.DataFrame({"a": [1]})), convert_to_provided_type=False)
        def run(data):
            return type(data).__name__
        """,
        ({"data": [{"a": 1}]}, "list"),
    ),
    schema(
        "dates and bytes",
        """
        @input_schema("day", StandardPythonParameterType(datetime.date(2020, 1, 2)))
        @input_schema("at", StandardPythonParameterType(datetime.datetime(2020, 1, 2)))
        @input_schema("image", StandardPythonParameterType(b"bytes"))
        def run(day, at, image):
            return [day.year, at.hour, len(image)]
        """,
        ({"day": "2021-02-03", "at": "2021-02-03T04:05:06", "image": "aGVsbG8="}, [2021, 4, 5]),
        ({"day": "2021-02-03", "at": "Feb 3 2021 3pm", "image": ""}, [2021, 15, 0]),
    ),
    schema(
        "arrays and tables inside a dict",
        """
        sample = StandardPythonParameterType({
            "rows": PandasParameterType(pd.DataFrame({"a": [1.5]})),
            "x": NumpyParameterType(np.array([1.0])),
            "options": StandardPythonParameterType({"k": 1}),
            "raw": 0,
        })

        @input_schema("param", sample)
        def run(param):
            return [type(param[key]).__name__ for key in ("rows", "x", "options", "raw")]
        """,
        (
            {"param": {"rows": [{"a": 1}], "x": [1], "options": {"k": 2}, "raw": "any"}},
            ["DataFrame", "ndarray", "dict", "str"],
        ),
    ),
    schema(
        "a type of the script's own",
        """
        class Upper(AbstractParameterType):
            def __init__(self, sample_input):
                super(Upper, self).__init__(sample_input)
            def deserialize_input(self, input_data):
                return input_data.upper()
            def input_to_swagger(self):
                return {"type": "string", "example": self.sample_input}

        @input_schema("data", Upper("a"))
        def run(data):
            return data
        """,
        ({"data": "b"}, "B"),
    ),
    schema(
        "a decorator above that times the call",
        """
        import functools, time

        def timed(f):
            @functools.wraps(f)
            def inner(*args, **kwargs):
                began = time.time()
                result = f(*args, **kwargs)
                return {"result": result, "slow": time.time() - began > 60}
            return inner

        @timed
        @input_schema("data", NumpyParameterType(np.array([1])))
        def run(data):
            return data.tolist()
        """,
        ({"data": [1, 2]}, {"result": [1, 2], "slow": False}),
    ),
    schema(
        "a method with samples",
        """
        class Model(object):
            @input_schema("data", NumpyParameterType(np.array([1])))
            @output_schema(NumpyParameterType(np.array([1])))
            def run(self, data):
                return data.tolist()

        run = Model().run
        """,
        ({"data": [1, 2]}, [1, 2]),
    ),
    schema(
        "the request's headers beside a sample",
        """
        @input_schema("data", StandardPythonParameterType([1]))
        def run(data, request_headers):
            return request_headers["X-Tenant"], request_headers.get("x-none", "-"), len(data)
        """,
        Ask({"data": [1]}, ["t", "-", 1], headers={"x-tenant": "t"}),
    ),
    schema(
        "a response with a status of its own",
        """
        from azureml.contrib.services.aml_response import AMLResponse

        @input_schema("data", StandardPythonParameterType([1]))
        def run(data):
            if not data:
                return AMLResponse("empty", 400)
            return AMLResponse({"n": len(data)}, 201, {}, json_str=True)
        """,
        Ask({"data": [1]}, {"n": 1}, 201),
        Ask({"data": []}, b"empty", 400),
    ),
    schema(
        "what schema_util says of run",
        """
        from inference_schema.schema_util import get_input_schema, get_output_schema, is_schema_decorated

        @input_schema("data", StandardPythonParameterType([1]))
        @output_schema(StandardPythonParameterType({"n": 1}))
        def run(data):
            names = sorted(get_input_schema(run)["properties"])
            return {"n": [is_schema_decorated(run), names, get_output_schema(run)["type"]]}
        """,
        ({"data": [1]}, {"n": [True, ["data"], "object"]}),
    ),
    schema(
        "a name that run does not have",
        """
        @input_schema("data", StandardPythonParameterType([1]))
        def run(input_data):
            return input_data
        """,
        refused="@input_schema names 'data', but the parameters of run() are: input_data",
    ),
)
