"""A Flask application with scikit-learn and pandas, for `--reload`; its answer is changed by an edit."""

import os
from pathlib import Path

import joblib
import numpy as np
import pandas  # noqa: F401
from flask import Flask, request

app = Flask(__name__)
model = joblib.load(Path(os.environ["BENCH_MODEL"]) / "ridge.pkl")


@app.post("/score")
def score():
    return {"edit": "edit-0-", "result": model.predict(np.asarray(request.get_json()["data"])).tolist()}
