"""What an entry script's source says, without running it."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from mldeploy_jupyter.core.errors import EntryScriptError
from mldeploy_jupyter.core.script.entry_script import Parameter, check
from mldeploy_jupyter.core.script.lint import find_swallowed_exception, find_undefined_names

GOOD = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"


def test_a_good_script_is_described():
    script = check(
        dedent("""\
        import json
        import numpy as np
        from sklearn.linear_model import Ridge
        from inference_schema.schema_decorators import input_schema, output_schema

        def init():
            import joblib

        def helper(): ...

        @input_schema("data", np.array([1]))
        @output_schema(np.array([1]))
        async def run(data: np.ndarray, threshold=0.5, *, verbose: bool = False, mode):
            return data
        """)
    )
    assert script.functions == ("init", "helper", "run")
    assert script.parameters == (
        Parameter("data", True, "np.ndarray"),
        Parameter("threshold", False),
        Parameter("verbose", False, "bool"),
        Parameter("mode", True),
    )
    assert script.is_async and script.known
    assert script.decorators == ("input_schema", "output_schema")
    assert script.imports == ("inference_schema", "joblib", "json", "numpy", "sklearn")
    assert (script.init_line, script.run_line) == (6, 13)


HIDING = (
    "import functools\ndef init(): pass\ndef timed(function):\n    {wraps}\n"
    "    def inner(*args, **kwargs): return function(*args, **kwargs)\n    {extra}\n    return inner\n"
    "@timed\ndef run(data): return data\n"
)

BAD = {
    "syntax error": "def init():\n    pass\n\ndef run(data)\n    return data\n",
    "unclosed bracket": GOOD + "x = (1,\n",
    "tabs and spaces": "def init():\n\tif 1:\n        pass\n",
    "return outside a function": GOOD + "return 1\n",
    "await outside a function": GOOD + "await x\n",
    "null bytes": "def init():\n    '\0'\n",
    "line magic": "%pip install scikit-learn\n" + GOOD,
    "shell command": "!ls\n" + GOOD,
    "too deep": "x = " + "(" * 5000 + ")" * 5000,
    "no init": "def run(data):\n    return data\n",
    "no run": "def init():\n    pass\n",
    "empty": "",
    "init with another case": GOOD.replace("init", "Init"),
    "run nearly": GOOD.replace("def run", "def runn"),
    "run is only a method": "def init(): pass\nclass Model:\n    def run(self, data): pass\n",
    "init takes parameters": GOOD.replace("init()", "init(path, *, mode)"),
    "init is async": GOOD.replace("def init", "async def init"),
    "run without parameters": GOOD.replace("run(data)", "run()"),
    "run with *args": GOOD.replace("run(data)", "run(*args)"),
    "run with **kwargs": GOOD.replace("run(data)", "run(data, *rest, **kwargs)"),
    "run by position only": GOOD.replace("run(data)", "run(data, /)"),
    "run is a generator": GOOD.replace("return data", "for row in data:\n        yield row"),
    "run is an async generator with a schema": GOOD.replace(
        "def run(data):\n    return", "@input_schema('data', 1)\nasync def run(data):\n    yield"
    ),
    "decorator hides the parameters": HIDING.format(wraps="", extra=""),
    "decorator with arguments hides the parameters": "def init(): pass\ndef retry(times):\n    def deco(f):\n"
    "        async def again(*a, **k): return await f(*a, **k)\n        return again\n    return deco\n"
    "@retry(3)\nasync def run(data): return data\n",
}


@pytest.mark.parametrize("name", BAD)
def test_a_script_that_cannot_serve_is_refused_with_its_line(name, snapshot):
    with pytest.raises(EntryScriptError) as caught:
        check(BAD[name])
    error = caught.value
    assert error.__cause__ is None
    assert f"{error}\nline {error.line} column {error.column} text {error.text!r}" == snapshot


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("init()", "init(path=None, *, mode='x')"),
        "def init(): pass\nif True:\n    def run(data): pass\nelse:\n    def run(data): pass\n",
        "def init(): pass\ntry:\n    from fast import run\nexcept ImportError:\n    def run(data): pass\n",
        GOOD + "x = '\\d'\n",
        HIDING.format(wraps="@functools.wraps(function)", extra=""),
        HIDING.format(wraps="", extra="functools.update_wrapper(inner, function)"),
        HIDING.format(wraps="", extra="inner.__wrapped__ = function"),
        GOOD.replace("return data", "def parts():\n        yield data\n    return list(parts())"),
        GOOD.replace("return data", "return sum(x for x in data)"),
        "from lib import collect\n@collect\n"
        + GOOD.replace("return data", "yield data").replace("def init():\n    pass\n\n\n", "")
        + "def init(): pass\n",
    ],
)
def test_unusual_but_good_scripts_pass(text):
    assert check(text).run_line > 0


@pytest.mark.parametrize(
    "text", ["from model_server import init, run\n", "init = lambda: None\nrun = make()\n", "from lib import *\n"]
)
def test_imported_functions_are_not_checked(text):
    assert not check(text).known


def test_reading_a_script_warns_of_nothing_and_runs_nothing(capsys):
    text = GOOD + "print('ran')\nx = '\\d' is 'y'\nopen('/nonexistent')\n"
    check(text), find_undefined_names(text), find_swallowed_exception(text)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("bad", ["def (", "\0", "x = (", "x = " + "(" * 5000])
def test_check_and_lint_refuse_what_cannot_be_parsed(bad):
    for question in (check, find_undefined_names, find_swallowed_exception):
        with pytest.raises(EntryScriptError):
            question(bad)


def test_the_module_imports_nothing_heavy():
    module = "mldeploy_jupyter.core.script.entry_script"
    code = f"import sys, {module} as _; print({{'numpy', 'IPython', 'yaml'}} & {{*sys.modules}})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"
