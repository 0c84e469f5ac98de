"""Scripts that take the text of the body, and what they use beside it."""

from __future__ import annotations

from .case import Ask, Case, case

PLAIN = {"content-type": "text/plain"}

CASES: tuple[Case, ...] = (
    case(
        "the text as it is",
        """
        def init():
            return
        def run(input_data):
            return input_data
        """,
        Ask("some text", "some text", headers=PLAIN),
        ({"a": 1}, '{"a":1}'),
    ),
    case(
        "nothing returned",
        """
        def init(): pass
        def run(data): print(data)
        """,
        ("x", {}),
    ),
    case(
        "a type hint over text that the function parses",
        """
        import json
        import numpy as np
        def init(): pass
        def run(raw_data: np.ndarray):
            return json.loads(raw_data)["data"]
        """,
        ({"data": [1, 2]}, [1, 2]),
    ),
    case(
        "lines of CSV",
        """
        import io
        import pandas as pd
        def init(): pass
        def run(data):
            frame = pd.read_csv(io.StringIO(data))
            return frame.sum().to_dict()
        """,
        Ask("a,b\n1,2\n3,4\n", {"a": 4, "b": 6}, headers={"content-type": "text/csv"}),
    ),
    case(
        "JSON that pandas reads",
        """
        import io
        import pandas as pd
        def init(): pass
        def run(raw_data):
            df = pd.read_json(io.StringIO(raw_data), orient="records")
            return df.to_json(orient="records")
        """,
        ([{"a": 1}], '[{"a":1}]'),
    ),
    case(
        "JSON inside of JSON",
        """
        import json
        def init(): pass
        def run(data):
            data = json.loads(data)
            if isinstance(data, str):
                data = json.loads(data)
            return data["x"]
        """,
        ('"{\\"x\\": 1}"', 1),
    ),
    case(
        "text in base64",
        """
        import base64, json
        def init(): pass
        def run(raw_data):
            content = base64.b64decode(json.loads(raw_data)["content"])
            return {"bytes": len(content), "again": base64.b64encode(content).decode("utf-8")}
        """,
        ({"content": "aGVsbG8="}, {"bytes": 5, "again": "aGVsbG8="}),
    ),
    case(
        "logging and prints",
        """
        import json, logging, sys
        logger = logging.getLogger("azmlinfsrv")
        logging.basicConfig(level=logging.INFO)
        def init():
            logging.info("init")
            logger.warning("warned")
            print("Python", sys.version, flush=True)
        def run(raw_data):
            logging.info("Request received")
            sys.stdout.write("written")
            return json.loads(raw_data)
        """,
        ([1], [1]),
    ),
    case(
        "the data collector",
        """
        import json
        import numpy as np
        from azureml.monitoring import ModelDataCollector
        def init():
            global inputs_dc, prediction_dc
            inputs_dc = ModelDataCollector("best_model", designation="inputs", feature_names=["f1", "f2"])
            prediction_dc = ModelDataCollector("best_model", designation="predictions", feature_names=["p1"])
        def run(raw_data):
            data = np.array(json.loads(raw_data)["data"])
            result = data.sum(axis=1)
            correlations = inputs_dc.collect(data)
            prediction_dc.collect(result, user_correlation_id=str(correlations))
            return result.tolist()
        """,
        ({"data": [[1, 2]]}, [3]),
    ),
    case(
        "the headers of the request",
        """
        import json
        def init(): pass
        def run(data, request_headers):
            values = dict(request_headers)
            return {"data": json.loads(data), "token": request_headers.get("Authorization"), "own": values["X-Own"]}
        """,
        Ask([1], {"data": [1], "token": "Bearer t", "own": "1"}, headers={"authorization": "Bearer t", "x-own": "1"}),
    ),
    case(
        "global counters",
        """
        count = 0
        cache = {}
        def init():
            global started
            started = True
        def run(data):
            global count
            count += 1
            cache[data] = cache.get(data, 0) + 1
            return [started, count, cache[data]]
        """,
        ("a", [True, 1, 1]),
        ("a", [True, 2, 2]),
        ("b", [True, 3, 1]),
    ),
    case(
        "variables of the environment",
        """
        import os
        def init():
            global threshold
            threshold = float(os.environ.get("THRESHOLD", 0.5))
        def run(data):
            return [threshold, os.getenv("AZUREML_ENTRY_SCRIPT"), os.path.isdir(os.environ["AML_APP_ROOT"])]
        """,
        ("", [0.7, "score.py", True]),
        variables={"THRESHOLD": "0.7"},
    ),
    case(
        "values of numpy and of pandas in the result",
        """
        import datetime
        import numpy as np
        import pandas as pd
        def init(): pass
        def run(data):
            return {"array": np.array([1.5, 2]), "int": np.int64(1), "float": np.float32(0.5), "yes": np.bool_(True),
                    "series": pd.Series([1, 2]), "frame": pd.DataFrame({"a": [1]}),
                    "when": datetime.datetime(2020, 1, 2), "set": {1}, "tuple": (1, 2), "bytes": "é"}
        """,
        (
            "",
            {
                "array": [1.5, 2.0],
                "int": 1,
                "float": 0.5,
                "yes": True,
                "series": [1, 2],
                "frame": [{"a": 1}],
                "when": "2020-01-02T00:00:00",
                "set": [1],
                "tuple": [1, 2],
                "bytes": "é",
            },
        ),
    ),
    case(
        "an exception",
        """
        def init(): pass
        def run(data):
            raise ValueError("no")
        """,
        Ask("x", None, 500),
    ),
    case(
        "sys.exit in run",
        """
        import sys
        def init(): pass
        def run(data):
            sys.exit(1)
        """,
        Ask("x", None, 500),
    ),
    case(
        "a coroutine",
        """
        import asyncio, json
        def init(): pass
        async def run(data):
            results = await asyncio.gather(*[square(n) for n in json.loads(data)])
            return results
        async def square(n):
            await asyncio.sleep(0)
            return n * n
        """,
        ([1, 2, 3], [1, 4, 9]),
    ),
    case(
        "a loop of asyncio's own, and threads",
        """
        import asyncio, json
        from concurrent.futures import ThreadPoolExecutor
        def init():
            global pool
            pool = ThreadPoolExecutor(2)
        async def add(n):
            return n + 1
        def run(data):
            data = json.loads(data)
            return list(pool.map(lambda n: n * 2, data)) + [asyncio.run(add(data[0]))]
        """,
        ([1, 2], [2, 4, 2]),
    ),
    case(
        "a file that is written and read again",
        """
        import os, tempfile
        def init(): pass
        def run(data):
            with tempfile.NamedTemporaryFile("w", delete=False, suffix=".txt") as f:
                f.write(data)
            try:
                return open(f.name).read()
            finally:
                os.remove(f.name)
        """,
        Ask("x", "x", headers=PLAIN),
    ),
    case(
        "a dataclass and an enumeration",
        """
        import dataclasses, enum, json
        class Kind(enum.Enum):
            A = "a"
        @dataclasses.dataclass
        class Result:
            kind: Kind
            score: float = 1.0
        def init(): pass
        def run(data):
            return dataclasses.asdict(Result(Kind(json.loads(data)))) | {"kind": "a"}
        """,
        ('"a"', {"kind": "a", "score": 1.0}),
    ),
    case(
        "names of the SDK that a service does not use",
        """
        import json
        import azureml.core
        from azureml.core import Workspace, Environment, Dataset, Datastore, Experiment, Run
        from azureml.core.authentication import MsiAuthentication
        from azureml.core.conda_dependencies import CondaDependencies
        from azureml.core.webservice import Webservice
        from azureml.exceptions import AzureMLException
        from azureml.telemetry import set_diagnostics_collection
        def init():
            print(azureml.core.VERSION)
        def run(data):
            return json.loads(data)
        """,
        ([1], [1]),
    ),
    case(
        "init that needs no return, and a main of its own",
        """
        import json
        def init():
            return True
        def run(data):
            return len(json.loads(data))
        if __name__ == "__main__":
            init()
            print(run("[1]"))
        """,
        ([1, 2], 2),
    ),
    case(
        "a partial function",
        """
        import functools, json
        def init(): pass
        def predict(factor, data):
            return [factor * x for x in json.loads(data)]
        run = functools.partial(predict, 2)
        """,
        ([1, 2], [2, 4]),
    ),
    case(
        "a driver of the Designer's around the script",
        """
        import importlib.util, os
        location = os.path.join(os.path.dirname(__file__), "inner.py")
        spec = importlib.util.spec_from_file_location("service_driver", location)
        driver_module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(driver_module)
        def init():
            driver_module.init()
        def run(input, request_headers):
            return driver_module.run(input)
        """,
        ({"n": 2}, 12),
        files={
            "inner.py": "from inference_schema.schema_decorators import input_schema\n"
            "from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType\n"
            "def init():\n    global more\n    more = 10\n"
            "@input_schema('n', StandardPythonParameterType(1))\ndef run(n):\n    return n + more\n"
        },
    ),
    case(
        "a second parameter of a plain run",
        """
        import json
        def init(): pass
        def run(data, top=2):
            return data[:top]
        """,
        ({"data": [1, 2, 3]}, [1, 2]),  # an object, where v1 passed the text: docs/migrating.md
    ),
    case("no init", "def run(data): return data\n", refused="the entry script has no init() function"),
    case("no run", "def init(): pass\n", refused="the entry script has no run() function"),
    case(
        "no parameter", "def init(): pass\ndef run(): return 1\n", refused="run() takes no input: it needs a parameter"
    ),
    case(
        "parameters without names",
        "def init(): pass\ndef run(*args): return 1\n",
        refused="run() must name its parameters; *args is not allowed",
    ),
    case(
        "a generator",
        "def init(): pass\ndef run(data):\n    yield data\n",
        refused="run() is a generator: collect the parts in a list and return it, as in return list(...)",
    ),
    case(
        "training in an entry script",
        "from azureml.train.automl import AutoMLConfig\ndef init(): pass\ndef run(data): return 1\n",
        refused="azureml.train",
    ),
)
