"""A FastAPI application with scikit-learn and pandas, for `--reload`; its answer is changed by an edit."""

import os
from pathlib import Path

import joblib
import numpy as np
import pandas  # noqa: F401
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(Path(os.environ["BENCH_MODEL"]) / "ridge.pkl")


class Body(BaseModel):
    data: list[list[float]]


@app.post("/score")
async def score(body: Body) -> dict[str, object]:
    return {"edit": "edit-0-", "result": model.predict(np.asarray(body.data)).tolist()}
