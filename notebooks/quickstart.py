"""A trained model becomes a live service on this machine, and answers. Run by `notebooks/quickstart`."""

import shlex
import statistics
import sys
import time
from pathlib import Path

import joblib
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

from mldeploy_jupyter import InferenceConfig, LocalWebservice, Model, Workspace

SCRIPT = """
import os

import joblib
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema, output_schema


def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "ridge.pkl"))


@input_schema("data", NumpyParameterType(np.zeros((1, 10))))
@output_schema(NumpyParameterType(np.zeros(1)))
def run(data):
    return model.predict(data)
"""

folder = Path(__file__).resolve().parent.parent / "demo"
folder.mkdir(exist_ok=True)

# Train: ten measurements of a patient, and how far the disease progressed within a year.
X, y = load_diabetes(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
model = Ridge(alpha=0.1).fit(X_train, y_train)
joblib.dump(model, folder / "ridge.pkl")
(folder / "score.py").write_text(SCRIPT)

# Register, deploy, wait.
ws = Workspace.create(path=folder, exist_ok=True)
registered = Model.register(ws, model_path=folder / "ridge.pkl", model_name="diabetes")
service = Model.deploy(
    ws,
    "diabetes",
    [registered],
    InferenceConfig(entry_script="score.py", source_directory=folder),
    LocalWebservice.deploy_configuration(),
    overwrite=True,
)
service.wait_for_deployment(show_output=True)

# Score.
rows = X_test[:3].tolist()
answer = service.run({"data": rows})
times = []
for _ in range(200):
    begin = time.perf_counter()
    service.run({"data": rows})
    times.append((time.perf_counter() - begin) * 1000)
times.sort()

print()
print(f"URL          {service.scoring_uri}")
print(f"predictions  {[round(value, 1) for value in answer]}")
print(f"measured     {[float(value) for value in y_test[:3]]}")
print(f"latency      median {statistics.median(times):.1f} ms, p95 {times[189]:.1f} ms (200 requests, one client)")
print()
program = shlex.quote(str(Path(sys.executable).with_name("mldeploy")))  # whole: the shell may be in any folder
print("The service keeps running. Look at it, or delete it:")
print(f"  {program} service list -w {folder.name}")
print(f"  {program} service delete -n diabetes -w {folder.name}")
