"""Fits the Ridge model of the benchmark and writes it, also in a peer's own form: make_model.py FOLDER [PEER]."""

import json
import shutil
import sys
from pathlib import Path

import joblib
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

folder = Path(sys.argv[1])
shutil.rmtree(folder, ignore_errors=True)
folder.mkdir(parents=True)
X, y = load_diabetes(return_X_y=True)
model = Ridge().fit(X, y)
joblib.dump(model, folder / "ridge.pkl")

if sys.argv[2:] == ["mlflow"]:
    import mlflow.sklearn

    mlflow.sklearn.save_model(model, str(folder / "mlflow"))

if sys.argv[2:] == ["mlserver"]:
    for name, workers in (("mlserver", 1), ("mlserver-in-process", 0)):
        place = folder / name
        place.mkdir()
        shutil.copy(folder / "ridge.pkl", place / "model.joblib")
        (place / "model-settings.json").write_text(
            json.dumps(
                {
                    "name": "ridge",
                    "implementation": "mlserver_sklearn.SKLearnModel",
                    "parameters": {"uri": "./model.joblib"},
                }
            )
        )
        (place / "settings.json").write_text(
            json.dumps(
                {
                    "host": "127.0.0.1",
                    "http_port": 5180 if workers else 5181,
                    "grpc_port": 5182,
                    "metrics_port": 5183,
                    "parallel_workers": workers,
                    "debug": False,
                }
            )
        )
