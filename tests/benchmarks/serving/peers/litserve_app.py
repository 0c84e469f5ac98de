"""LitServe with one worker: litserve_app.py PORT."""

import os
import sys
from pathlib import Path

import litserve as ls


class Score(ls.LitAPI):
    def setup(self, device):
        import joblib

        self.model = joblib.load(Path(os.environ["BENCH_MODEL"]) / "ridge.pkl")

    def decode_request(self, request):
        import numpy as np

        return np.asarray(request["data"])

    def predict(self, rows):
        return self.model.predict(rows)

    def encode_response(self, output):
        return output.tolist()


if __name__ == "__main__":
    server = ls.LitServer(Score(api_path="/score"), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, log_level="warning"
    )
