"""What goes wrong in a service is found in the source of its script."""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest

from mldeploy_jupyter.core.script.lint import find_swallowed_exception, find_text_read_as_file, find_undefined_names

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
def test_find_undefined_names(name):
    text, expected = FREE[name]
    assert sorted(find_undefined_names(text)) == sorted(expected)


def test_builtins_of_a_kernel_count_as_undefined(monkeypatch):
    monkeypatch.setattr(builtins, "display", print, raising=False)
    assert find_undefined_names("display(1)") == [("display", 1)]


def test_the_standard_library_has_no_undefined_names():
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
        assert find_undefined_names(text) == [], module.__name__


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
def test_find_swallowed_exception(name):
    text, line = SWALLOW[name]
    assert find_swallowed_exception(text) == line


READ_JSON = {
    "the body": ("def run(data):\n return pd.read_json(data, orient='split')\n", 2),
    "by its bare name": ("def run(data):\n if data:\n  x = read_json(data)\n", 3),
    "text made again": ("def run(data):\n return pd.read_json(json.dumps(data['rows']))\n", 2),
    "text inside of the text": ("def run(data):\n return pd.read_json(json.loads(data), orient='records')\n", 2),
    "an item of it": ("def run(raw):\n data = json.loads(raw)['data']\n return pd.read_json(data)\n", 3),
    "its own name again": ("def run(data):\n data = loads(data)\n return pd.read_json(data['rows'])\n", None),
    "as a file": ("def run(data):\n return pd.read_json(io.StringIO(data))\n", None),
    "wrapped before": ("def run(data):\n data = io.StringIO(data)\n return pd.read_json(data)\n", None),
    "a file of the model": ("def run(data):\n return pd.read_json(path)\n", None),
    "without an argument": ("def run(data):\n return pd.read_json()\n", None),
    "in another function": ("def f(data):\n return pd.read_json(data)\ndef run(d): pass", None),
}


@pytest.mark.parametrize("name", READ_JSON)
def test_find_text_read_as_file(name):
    text, line = READ_JSON[name]
    assert find_text_read_as_file(text) == line
