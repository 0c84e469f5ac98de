"""`ModelDataCollector` as CSV files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mldeploy_jupyter.serving.azureml.data_collector import ModelDataCollector


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
    assert rows[1][1] == rows[2][1] == correlation and rows[3][1] == "mine"


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
