"""Scripts around a model: how it is found, loaded and asked. Small files beside a script play the heavy libraries."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from .case import Case, case


def _regression() -> LinearRegression:
    """y = 2 a + 3 b"""
    return LinearRegression(fit_intercept=False).fit(np.eye(2), [2.0, 3.0])


def _classifier() -> LogisticRegression:
    return LogisticRegression().fit([[0.0], [1.0], [9.0], [10.0]], ["low", "low", "high", "high"])


def _words() -> object:
    return make_pipeline(CountVectorizer(), MultinomialNB()).fit(["good fine", "bad poor"], ["up", "down"])


def _folder(path: Path) -> None:
    path.mkdir()
    joblib.dump(_regression(), path / "model.joblib")
    (path / "columns.json").write_text('["a", "b"]')


# What each model is as a file or folder. The weights of the small stand-ins are JSON.
MODELS: dict[str, Callable[[Path], object]] = {
    "regression.pkl": lambda path: joblib.dump(_regression(), path),
    "pickled.pkl": lambda path: path.write_bytes(pickle.dumps(_regression())),
    "classifier.joblib": lambda path: joblib.dump(_classifier(), path),
    "words.pkl": lambda path: joblib.dump(_words(), path),
    "weights.npy": lambda path: np.save(path, np.array([2.0, 3.0])),
    "weights.json": lambda path: path.write_text(json.dumps([2.0, 3.0])),
    "folder": _folder,
}

NETWORK = """
import json
import numpy as np
class Network:
    def __init__(self, path): self.weights = np.array(json.load(open(path)))
    def predict(self, x, batch_size=None, verbose=0): return np.asarray(x, dtype=float) @ self.weights[:, None]
def load_model(path, compile=True): return Network(path)
def model_from_json(text):
    network = Network.__new__(Network)
    network.load_weights = lambda path: setattr(network, "weights", np.array(json.load(open(path))))
    network.compile = lambda **options: None
    return network
"""

TORCH = """
import json
import numpy as np
class Tensor:
    def __init__(self, data): self.data = np.asarray(data, dtype=float)
    def detach(self): return self
    def cpu(self): return self
    def numpy(self): return self.data
    def tolist(self): return self.data.tolist()
    def to(self, device): return self
    def float(self): return self
def tensor(data, dtype=None): return Tensor(data)
def from_numpy(data): return Tensor(data)
def device(name): return name
def load(path, map_location=None): return {"weight": json.load(open(path))}
class cuda:
    is_available = staticmethod(lambda: False)
class no_grad:
    def __enter__(self): return self
    def __exit__(self, *error): return False
float32 = "float32"
"""

NN = """
import numpy as np
from torch import Tensor
class Module:
    def load_state_dict(self, state): self.__dict__.update(state)
    def eval(self): return self
    def to(self, device): return self
    def __call__(self, x): return self.forward(x)
class Linear(Module):
    def __init__(self, inputs, outputs): self.weight = np.zeros(inputs)
    def forward(self, x): return Tensor(x.data @ np.asarray(self.weight))
"""

ONNX = """
import json
import numpy as np
class _Value:
    def __init__(self, name): self.name, self.shape, self.type = name, [None, 2], "tensor(float)"
class InferenceSession:
    def __init__(self, path, options=None, providers=None): self.weights = np.array(json.load(open(path)), np.float32)
    def get_inputs(self): return [_Value("input")]
    def get_outputs(self): return [_Value("output")]
    def run(self, names, feed):
        assert feed["input"].dtype == np.float32
        return [feed["input"] @ self.weights]
"""

CASES: tuple[Case, ...] = (
    case(
        "the usual script: joblib, AZUREML_MODEL_DIR, text of the body",
        """
        import json, os
        import numpy as np
        import joblib

        def init():
            global model
            model_path = os.path.join(os.getenv("AZUREML_MODEL_DIR"), "regression.pkl")
            model = joblib.load(model_path)

        def run(raw_data):
            data = np.array(json.loads(raw_data)["data"])
            result = model.predict(data)
            return result.tolist()
        """,
        ({"data": [[1, 1], [2, 0]]}, [5.0, 4.0]),
        models=("regression.pkl",),
    ),
    case(
        "sklearn.externals and get_model_path of 2019",
        """
        import json
        import numpy
        from sklearn.externals import joblib
        from azureml.core.model import Model

        def init():
            global model
            model = joblib.load(Model.get_model_path("regression.pkl"))

        def run(raw_data):
            try:
                data = json.loads(raw_data)["data"]
                data = numpy.array(data)
                return json.dumps({"result": model.predict(data).tolist()})
            except Exception as e:
                error = str(e)
                return json.dumps({"error": error})
        """,
        ({"data": [[1, 1]]}, '{"result": [5.0]}'),
        models=("regression.pkl",),
    ),
    case(
        "get_model_path with a workspace's name and a version",
        """
        import json, joblib
        from azureml.core import Model

        def init():
            global model
            model = joblib.load(Model.get_model_path(model_name="regression.pkl", version=1, _workspace=None))

        def run(data):
            return model.predict(json.loads(data)).tolist()
        """,
        ([[1, 0]], [2.0]),
        models=("regression.pkl",),
    ),
    case(
        "pickle of an open file, and an error as text with status 200",
        """
        import json, os, pickle
        import numpy as np

        def init():
            global model
            with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "pickled.pkl"), "rb") as f:
                model = pickle.load(f)

        def run(raw_data):
            try:
                return model.predict(np.array(json.loads(raw_data)["data"])).tolist()
            except Exception as e:
                return str(e)
        """,
        ({"data": [[0, 1]]}, [3.0]),
        ({"rows": 1}, "'data'"),
        models=("pickled.pkl",),
    ),
    case(
        "the first file that glob finds",
        """
        import glob, json, os
        import joblib
        import pandas as pd

        def init():
            global model
            paths = glob.glob(os.path.join(os.getenv("AZUREML_MODEL_DIR"), "**", "*.pkl"), recursive=True)
            model = joblib.load(paths[0])

        def run(data):
            frame = pd.DataFrame(json.loads(data)["data"])
            return {"prediction": model.predict(frame[["a", "b"]].to_numpy()).tolist()}
        """,
        ({"data": [{"b": 1, "a": 1}]}, {"prediction": [5.0]}),
        models=("regression.pkl",),
    ),
    case(
        "several models by name",
        """
        import json, joblib
        from azureml.core.model import Model

        def init():
            global first, second
            first = joblib.load(Model.get_model_path("regression.pkl"))
            second = joblib.load(Model.get_model_path("classifier.joblib"))

        def run(data):
            data = json.loads(data)
            if data["model"] == "first":
                return first.predict([data["row"]]).tolist()
            return second.predict([data["row"]]).tolist()
        """,
        ({"model": "first", "row": [1, 1]}, [5.0]),
        ({"model": "second", "row": [10]}, ["high"]),
        models=("regression.pkl", "classifier.joblib"),
    ),
    case(
        "several models by name and version below AZUREML_MODEL_DIR",
        """
        import json, os, joblib

        def init():
            global models
            root = os.getenv("AZUREML_MODEL_DIR")
            models = {name: joblib.load(os.path.join(root, name, "1", name)) for name in os.listdir(root)}

        def run(data):
            return sorted(models)
        """,
        ("{}", ["classifier.joblib", "regression.pkl"]),
        models=("regression.pkl", "classifier.joblib"),
    ),
    case(
        "a registered folder",
        """
        import json, os, joblib
        import pandas as pd
        from azureml.core.model import Model

        def init():
            global model, columns
            folder = Model.get_model_path("folder")
            model = joblib.load(os.path.join(folder, "model.joblib"))
            columns = json.load(open(os.path.join(folder, "columns.json")))

        def run(data):
            frame = pd.DataFrame(json.loads(data)["data"], columns=columns)
            return model.predict(frame.values).tolist()
        """,
        ({"data": [[1, 1]]}, [5.0]),
        models=("folder",),
    ),
    case(
        "classes and their probabilities",
        """
        import json, os, joblib
        import numpy as np

        def init():
            global clf
            clf = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "classifier.joblib"))

        def run(data):
            x = np.array(json.loads(data)["data"])
            labels, probability = clf.predict(x), clf.predict_proba(x)
            return [{"label": l, "sure": bool(p.max() > 0.5), "classes": list(clf.classes_)}
                    for l, p in zip(labels, probability)]
        """,
        ({"data": [[0]]}, [{"label": "low", "sure": True, "classes": ["high", "low"]}]),
        models=("classifier.joblib",),
    ),
    case(
        "text that a pipeline classifies",
        """
        import json, os, joblib

        def init():
            global pipeline
            pipeline = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "words.pkl"))

        def run(data):
            documents = json.loads(data)["documents"]
            return {"documents": [{"id": d["id"], "sentiment": s}
                                  for d, s in zip(documents, pipeline.predict([d["text"] for d in documents]))]}
        """,
        ({"documents": [{"id": "1", "text": "good"}]}, {"documents": [{"id": "1", "sentiment": "up"}]}),
        models=("words.pkl",),
    ),
    case(
        "weights of numpy",
        """
        import json, os
        import numpy as np

        def init():
            global w
            w = np.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "weights.npy"))

        def run(data):
            return np.dot(np.asarray(json.loads(data)["x"]), w)
        """,
        ({"x": [1, 2]}, 8.0),
        models=("weights.npy",),
    ),
    case(
        "keras' load_model",
        """
        import json, os
        import numpy as np
        from azureml.core.model import Model
        from keras.models import load_model

        def init():
            global model
            model = load_model(Model.get_model_path("weights.json"))

        def run(raw_data):
            data = np.array(json.loads(raw_data)["data"])
            y_hat = np.round(model.predict(data))
            return y_hat.tolist()
        """,
        ({"data": [[1, 1]]}, [[5.0]]),
        models=("weights.json",),
        files={"keras/__init__.py": "", "keras/models.py": NETWORK},
    ),
    case(
        "keras from its JSON and weights",
        """
        import json, os
        import numpy as np
        from tensorflow.keras.models import model_from_json

        def init():
            global model
            model = model_from_json("{}")
            model.load_weights(os.path.join(os.environ["AZUREML_MODEL_DIR"], "weights.json"))
            model.compile(loss="mse", optimizer="rmsprop", metrics=["accuracy"])

        def run(raw_data):
            data = np.array(json.loads(raw_data)["data"])
            return {"result": model.predict(data)[:, 0]}
        """,
        ({"data": [[1, 1], [0, 1]]}, {"result": [5.0, 3.0]}),
        models=("weights.json",),
        files={"tensorflow/__init__.py": "", "tensorflow/keras/__init__.py": "", "tensorflow/keras/models.py": NETWORK},
    ),
    case(
        "a network of torch with its state",
        """
        import json, os
        import torch
        import torch.nn as nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(2, 1)
            def load_state_dict(self, state):
                self.fc.load_state_dict(state)
            def forward(self, x):
                return self.fc(x)

        def init():
            global model, device
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            path = os.path.join(os.getenv("AZUREML_MODEL_DIR"), "weights.json")
            model = Net().to(device)
            model.load_state_dict(torch.load(path, map_location=lambda storage, loc: storage))
            model.eval()

        def run(input_data):
            input_data = torch.tensor(json.loads(input_data)["data"], dtype=torch.float32).to(device)
            with torch.no_grad():
                output = model(input_data)
            return {"scores": output.detach().cpu().numpy().tolist()}
        """,
        ({"data": [[1, 1]]}, {"scores": [5.0]}),
        models=("weights.json",),
        files={"torch/__init__.py": TORCH, "torch/nn.py": NN},
    ),
    case(
        "a session of onnxruntime",
        """
        import json, os, sys, time
        import numpy as np
        import onnxruntime
        from azureml.core.model import Model

        def init():
            global session, input_name, output_name
            model = Model.get_model_path(model_name="weights.json")
            session = onnxruntime.InferenceSession(model, None)
            input_name = session.get_inputs()[0].name
            output_name = session.get_outputs()[0].name

        def run(input_data):
            try:
                data = np.array(json.loads(input_data)["data"]).astype("float32")
                start = time.time()
                r = session.run([output_name], {input_name: data})
                end = time.time()
                return {"result": np.array(r).tolist(), "time_in_sec": end - start > 60}
            except Exception as e:
                return {"error": str(e)}
        """,
        ({"data": [[1, 1]]}, {"result": [[5.0]], "time_in_sec": False}),
        models=("weights.json",),
        files={"onnxruntime.py": ONNX},
    ),
    case(
        "a model that the first request loads",
        """
        import json, os, joblib

        model = None

        def init():
            pass

        def get_model():
            global model
            if model is None:
                model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "regression.pkl"))
            return model

        def run(data):
            return get_model().predict(json.loads(data)).tolist()
        """,
        ([[1, 1]], [5.0]),
        ([[1, 0]], [2.0]),
        models=("regression.pkl",),
    ),
    case(
        "a class whose methods are init and run",
        """
        import json, os, joblib

        class Service(object):
            def __init__(self):
                self.model = None

            def init(self):
                self.model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "regression.pkl"))

            def run(self, raw_data):
                return self.model.predict(json.loads(raw_data)).tolist()

        service = Service()
        init, run = service.init, service.run
        """,
        ([[1, 1]], [5.0]),
        models=("regression.pkl",),
    ),
    case(
        "a helper module and a file beside the script",
        """
        import json, os, sys
        sys.path.append(os.path.dirname(os.path.abspath(__file__)))
        from helpers.preprocess import scale

        def init():
            global labels
            with open(os.path.join(os.path.dirname(os.path.realpath(__file__)), "labels.txt")) as f:
                labels = [line.strip() for line in f]

        def run(data):
            return labels[scale(json.loads(data)["x"])]
        """,
        ({"x": 10}, "dog"),
        files={
            "helpers/__init__.py": "",
            "helpers/preprocess.py": "def scale(x): return x // 10\n",
            "labels.txt": "cat\ndog\n",
        },
    ),
    case(
        "a file by a path relative to the source directory",
        """
        import json

        def init():
            global labels
            labels = open("./assets/labels.txt").read().split()

        def run(data):
            return labels
        """,
        ("{}", ["cat", "dog"]),
        files={"assets/labels.txt": "cat\ndog\n"},
    ),
    case(
        "a class of the script's own in a pickle",
        """
        import json, os, pickle
        import helper

        def init():
            global model
            model = pickle.loads(pickle.dumps(helper.Doubler()))

        def run(data):
            return model.predict(json.loads(data))
        """,
        ([1, 2], [2, 4]),
        files={"helper.py": "class Doubler:\n    def predict(self, x): return [2 * v for v in x]\n"},
    ),
    case(
        "a workspace that is looked up only to find the model",
        """
        import json, os, joblib
        from azureml.core import Workspace
        from azureml.core.authentication import ServicePrincipalAuthentication
        from azureml.core.model import Model

        sign_in = ServicePrincipalAuthentication(
            tenant_id="t", service_principal_id="i", service_principal_password=os.getenv("PASSWORD")
        )
        ws = Workspace(subscription_id="s", resource_group="g", workspace_name="w", auth=sign_in)

        def init():
            global model
            model = joblib.load(Model.get_model_path(model_name="regression.pkl", version=1, _workspace=ws))

        def run(raw_data):
            return model.predict(json.loads(raw_data)["data"]).tolist()
        """,
        ({"data": [[1, 1]]}, [5.0]),
        models=("regression.pkl",),
    ),
    case(
        "inputs and predictions that are kept with one id",
        """
        import json
        import numpy as np
        from azureml.monitoring import ModelDataCollector

        def init():
            global inputs_dc, predictions_dc
            inputs_dc = ModelDataCollector("m", designation="inputs", feature_names=["a", "b"])
            predictions_dc = ModelDataCollector("m", designation="predictions", feature_names=["p"])

        def run(raw_data):
            data = np.array(json.loads(raw_data)["data"])
            result = data.sum(axis=1)
            correlations = inputs_dc.collect(data)
            predictions_dc.collect(predictions_dc.add_correlations(result, correlations))
            return result.tolist()
        """,
        ({"data": [[1, 2]]}, [3]),
    ),
    case(
        "a script that tries itself while it is imported",
        """
        import json, joblib
        from azureml.core.model import Model

        def init():
            global model
            model = joblib.load(Model.get_model_path(model_name="regression.pkl"))

        def run(raw_data, request_headers):
            return {"result": model.predict(json.loads(raw_data)["data"]).tolist()}

        init()
        print("Test result: ", run('{"data": [[1, 2]]}', {}))
        """,
        ({"data": [[1, 1]]}, {"result": [5.0]}),
        models=("regression.pkl",),
    ),
    case(
        "a model whose name is read from the path of its folder",
        """
        import os
        from azureml.core.model import Model

        def init():
            global name
            name = os.getenv("AZUREML_MODEL_DIR").split("/")[-2]
            assert os.path.isfile(Model.get_model_path(name))

        def run(data):
            return name
        """,
        ("{}", "regression.pkl"),
        models=("regression.pkl",),
    ),
)
