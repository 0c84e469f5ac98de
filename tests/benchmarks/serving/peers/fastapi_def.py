"""FastAPI, `def`: the model is called in a pool of threads."""

import os
from pathlib import Path

import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(Path(os.environ["BENCH_MODEL"]) / "ridge.pkl")


class Body(BaseModel):
    data: list[list[float]]


@app.post("/score")
def score(body: Body) -> list[float]:
    return model.predict(np.asarray(body.data)).tolist()
