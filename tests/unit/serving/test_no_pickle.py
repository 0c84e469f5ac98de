"""Fault 28: no data from the network is unpickled, unmarshalled or evaluated.

No module of the server can do so, and bodies that would run code when unpickled are refused.
"""

from __future__ import annotations

import ast
import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from mldeploy_jupyter import serving
from mldeploy_jupyter.serving.scoring.messages import Request
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from tests.fuzz.scripts import SCRIPTS
from tests.fuzz.wire import script_of

FOLDER = Path(serving.__file__).parent
MODULES = sorted(FOLDER.rglob("*.py"))
assert MODULES, f"no modules in {FOLDER}"
BARRED = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle", "code"}
CALLS = {"eval", "exec", "__import__", "compile"}
READS = {"load", "loads", "read_pickle", "frombuffer", "fromfile", "genfromtxt", "loadtxt", "memmap"}
OF = {"np", "numpy", "pd", "pandas", "pickle", "joblib", "torch"}


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(FOLDER)) for path in MODULES])
def test_no_module_of_the_server_can_unpickle_or_evaluate(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {str(node.module).partition(".")[0]} if not node.level else set()
        else:
            names = set()
        assert not names & BARRED, f"line {node.lineno} imports {names & BARRED}"
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name):
                assert called.id not in CALLS, f"line {node.lineno} calls {called.id}"
            elif isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
                what = f"{called.value.id}.{called.attr}"
                assert not (called.value.id in OF and called.attr in READS), f"line {node.lineno} calls {what}"


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickled_body_runs_nothing_and_is_refused_by_scripts_that_read_it(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    array = np.array([Bomb(mark)], dtype=object)
    npy = io.BytesIO()
    np.save(npy, array, allow_pickle=True)
    bodies = [pickle.dumps(Bomb(mark), protocol) for protocol in range(6)] + [npy.getvalue(), array.dumps()]
    pickle.loads(bodies[0])
    assert mark.exists(), "unpickling it runs nothing"
    mark.unlink()
    kinds = ["application/json", "application/octet-stream", "application/x-pickle", "application/python-pickle",
             "application/x-npy", "text/plain", "application/vnd.bentoml+pickle", ""]  # fmt: skip
    for name, source in SCRIPTS.items():
        scorer = Scorer(script_of(source))
        for kind in kinds:
            for body in bodies:
                headers = {"content-type": kind, "payload-container": "NumpyNdarray", "payload-meta": "{}"}
                response = scorer.score(Request(headers=headers, body=body))
                given_as_it_is = name in ("raw", "bytes") or (name == "text" and body.isascii())
                assert (response.status == 200) if given_as_it_is else (400 <= response.status < 500), response
                assert not mark.exists(), f"{name} ran it"
