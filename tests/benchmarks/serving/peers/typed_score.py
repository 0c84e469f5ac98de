"""The entry script of the benchmark, the same for azureml's server and for ours: the server parses the rows."""

import os

import joblib
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema


def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "ridge.pkl"))


@input_schema("data", NumpyParameterType(np.zeros((1, 10))))
def run(data):
    return model.predict(data).tolist()
