"""One service, made into a container by different tools: ours, a conventional Dockerfile, and MLflow.

All have the same model (a Ridge of scikit-learn and 50 MB of weights), the same pinned packages and the same base
image, and answer `{"answer": N, ...}`, where N is in their code. `change_code(N)` and `change_model(N)` return the
seconds until a new request gets the new answer.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests

REQUIREMENTS = ("scikit-learn", "numpy", "joblib")
WEIGHTS = 50_000_000  # bytes

SCORE = """
import json, os
import joblib, numpy as np

def init():
    global model, number
    folder = os.path.join(os.environ["AZUREML_MODEL_DIR"], "model")
    model = joblib.load(os.path.join(folder, "ridge.pkl"))
    with open(os.path.join(folder, "weights.bin"), "rb") as file:
        number = file.read(1)[0]

def run(data):
    rows = np.array(json.loads(data)["data"])
    return {{"answer": {answer}, "model": number, "scores": model.predict(rows).tolist()}}
"""

FLASK = """
import os
import joblib, numpy as np
from flask import Flask, jsonify, request

app = Flask(__name__)
model = joblib.load("model/ridge.pkl")
with open("model/weights.bin", "rb") as file:
    number = file.read(1)[0]

@app.post("/score")
def score():
    rows = np.array(request.json["data"])
    return jsonify({{"answer": {answer}, "model": number, "scores": model.predict(rows).tolist()}})
"""

# In the usual order: packages before what changes more often.
DOCKERFILE = """\
FROM {base}
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY model/ model/
COPY app.py .
RUN useradd --uid 10001 service
USER service
CMD ["waitress-serve", "--listen=0.0.0.0:5001", "app:app"]
"""

PYFUNC = """
import joblib, numpy as np
import mlflow

class Service(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.model = joblib.load(context.artifacts["model"] + "/ridge.pkl")
        with open(context.artifacts["model"] + "/weights.bin", "rb") as file:
            self.number = file.read(1)[0]

    def predict(self, context, model_input, params=None):
        scores = self.model.predict(np.array(model_input)).tolist()
        return {{"answer": {answer}, "model": self.number, "scores": scores}}

mlflow.models.set_model(Service())
"""


def write_model(folder: Path, number: int) -> Path:
    """The folder of the model; the first byte of its weights is the number of its version."""
    import joblib
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge

    model = folder / "model"
    model.mkdir(parents=True, exist_ok=True)
    X, y = load_diabetes(return_X_y=True)
    joblib.dump(Ridge(alpha=number).fit(X, y), model / "ridge.pkl")
    (model / "weights.bin").write_bytes(bytes([number]) + os.urandom(WEIGHTS))
    return model


def pins() -> str:
    return "".join(f"{name}=={version(name)}\n" for name in REQUIREMENTS)


ROWS = [[0.1] * 10]


class Ours:
    """`Model.deploy` with the target `docker`; a changed script and model are updates without a failed request."""

    def __init__(self, folder: Path, base: str) -> None:
        from mldeploy_jupyter import Workspace

        os.environ["MLDEPLOY_BASE_IMAGE"] = base
        self.folder = folder
        self.model = write_model(folder, 1)
        (folder / "requirements.txt").write_text(pins())
        self.ws = Workspace.create(path=str(folder))
        self.service: Any = None

    def first(self) -> float:
        from mldeploy_jupyter import LocalWebservice, Model

        self._write(1)
        begin = time.perf_counter()
        model = Model.register(self.ws, str(self.model), "bench")
        self.service = Model.deploy(
            self.ws, "bench", [model], self._inference(), LocalWebservice.deploy_configuration(engine="docker")
        )
        self.service.wait_for_deployment(timeout_sec=900)
        self._expect(1, 1)
        return time.perf_counter() - begin

    def change_code(self, number: int) -> float:
        self._write(number)
        begin = time.perf_counter()
        self.service.update(inference_config=self._inference(), wait=True)
        self._expect(number)
        return time.perf_counter() - begin

    def reload(self, number: int) -> float:
        self._write(number)
        begin = time.perf_counter()
        self.service.reload(wait=True)
        self._expect(number)
        return time.perf_counter() - begin

    def change_model(self, number: int) -> float:
        from mldeploy_jupyter import Model

        write_model(self.folder, number)
        begin = time.perf_counter()
        model = Model.register(self.ws, str(self.model), "bench")
        self.service.update(models=[model], wait=True)
        self._expect(None, number)
        return time.perf_counter() - begin

    def layers(self) -> list[dict[str, Any]]:
        return list(self.service.receipt()["layers"])

    def close(self) -> None:
        if self.service is not None:
            self.service.delete()

    def _write(self, number: int) -> None:
        (self.folder / "score.py").write_text(SCORE.format(answer=number))

    def _inference(self) -> Any:
        from mldeploy_jupyter import InferenceConfig

        return InferenceConfig(str(self.folder / "score.py"), requirements_file=str(self.folder / "requirements.txt"))

    def _expect(self, answer: int | None, model: int | None = None) -> None:
        said = self.service.run({"data": ROWS})
        assert answer in (None, said["answer"]) and model in (None, said["model"]), said


class Daemonless:
    """`mldeploy image build --builder oci` and the push to a registry; nothing is started."""

    def __init__(self, folder: Path, base: str, registry: str) -> None:
        self.folder, self.registry = folder, registry
        os.environ["MLDEPLOY_BASE_IMAGE"] = base
        write_model(folder, 1)
        (folder / "requirements.txt").write_text(pins())
        self._run("workspace", "create", ".")
        self._run("workspace", "update", "--image-registry", registry)

    def first(self) -> float:
        return self._build(1, True)

    def change_code(self, number: int) -> float:
        return self._build(number, False)

    def change_model(self, number: int) -> float:
        write_model(self.folder, number)
        return self._build(None, True)

    def close(self) -> None:
        pass

    def _build(self, number: int | None, registers: bool) -> float:
        if number is not None:
            (self.folder / "score.py").write_text(SCORE.format(answer=number))
        begin = time.perf_counter()
        if registers:
            self._run("model", "register", "-n", "bench", "-p", "model")
        self._run("image", "build", "-n", "bench", "-m", "bench", "--entry-script", "score.py",
                  "--requirements", "requirements.txt", "--builder", "oci")  # fmt: skip
        return time.perf_counter() - begin

    def _run(self, *words: str) -> None:
        command = [str(Path(sys.executable).with_name("mldeploy")), *words]
        run(command, self.folder)


class Container:
    """What the peers have in common: an image is built, and a container with it replaces the last one."""

    name = ""
    path = "/score"
    body: Any = {"data": ROWS}  # noqa: RUF012

    def __init__(self, folder: Path, base: str) -> None:
        self.folder, self.base = folder, base
        self.model = write_model(folder, 1)
        self.started = 0
        self.prepare()
        self.write_code(1)

    def prepare(self) -> None: ...

    def write_code(self, number: int) -> None: ...

    def build(self) -> None: ...

    def first(self) -> float:
        return self._replace(1, 1)

    def change_code(self, number: int) -> float:
        self.write_code(number)
        return self._replace(number, None)

    def change_model(self, number: int) -> float:
        write_model(self.folder, number)
        return self._replace(None, number)

    def close(self) -> None:
        subprocess.run(["docker", "rm", "-f", f"{self.name}-{self.started}"], capture_output=True)

    def _replace(self, answer: int | None, model: int | None) -> float:
        """Nobody waits for the end of the old container: the time ends with the new one's answer."""
        begin = time.perf_counter()
        self.build()
        old, self.started = self.started, self.started + 1
        container = f"{self.name}-{self.started}"
        run(["docker", "run", "-d", "--name", container, "-p", f"127.0.0.1::{self.port}", self.name], self.folder)
        address = run(["docker", "port", container, str(self.port)], self.folder).split()[0]
        while True:
            try:
                answered = requests.post(f"http://{address}{self.path}", json=self.body, timeout=10)
                if answered.ok:
                    break
            except requests.ConnectionError:
                pass
            if time.perf_counter() - begin > 900:
                raise RuntimeError(run(["docker", "logs", container], self.folder))
            time.sleep(0.02)
        seconds = time.perf_counter() - begin
        said = answered.json()
        said = said.get("predictions", said)
        assert answer in (None, said["answer"]) and model in (None, said["model"]), said
        if old:
            subprocess.run(["docker", "rm", "-f", f"{self.name}-{old}"], capture_output=True)
        return seconds

    port = 5001


class ConventionalDockerfile(Container):
    name = "bench-dockerfile"

    def prepare(self) -> None:
        (self.folder / "requirements.txt").write_text(pins() + "flask\nwaitress\n")
        (self.folder / "Dockerfile").write_text(DOCKERFILE.format(base=self.base))

    def write_code(self, number: int) -> None:
        (self.folder / "app.py").write_text(FLASK.format(answer=number))

    def build(self) -> None:
        run(["docker", "build", "-t", self.name, "."], self.folder)


class MLflow(Container):
    """`mlflow models build-docker` of a model from code, with a Python that has MLflow installed."""

    name = "bench-mlflow"
    path = "/invocations"
    body = {"inputs": ROWS}  # noqa: RUF012
    port = 8080

    def __init__(self, folder: Path, base: str, python: str) -> None:
        self.python = python
        super().__init__(folder, base)

    def write_code(self, number: int) -> None:
        (self.folder / "code.py").write_text(PYFUNC.format(answer=number))

    def build(self) -> None:
        shutil.rmtree(self.folder / "saved", ignore_errors=True)
        packages = [*pins().split(), "mlflow"]
        save = (
            "import mlflow.pyfunc; mlflow.pyfunc.save_model('saved', python_model='code.py', "
            f"artifacts={{'model': 'model'}}, pip_requirements={json.dumps(packages)})"
        )
        run([self.python, "-c", save], self.folder)
        mlflow = str(Path(self.python).with_name("mlflow"))
        run([mlflow, "models", "build-docker", "-m", "saved", "-n", self.name, "--env-manager", "local"], self.folder)


def run(command: list[str], folder: Path) -> str:
    """What a command prints; the end of it is shown when the command fails."""
    environment = {**os.environ, "PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout
