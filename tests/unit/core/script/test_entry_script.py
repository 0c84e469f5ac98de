"""What an entry script's source says, without running it."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from mldeploy_jupyter.core.errors import EntryScriptError
from mldeploy_jupyter.core.script.entry_script import Parameter, check
from mldeploy_jupyter.core.script.lint import free_names, local_to_init, swallows_exceptions

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
        Parameter("data", True, False, "np.ndarray"),
        Parameter("threshold", False),
        Parameter("verbose", False, True, "bool"),
        Parameter("mode", True, True),
    )
    assert script.is_async and script.known
    assert script.decorators == ("input_schema", "output_schema")
    assert script.imports == ("inference_schema", "joblib", "json", "numpy", "sklearn")
    assert (script.init_line, script.run_line) == (6, 13)


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
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_serve_is_refused_with_its_line(name, snapshot):
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
    ],
)
def test_unusual_but_good_scripts_pass(text):
    assert check(text).run_line > 0


@pytest.mark.parametrize(
    "text", ["from model_server import init, run\n", "init = lambda: None\nrun = make()\n", "from lib import *\n"]
)
def test_functions_from_elsewhere_are_left_to_the_run(text):
    assert not check(text).known


FREE = {
    "a plain name": ("def run(d): return model.predict(d)", [("model", 1)]),
    "assigned in init with global": ("def init():\n global model\n model = 1\ndef run(d): return model", []),
    "assigned in init without global": ("def init():\n model = 1\ndef run(d): return model", [("model", 3)]),
    "builtins and module names": ("print(__file__, __name__, len, Exception, __doc__)", []),
    "what only a kernel has": ("display(get_ipython())", [("display", 1), ("get_ipython", 1)]),
    "comprehension": ("x = [a for a in range(3)]\ny = {a: b for a, b in pairs}", [("pairs", 2)]),
    "comprehension variable does not leak": ("x = [a for a in range(3)]\nprint(a)", [("a", 2)]),
    "class body": ("class A:\n x = 1\n y = x\n def f(self): return x", [("x", 4)]),
    "lambda": ("f = lambda a, *b, c=d, **e: (a, b, c, e, g)", [("d", 1), ("g", 1)]),
    "walrus": ("if (n := 3) > 2: print(n)\nprint([y := 1, y])", []),
    "match": ("match 1:\n case {'a': x, **rest}: print(x, rest)\n case [y, *z]: print(y, z)\n case w: print(w)", []),
    "except name": ("try: pass\nexcept ValueError as e: print(e)\ntry: pass\nexcept Mine: pass", [("Mine", 4)]),
    "del": ("x = 1\ndel x", []),
    "loop, with, import as": ("import a.b as c\nfor i in c: pass\nwith i as (j, k): print(j, k)\nimport x.y\nx", []),
    "star import: nobody can tell": ("from numpy import *\nprint(array, anything)", []),
    "closure": ("def f():\n a = 1\n def g(): return a + b\n return g", [("b", 3)]),
    "nonlocal": ("def f():\n a = 1\n def g():\n  nonlocal a\n  a = 2\n return g", []),
    "decorator, default, annotation": (
        "@deco\ndef f(x: Kind = value) -> Back: pass",
        [("deco", 1), ("Kind", 2), ("value", 2), ("Back", 2)],
    ),
    "local hides a free name elsewhere": ("def f(df): return df\ndef g(): return df", [("df", 2)]),
    "first use counts": ("def run(d):\n a = df\n return df", [("df", 2)]),
    "f-string": ("print(f'{name!r:>{width}}')", [("name", 1), ("width", 1)]),
    "defined after use": ("def run(d): return helper(d)\ndef helper(d): return d", []),
    "augmented global": ("def run(d):\n global count\n count += 1", []),
    "async": ("async def run(d):\n async with lock as l: return [x async for x in l]", [("lock", 2)]),
    "multi-line call": (
        "def run(d):\n    return f(\n        d,\n        scaler,\n    )\ndef f(*a): pass",
        [("scaler", 4)],
    ),
}


@pytest.mark.parametrize("name", FREE)
def test_names_that_live_only_in_the_notebook_are_found(name):
    text, expected = FREE[name]
    assert sorted(free_names(text)) == sorted(expected)


def test_names_a_kernel_puts_among_the_builtins_do_not_hide_a_free_name(monkeypatch):
    monkeypatch.setattr(builtins, "display", print, raising=False)
    assert free_names("display(1)") == [("display", 1)]


def test_the_standard_library_has_no_free_names():
    """The real world: modules that import fine use nothing they do not have."""
    import argparse
    import ast as ast_module
    import dataclasses
    import json.decoder
    import pathlib
    import typing

    # What a module injects into itself at run time, or names only inside `if TYPE_CHECKING`.
    for module in (argparse, ast_module, dataclasses, json.decoder, pathlib, typing):
        text = Path(module.__file__).read_text("utf-8")
        assert free_names(text) == [], module.__name__


def test_names_local_to_init():
    assert local_to_init("def init():\n model = 1\n global b\n b = 2\n") == {"model"}
    assert local_to_init("def other():\n model = 1\n") == set()


SWALLOW = {
    "seed": ("def run(d):\n    try:\n        return 1\n    except Exception as e:\n        return str(e)\n", 5),
    "seed with a name between": (
        "def run(d):\n try:\n  pass\n except Exception as e:\n  error = str(e)\n  return error\n",
        6,
    ),
    "bare": ("import traceback\ndef run(d):\n try: pass\n except: return traceback.format_exc()\n", 4),
    "dict": ("def run(d):\n try: pass\n except (ValueError, Exception) as e: return {'error': repr(e)}\n", 3),
    "f-string": ("async def run(d):\n try: pass\n except BaseException as e: return f'failed: {e}'\n", 3),
    "a particular error": ("def run(d):\n try: pass\n except KeyError as e: return str(e)\n", None),
    "raised again": ("def run(d):\n try: pass\n except Exception as e:\n  print(e)\n  raise\n", None),
    "a default": ("def run(d):\n try: pass\n except Exception: return 0\n", None),
    "with its own status": ("def run(d):\n try: pass\n except Exception as e: return AMLResponse(str(e), 500)\n", None),
    "in another function": ("def f():\n try: pass\n except Exception as e: return str(e)\ndef run(d): pass", None),
    "in a function inside": ("def run(d):\n try: pass\n except Exception as e:\n  def f(): return e\n  raise", None),
}


@pytest.mark.parametrize("name", SWALLOW)
def test_a_run_that_hides_its_failures_is_found(name):
    text, line = SWALLOW[name]
    assert swallows_exceptions(text) == line


def test_reading_a_script_warns_of_nothing_and_runs_nothing(capsys):
    text = GOOD + "print('ran')\nx = '\\d' is 'y'\nopen('/nonexistent')\n"
    check(text), free_names(text), swallows_exceptions(text)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("bad", ["def (", "\0", "x = (", "x = " + "(" * 5000])
def test_every_question_refuses_what_cannot_be_parsed(bad):
    for question in (check, free_names, local_to_init, swallows_exceptions):
        with pytest.raises(EntryScriptError):
            question(bad)


def test_it_imports_nothing_heavy():
    module = "mldeploy_jupyter.core.script.entry_script"
    code = f"import sys, {module} as _; print({{'numpy', 'IPython', 'yaml'}} & {{*sys.modules}})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"
