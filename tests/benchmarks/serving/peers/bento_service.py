"""BentoML with one worker."""

import os
from pathlib import Path

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1)
class Ridge:
    def __init__(self) -> None:
        self.model = joblib.load(Path(os.environ["BENCH_MODEL"]) / "ridge.pkl")

    @bentoml.api(route="/score")
    def score(self, data: list[list[float]]) -> list[float]:
        return self.model.predict(np.asarray(data)).tolist()
