"""A script checked without a socket, and v1's import names, each in a clean interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

V1 = """
    import os, pickle
    import numpy as np
    from azureml.core.model import Model
    from azureml.core import Model as Same, Run, Workspace
    from azureml.monitoring import ModelDataCollector
    from azureml.contrib.services.aml_request import AMLRequest, rawhttp
    from azureml.contrib.services.aml_response import AMLResponse
    from azureml_inference_server_http.api.aml_request import AMLRequest as Newer
    from azureml_inference_server_http.api.aml_response import AMLResponse as NewerResponse
    from azureml.exceptions import WebserviceException
    from inference_schema.schema_decorators import input_schema, output_schema
    from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
    from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
    from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
    from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
    from inference_schema.parameter_types.spark_parameter_type import SparkParameterType

    def init():
        global model
        assert Model is Same and Newer is AMLRequest and NewerResponse is AMLResponse
        with open(Model.get_model_path("m"), "rb") as file: model = pickle.load(file)
        print("loaded", model)

    @input_schema("data", NumpyParameterType(np.array([[1.0, 2.0]])))
    @output_schema(NumpyParameterType(np.array([3.0])))
    def run(data):
        return (data.sum(axis=1) * model).tolist()
"""


def write(folder: Path, source: str, **more: Any) -> Path:
    (folder / "score.py").write_text(textwrap.dedent(source))
    settings = folder / "settings.json"
    settings.write_text(json.dumps({"app_root": str(folder), "entry_script": "score.py", **more}))
    return settings


def check(folder: Path, source: str, path: str = "", **more: Any) -> tuple[dict[str, Any], str]:
    """The result, and what was printed."""
    settings = write(folder, source, **more)
    command = [sys.executable, "-P", "-m", "mldeploy_jupyter.serving.check", "--settings", str(settings)]
    env = {"PYTHONPATH": path, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done
    result = json.loads(lines[0])
    assert done.returncode == (0 if result["ok"] else 1)
    return result, done.stderr


def test_a_script_of_v1_is_checked_with_its_model_and_its_sample(tmp_path: Path) -> None:
    import pickle

    model = tmp_path / "azureml-models" / "m" / "2"
    model.mkdir(parents=True)
    (model / "model.pkl").write_bytes(pickle.dumps(10))
    result, printed = check(tmp_path, V1, model_dir=str(model))
    assert result["ok"], result
    assert result["sample"]["input"] == {"data": [[1.0, 2.0]]}
    assert result["sample"]["output"] == [30.0]
    assert result["sample"]["seconds"] > 0
    assert "numpy" in result["modules"] and "json" not in result["modules"] and "azureml" not in result["modules"]
    assert result["warnings"] == []
    assert "loaded 10" in printed
    assert not list(tmp_path.rglob("__pycache__"))


def test_v1_names_are_ours_where_the_real_packages_are_installed_and_the_rest_is_theirs(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name, text in {
        "azureml/core/__init__.py": "raise ImportError('the real one')",
        "azureml/core/model.py": "raise ImportError('the real one')",
        "azureml/train/__init__.py": "REAL = 'train'",
        "azureml/contrib/other/__init__.py": "REAL = 'other'",
        "inference_schema/__init__.py": "raise ImportError('the real one')",
    }.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    app = tmp_path / "app"
    app.mkdir()
    source = """
        import azureml.train, azureml.contrib.other
        from azureml.core.model import Model
        from azureml.contrib.services.aml_request import rawhttp
        from inference_schema.schema_decorators import input_schema
        def init(): print(azureml.train.REAL, azureml.contrib.other.REAL, Model.__module__)
        def run(data): return 1
    """
    result, printed = check(app, source, path=str(site))
    assert result["ok"], result
    assert "train other mldeploy_jupyter.serving.azureml.model" in printed
    (site / "azureml" / "__init__.py").write_text("")  # a regular package instead of a namespace
    result, printed = check(app, source, path=str(site))
    assert result["ok"], result


def test_a_script_without_samples_is_imported_and_initialised_only(tmp_path: Path) -> None:
    result, printed = check(tmp_path, "def init(): print('init ran')\ndef run(data): raise SystemError\n")
    assert result["ok"] and "sample" not in result
    assert "init ran" in printed


def test_what_the_script_prints_cannot_spoil_the_result(tmp_path: Path) -> None:
    source = "import os\nprint('{\"ok\": true}')\nos.write(1, b'raw')\ndef init(): pass\ndef run(data): return 1\n"
    result, printed = check(tmp_path, source)
    assert result["ok"] and '{"ok": true}' in printed and "raw" in printed


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        ("def init(): pass\ndef run(data) return 1\n", "syntax-error", None),
        ("import nothing_like_this\ndef init(): pass\ndef run(data): pass\n", "module-missing", 1),
        ("def init():\n    open('model.pkl')\ndef run(data): pass\n", "file-missing", 2),
        ("def init():\n    raise SystemExit(1)\ndef run(data): pass\n", "init-raised", 2),
        ("def init(): pass\n", "contract", None),
    ],
)
def test_a_check_says_why_a_script_cannot_run(tmp_path: Path, source: str, code: str, line: int | None) -> None:
    result, _ = check(tmp_path, source)
    failure = result["failure"]
    assert (result["ok"], failure["code"]) == (False, code)
    if line is not None:
        assert failure["exception"]["frames"][-1]["line"] == line
        assert failure["exception"]["frames"][0]["file"] == str(tmp_path / "score.py")


def test_warnings_name_an_integer_sample_and_a_json_string(tmp_path: Path) -> None:
    result, _ = check(tmp_path, """
        import json
        import numpy as np
        from inference_schema.schema_decorators import input_schema
        from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
        def init(): pass
        @input_schema("data", NumpyParameterType(np.array([[1, 2]])))
        def run(data):
            return json.dumps(data.tolist())
    """)  # fmt: skip
    assert result["ok"]
    assert result["warnings"] == [
        "the sample of 'data' has only whole numbers: floats like 1.7 will be refused with 422",
        "run() returned a JSON string, which is encoded twice: return the object instead of json.dumps(...)",
    ]


def test_a_column_of_integers_is_warned_of(tmp_path: Path) -> None:
    result, _ = check(tmp_path, """
        import pandas as pd
        from inference_schema.schema_decorators import input_schema
        from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
        def init(): pass
        @input_schema("data", PandasParameterType(pd.DataFrame({"age": [30], "plan": ["free"], "spend": [5.0]})))
        def run(data):
            return len(data)
    """)  # fmt: skip
    assert result["warnings"] == [
        "the sample of 'data' has whole numbers in age: floats like 1.7 will be refused there with 422"
    ]


def test_a_run_that_returns_what_it_catches_is_warned_of_with_its_line(tmp_path: Path) -> None:
    source = """
        def init(): pass
        def run(data):
            try:
                return 1
            except Exception as e:
                return str(e)
    """
    result, _ = check(tmp_path, source)
    text = "run() catches every exception and returns its text (line 6): a failure looks like a result"
    assert result["warnings"] == [text]
    result, _ = check(tmp_path, source.replace("except Exception", "except KeyError"))
    assert result["warnings"] == []
    result, _ = check(tmp_path, source.replace("return str(e)", "raise ValueError() from e"))
    assert result["warnings"] == []


def test_a_failing_sample_is_the_scripts_failure_with_its_line(tmp_path: Path) -> None:
    result, _ = check(tmp_path, """
        from inference_schema.schema_decorators import input_schema
        from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
        def init(): pass
        @input_schema("text", StandardPythonParameterType("hello"))
        async def run(text):
            return text.missing
    """)  # fmt: skip
    assert (result["failure"]["code"], result["failure"]["stage"]) == ("probe-failed", "probe")
    assert result["failure"]["exception"]["type"] == "AttributeError"
    assert result["failure"]["exception"]["frames"][-1]["line"] == 7


def test_helper_modules_beside_the_script_and_in_the_source_folder_are_found(tmp_path: Path) -> None:
    for path, text in {"src/helper.py": "A = 1", "src/x/near.py": "B = 2", "src/x/score.py": ""}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    source = "import helper, near\ndef init(): print(helper.A, near.B)\ndef run(data): return 1\n"
    (tmp_path / "src" / "x" / "score.py").write_text(source)
    result, printed = check(tmp_path, "", source_directory="src", entry_script="src/x/score.py")
    assert result["ok"], result
    assert "1 2" in printed
