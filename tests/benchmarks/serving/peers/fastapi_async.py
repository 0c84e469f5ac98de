"""FastAPI, `async def`: the model is called on the event loop."""

import os
from pathlib import Path

import joblib
import numpy as np
from fastapi import FastAPI, Request
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(Path(os.environ["BENCH_MODEL"]) / "ridge.pkl")


class Body(BaseModel):
    data: list[list[float]]


@app.post("/score")
async def score(body: Body) -> list[float]:
    return model.predict(np.asarray(body.data)).tolist()


@app.post("/raw")
async def raw(request: Request) -> int:
    return len(await request.body())
