"""Model files are scanned for the libraries they need and never loaded."""

from __future__ import annotations

import pickle
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from mldeploy_jupyter.api.models.library_scan import scan_libraries

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(scope="module")
def model() -> Any:
    return Ridge().fit(np.arange(12.0).reshape(6, 2), np.arange(6.0))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_of_every_protocol_is_scanned(tmp_path: Path, model: Any, protocol: int) -> None:
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(model, protocol))
    found = scan_libraries([tmp_path / "m.pkl"])
    assert found["python"] == PYTHON
    assert found["libraries"] == {"scikit-learn": version("scikit-learn"), "numpy": version("numpy")}


def test_a_joblib_file_is_scanned(tmp_path: Path, model: Any) -> None:
    joblib.dump(model, tmp_path / "m.joblib")
    assert scan_libraries([tmp_path / "m.joblib"])["libraries"]["scikit-learn"] == version("scikit-learn")


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3)])
def test_the_modules_that_loading_imports_are_named_in_full(tmp_path: Path, model: Any, compress: Any) -> None:
    joblib.dump(model, tmp_path / "m.joblib", compress=compress)
    found = scan_libraries([tmp_path / "m.joblib"])
    assert found["modules"][0] == "sklearn.linear_model._ridge" and "numpy" in found["modules"]
    assert found["libraries"]["scikit-learn"] == version("scikit-learn")


def test_classes_of_main_name_no_module(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"c__main__\nModel\n.")
    assert scan_libraries([tmp_path / "m.pkl"]) == {}


@pytest.mark.parametrize("protocol", [2, 4])
def test_the_version_in_the_file_takes_precedence(tmp_path: Path, model: Any, protocol: int) -> None:
    own = version("scikit-learn").encode()
    old = b"0" * (len(own) - 3) + b".99"
    data = pickle.dumps(model, protocol)
    assert data.count(own) == 1
    (tmp_path / "m.pkl").write_bytes(data.replace(own, old))
    found = scan_libraries([tmp_path / "m.pkl"])["libraries"]["scikit-learn"]
    assert found == old.decode()


def test_scanning_runs_no_code_of_the_pickle(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Evil()))
    assert scan_libraries([tmp_path / "m.pkl"]) == {}
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x04", b"cos\nsystem\n.", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_pickle_has_no_libraries(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.pkl").write_bytes(content)
    (tmp_path / "m.onnx").write_bytes(content)
    assert scan_libraries([tmp_path / "m.pkl", tmp_path / "m.onnx", tmp_path / "gone.pkl"]) == {}


def test_a_pickle_of_countless_modules_is_scanned_in_time(tmp_path: Path) -> None:
    names = [f"module_{number}" for number in range(60_000)] + ["a" * 1_000_000]
    for number in range(3):
        (tmp_path / f"{number}.pkl").write_bytes(b"\x80\x04" + b"".join(f"c{name}\nC\n0".encode() for name in names))
    (tmp_path / "first.pkl").write_bytes(b"\x80\x04c" + b"a" * 1_000_000 + b"\nC\n0cnumpy\nC\n0.")
    begin = time.process_time()
    found = scan_libraries(sorted(tmp_path.iterdir(), reverse=True))
    assert time.process_time() - begin < 5, "what is installed was read once for each module"
    assert found["libraries"]["numpy"] == version("numpy") and len(found["modules"]) == 100
    assert max(map(len, found["modules"])) < 20
