"""The modules that a service will import are read from its source."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from mldeploy_jupyter.core.records import ModelRecord
from mldeploy_jupyter.core.script.imports import imported_modules, modules_to_preload


def write(folder: Path, **texts: str) -> dict[str, Path]:
    source = {}
    for name, text in texts.items():
        path = folder / f"{name}.py"
        path.write_text(dedent(text))
        source[path.name] = path
    return source


def test_imports_have_full_names_in_the_order_of_the_text(tmp_path: Path) -> None:
    source = write(
        tmp_path, score="import numpy.linalg\nfrom sklearn.pipeline import Pipeline\nimport json, numpy.linalg\n"
    )
    assert imported_modules(source) == ["numpy.linalg", "sklearn.pipeline", "json"]


def test_only_what_runs_at_import_and_in_init_counts(tmp_path: Path) -> None:
    text = """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import pandas
        try:
            import orjson
        except ImportError:
            import json
        def init():
            import joblib
        def run(data):
            import requests
    """
    assert imported_modules(write(tmp_path, score=text)) == ["typing", "orjson", "json", "joblib"]


def test_modules_of_the_source_itself_are_omitted(tmp_path: Path) -> None:
    source = write(tmp_path, score="import helper\nfrom . import helper\n", helper="import csv\n")
    assert imported_modules(source) == ["csv"]


def test_a_file_that_cannot_be_read_or_parsed_has_no_imports(tmp_path: Path) -> None:
    source = write(tmp_path, broken="import (\n", score="import csv\n") | {"missing.py": tmp_path / "missing.py"}
    assert imported_modules(source) == ["csv"]


def test_modules_recorded_with_models_are_preloaded_once(tmp_path: Path) -> None:
    models = [ModelRecord(name, details={"modules": ["sklearn.linear_model"]}) for name in "ab"]
    source = write(tmp_path, score="import csv\n")
    assert modules_to_preload(source, [*models, ModelRecord("c")]) == ["csv", "sklearn.linear_model"]
