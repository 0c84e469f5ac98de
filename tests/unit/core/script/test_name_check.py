"""A script whose requests are bound to fail for lack of a name is refused; one that may answer is not."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.core.errors import EntryScriptError
from mldeploy_jupyter.core.script.name_check import check_source, suggest_definition

INIT = "def init(): pass\n"

# name -> (script, code, name, hint)
REFUSED = {
    "never defined": (
        INIT + "def run(data): return undefined_name",
        "name-error",
        "undefined_name",
        "define or import",
    ),
    "in what run() calls": (
        INIT + "def run(data):\n return helper(data)\ndef helper(data):\n return deeper(data)\n"
        "def deeper(x):\n return [scaler.transform(v) for v in x]",
        "name-error",
        "scaler",
        "define or import",
    ),
    "in an awaited function": (
        INIT + "async def run(data): return await helper(data)\nasync def helper(d): return client.get(d)",
        "name-error",
        "client",
        "define or import",
    ),
    "a package that is not imported": (
        INIT + "def run(data): return np.array(data)",
        "name-error",
        "np",
        "write import numpy as np",
    ),
    "a module of Python": (INIT + "def run(data): return json.loads(data)", "name-error", "json", "write import json"),
    "a misspelling": (
        "model = 1\n" + INIT + "def run(data): return modle.predict(data)",
        "name-error",
        "modle",
        "did you mean model?",
    ),
    "after a guard clause": (
        INIT + "def run(d):\n if not d: return []\n return nowhere(d)",
        "name-error",
        "nowhere",
        "",
    ),
    "global missing": (
        "def init():\n model = load()\ndef load(): return 1\ndef run(data): return model.predict(data)",
        "global-missing",
        "model",
        "write global model as the first line of init()",
    ),
    "global missing in what init() calls": (
        "def init(): load()\ndef load():\n model = 1\ndef run(data): return model",
        "global-missing",
        "model",
        "write global model as the first line of load()",
    ),
    "global missing, read in a branch": (
        "def init():\n model = 1\ndef run(data):\n if data:\n  return model",
        "global-missing",
        "model",
        "first line of init()",
    ),
    "global missing, the text of the exception is the answer": (
        "def init():\n model = 1\ndef run(data):\n try:\n  return model.predict(data)\n"
        " except Exception as e:\n  error = str(e)\n  return error",
        "global-missing",
        "model",
        "first line of init()",
    ),
    "global missing, and raised again": (
        "def init():\n model = 1\ndef run(data):\n try:\n  return model\n except Exception as e:\n  raise X from e",
        "global-missing",
        "model",
        "first line of init()",
    ),
    "global missing, read by a function that run() passes on": (
        "def init():\n model = 1\ndef one(row): return model(row)\ndef run(data): return list(map(one, data))",
        "global-missing",
        "model",
        "first line of init()",
    ),
    "global only in run()": (
        "def init():\n model = 1\ndef run(data):\n global model\n return model",
        "global-missing",
        "model",
        "first line of init()",
    ),
    "comprehension, with, loop, while": (
        INIT + "def run(d):\n with open(d) as f:\n  for line in f:\n   while line: return {k: gone for k in line}",
        "name-error",
        "gone",
        "",
    ),
    "default of an inner function": (
        INIT + "def run(d):\n def f(x=gone): return x\n return f()",
        "name-error",
        "gone",
        "",
    ),
}

ANSWERS = {
    "star import": "from helper import *\n" + INIT + "def run(d): return anything(d)",
    "star import in a branch": "try:\n from helper import *\nexcept ImportError: pass\n"
    + INIT
    + "def run(d): return x(d)",
    "exec": "exec(open('names.py').read())\n" + INIT + "def run(d): return x(d)",
    "globals()": "def init(): globals()['model'] = 1\ndef run(d): return model",
    "globals().update": "def init(): globals().update(model=1)\ndef run(d): return model",
    "vars()": "vars()['model'] = 1\n" + INIT + "def run(d): return model",
    "module attribute": "import sys\ndef init(): setattr(sys.modules[__name__], 'm', 1)\ndef run(d): return m",
    "its own module": "import score\ndef init(): score.m = 1\ndef run(d): return m",
    "builtins": "import builtins\ndef init(): builtins.m = 1\ndef run(d): return m",
    "function globals": "def init(): run.__globals__['m'] = 1\ndef run(d): return m",
    "installed translation": "import gettext\ngettext.install('x')\n" + INIT + "def run(d): return _(d)",
    "global in init": "def init():\n global model\n model = 1\ndef run(d): return model",
    "global elsewhere": "def init(): load()\ndef load():\n global model\n model = 1\ndef run(d): return model",
    "conditional import": "try:\n import numpy as np\nexcept ImportError:\n np = None\n"
    + INIT
    + "def run(d): return np",
    "import under if": "if len('a'):\n import json as j\n" + INIT + "def run(d): return j.loads(d)",
    "TYPE_CHECKING": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n import x\n"
    + INIT
    + "def run(d) -> 'x': return d",
    "del": "m = 1\ndef init():\n global m\n del m\n m = 2\ndef run(d): return m",
    "comprehension scope": INIT + "def run(d): return [x for x in d] + [y for row in d for y in row]",
    "class scope": INIT + "class A:\n k = 1\n v = k\n def f(self): return missing\ndef run(d): return A().v",
    "walrus and match": INIT + "def run(d):\n match d:\n  case {'a': x}: return x\n if (n := len(d)): return n",
    "a branch that may never run": INIT + "def run(d):\n if d == 'debug': return debugger(d)\n return d",
    "an expression that may never run": INIT + "def run(d): return d and d.x or missing if d is None else d",
    "NameError handled": INIT + "def run(d):\n try:\n  return spark.x\n except NameError:\n  return d",
    "any exception handled": INIT + "def run(d):\n try:\n  display(d)\n except Exception:\n  pass\n return d",
    "bare except, another way": INIT + "def run(d):\n try:\n  return fast(d)\n except:\n  return d",
    "in a handler": INIT + "def run(d):\n try:\n  return d\n except ValueError:\n  logger.error(d)\n  raise",
    "after return": INIT + "def run(d):\n return d\n return missing",
    "not called": INIT + "def other(): return missing\ndef run(d): return d",
    "rebound function": INIT + "def f(d): return missing\nf = str\ndef run(d): return f(d)",
    "local function of the name": INIT + "def f(d): return missing\ndef run(d, f=str): return f(d)",
    "local of the name": INIT + "def run(missing): return missing\ndef other(): return missing",
    "decorated helper": "import x\n" + INIT + "@x.replace\ndef f(d): return missing\ndef run(d): return f(d)",
    "inner function, not called": INIT + "def run(d):\n def f(): return missing\n return d",
    "generator that nobody reads": INIT + "def f():\n yield missing\ndef run(d):\n f()\n return d",
    "run comes from elsewhere": "from helper import run\n" + INIT,
    "recursion": INIT + "def f(d): return g(d)\ndef g(d): return f(d)\ndef run(d): return f(d)",
    "argument of init() helper": "def init(): load(1)\ndef load(model): return model\ndef run(d):\n if d: return model",
    "builtin exceptions, dunder names": INIT + "def run(d): return __file__, __name__, UnicodeError, NotImplemented",
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_script_that_cannot_answer_is_refused(case):
    script, code, name, hint = REFUSED[case]
    with pytest.raises(EntryScriptError) as raised:
        check_source(script, "score.py")
    error = raised.value
    assert (error.code, name in error.what) == (code, True)
    assert hint in error.hint
    assert name in error.text  # the line is one that uses it
    assert error.where == f"score.py line {error.line}"


@pytest.mark.parametrize("case", ANSWERS)
def test_on_doubt_a_script_is_not_refused(case):
    check_source(ANSWERS[case], "score.py")


def test_a_name_of_the_notebook_is_called_so_and_no_other():
    script = INIT + "def run(data): return scaler(data)"
    with pytest.raises(EntryScriptError, match="scaler, which exists only in the notebook") as raised:
        check_source(script, "score.py", {"scaler"})
    assert raised.value.code == "notebook-name"
    with pytest.raises(EntryScriptError, match="scaler is not defined"):
        check_source(script, "score.py", {"other"})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("DataFrame", "write from pandas import DataFrame"),
        ("joblib", "write import joblib"),
        ("os", "write import os"),
        ("no_such_thing", ""),
        ("a.b", ""),
    ],
)
def test_suggest_definition(name, hint):
    assert suggest_definition(name) == hint


def test_a_script_that_is_right_is_checked_once_by_its_cell_and_not_again_by_a_deployment() -> None:
    text = "def init(): pass\ndef run(data): return 'checked once'\n"
    assert check_source(text, "score.py", {"data"}) is check_source(text, "score.py")
    wrong = "def init(): pass\ndef run(data): return model.predict(data)\n"
    for names, code in (((), "name-error"), (("model",), "notebook-name"), ((), "name-error")):
        with pytest.raises(EntryScriptError) as raised:
            check_source(wrong, "score.py", names)
        assert raised.value.code == code
