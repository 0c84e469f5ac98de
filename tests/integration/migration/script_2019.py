"""A script as people wrote it from the how-to page of 2019, run from beginning to end in an empty folder.

Two lines are ours: `migrate()` and its import. What it finds goes into `report.json`, which the test reads.
The first argument is the port, which on the page is 8890.
"""

# ruff: noqa: E402  (as in every notebook that migrates, the v1 imports come after the call)

import json
import os
import sys

import joblib
import numpy as np
import requests
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

import mldeploy_jupyter

mldeploy_jupyter.migrate()

import azureml.core
from azureml.core import Workspace
from azureml.core.authentication import InteractiveLoginAuthentication
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.model import InferenceConfig, Model
from azureml.core.webservice import AciWebservice, LocalWebservice, Webservice
from azureml.exceptions import WebserviceException

port = int(sys.argv[1])
report = {"version": azureml.core.VERSION}

SCORE = """\
import json
import numpy as np
from sklearn.externals import joblib
from sklearn.linear_model import Ridge
from azureml.core.model import Model

from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType


def init():
    global model
    model_path = Model.get_model_path('sklearn_regression_model.pkl')
    model = joblib.load(model_path)


input_sample = np.array([[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]])
output_sample = np.array([3726.995])


@input_schema('data', NumpyParameterType(input_sample))
@output_schema(NumpyParameterType(output_sample))
def run(data):
    try:
        result = model.predict(data)
        return result.tolist()
    except Exception as e:
        error = str(e)
        return error
"""

CONDA = """\
name: project_environment
dependencies:
  - python=3.6.2
  - pip:
    - azureml-defaults
    - scikit-learn
    - numpy
    - inference-schema[numpy-support]
"""


def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def train(alpha):
    X, y = load_diabetes(return_X_y=True)
    model = Ridge(alpha=alpha).fit(X, y)
    os.makedirs("outputs", exist_ok=True)
    joblib.dump(model, "outputs/sklearn_regression_model.pkl")
    return model


# Connect. The folder has the config.json that `az ml folder attach` wrote.
write(
    ".azureml/config.json",
    json.dumps({"subscription_id": "0000-1111", "resource_group": "myresourcegroup", "workspace_name": "myworkspace"}),
)
ws = Workspace.from_config(auth=InteractiveLoginAuthentication())
report["workspace"] = [ws.name, ws.subscription_id, ws.resource_group]

# Register.
first = train(alpha=0.5)
model = Model.register(
    model_path="outputs/sklearn_regression_model.pkl",
    model_name="sklearn_regression_model.pkl",
    tags={"area": "diabetes", "type": "regression"},
    description="Ridge regression model to predict diabetes",
    workspace=ws,
)
report["registered"] = [model.name, model.version, model.id]
report["path in the notebook"] = os.path.isfile(Model.get_model_path("sklearn_regression_model.pkl", _workspace=ws))

# Describe the service. The page asks for Python 3.6.2, which no tool supports now.
write("source/x/y/score.py", SCORE)
write("source/env/myenv.yml", CONDA)
deployment_config = LocalWebservice.deploy_configuration(port=port)


def describe():
    return InferenceConfig(
        source_directory=os.path.abspath("source"),
        runtime="python",
        entry_script="x/y/score.py",
        conda_file="env/myenv.yml",
    )


try:
    service = Model.deploy(ws, "myservice", [model], describe(), deployment_config)
    service.wait_for_deployment(show_output=True)
except Exception as error:
    report["python 3.6.2"] = str(error)

# As the page makes a conda file, with a Python of today.
myenv = CondaDependencies.create(
    pip_packages=["azureml-defaults", "scikit-learn", "numpy", "inference-schema[numpy-support]"],
    python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
)
write("source/env/myenv.yml", myenv.serialize_to_string())
inference_config = describe()
inference_config.base_image = "myregistry.azurecr.io/myimage:v1"
inference_config.base_image_registry.address = "myregistry.azurecr.io"
inference_config.base_image_registry.username = "username"
inference_config.base_image_registry.password = "hush-hush"

# The page's import of joblib went away with scikit-learn 0.23; here it is joblib, with a warning.
service = Model.deploy(ws, "myservice", [model], inference_config, deployment_config, overwrite=True)
service.wait_for_deployment(show_output=True)
print(service.state, service.scoring_uri)
report["state"] = service.state
report["log"] = service.get_logs()
report["scoring_uri"] = service.scoring_uri

# Consume.
headers = {"Content-Type": "application/json"}
if service.auth_enabled:
    headers["Authorization"] = "Bearer " + service.get_keys()[0]
elif service.token_auth_enabled:
    headers["Authorization"] = "Bearer " + service.get_token()[0]

data = [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]]
test_sample = json.dumps({"data": data})
response = requests.post(service.scoring_uri, data=test_sample, headers=headers, timeout=30)
print(response.status_code, response.json())
report["scored"] = [response.status_code, np.allclose(response.json(), first.predict(np.array(data)))]
report["run"] = np.allclose(service.run(input_data=test_sample), first.predict(np.array(data)))

response = requests.post(
    service.scoring_uri, data=test_sample, headers={"Content-Type": "application/json"}, timeout=30
)
report["without a key"] = response.status_code
response = requests.post(service.scoring_uri, data=json.dumps({"data": [[1.7] * 10]}), headers=headers, timeout=30)
report["1.7 for an integer"] = [response.status_code, response.json()]

# Update: the page's own lines.
second = train(alpha=500.0)
new_model = Model.register(
    model_path="outputs/sklearn_regression_model.pkl",
    model_name="sklearn_regression_model.pkl",
    tags={"key": "0.1"},
    description="test",
    workspace=ws,
)
service_name = "myservice"
service = Webservice(name=service_name, workspace=ws)
service.update(models=[new_model])
service.wait_for_deployment(show_output=True)
print(service.state)
response = requests.post(service.scoring_uri, data=test_sample, headers=headers, timeout=30)
report["updated"] = [new_model.version, response.status_code]
report["new answers"] = np.allclose(response.json(), second.predict(np.array(data)))
report["old answers"] = np.allclose(response.json(), first.predict(np.array(data)))

# Look around.
report["listed"] = [[s.name, s.compute_type] for s in Webservice.list(ws)]
print(service.get_logs())
report["logs"] = service.get_logs(num_lines=1000)
try:
    model.delete()
    new_model.delete()
except WebserviceException as error:
    report["model in use"] = error.message
try:
    Model.deploy(ws, "myaci", [model], inference_config, AciWebservice.deploy_configuration(cpu_cores=1, memory_gb=1))
except WebserviceException as error:
    report["aci"] = str(error)

# Clean up.
service.delete()
try:
    Webservice(name=service_name, workspace=ws)
except WebserviceException as error:
    report["deleted"] = error.message
try:
    requests.get(report["scoring_uri"].rpartition("/")[0] + "/", timeout=5)
    report["still answers"] = True
except requests.ConnectionError:
    report["still answers"] = False
new_model.delete()

write("report.json", json.dumps(report))
