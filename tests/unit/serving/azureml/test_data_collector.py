"""`ModelDataCollector` as CSV files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mldeploy_jupyter.serving.azureml.data_collector import CORRELATION, ModelDataCollector


def test_collected_rows_become_csv_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLDEPLOY_MODEL_DATA", str(tmp_path))
    collector = ModelDataCollector("../m", designation="inputs", feature_names=["a", "b"])
    correlation = collector.collect(np.array([[1, 2], [3, 4]]))
    collector.collect(pd.DataFrame({"a": [5], "b": ["x,y"]}), user_correlation_id="mine")
    collector.collect([6, 7])
    files = list(tmp_path.rglob("data.csv"))
    assert len(files) == 1 and "inputs" in files[0].parts
    rows = list(csv.reader(files[0].read_text().splitlines()))
    assert rows[0] == ["$Timestamp", "$CorrelationId", "a", "b"]
    assert [row[2:] for row in rows[1:]] == [["1", "2"], ["3", "4"], ["5", "x,y"], ["6", "7"]]
    assert rows[1][1] == rows[2][1] == correlation[CORRELATION] and rows[3][1] == "mine"


def test_predictions_have_the_id_of_their_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLDEPLOY_MODEL_DATA", str(tmp_path))
    inputs, predictions = ModelDataCollector("m", "inputs"), ModelDataCollector("m", "predictions", ["p"], "workspace")
    for row in ([1], [2]):
        found = np.array(row)
        assert predictions.add_correlations(found, inputs.collect(row)) is found
        predictions.collect(found)
    predictions.collect(predictions.add_correlations([3], None))
    ids = {
        kind: [line.split(",")[1] for line in file.read_text().splitlines() if "$" not in line]
        for kind in ("inputs", "predictions")
        for file in (tmp_path / "m" / kind).rglob("data.csv")
    }
    assert ids["inputs"] == ids["predictions"][:2] and len(set(ids["predictions"])) == 3


def test_the_identifier_of_2018_is_the_designation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLDEPLOY_MODEL_DATA", str(tmp_path))
    ModelDataCollector("m", identifier="inputs", feature_names=["a"]).collect([1])
    assert [file.parts[-5] for file in tmp_path.rglob("data.csv")] == ["inputs"]


def test_without_a_folder_collecting_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLDEPLOY_MODEL_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert ModelDataCollector("m").collect([1])
    assert list(tmp_path.iterdir()) == []


def test_a_disk_error_does_not_fail_a_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLDEPLOY_MODEL_DATA", str(tmp_path / "file"))
    assert ModelDataCollector("m").collect([1])
    assert "model data is not kept" in capsys.readouterr().err
