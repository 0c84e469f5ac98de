import os

import joblib
import numpy as np
import pandas as pd
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema


def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "ridge.pkl"))


@input_schema("data", NumpyParameterType(np.zeros((1, 10))))
def run(data):
    return {"edit": "edit-0-", "result": model.predict(pd.DataFrame(data).to_numpy()).tolist()}
