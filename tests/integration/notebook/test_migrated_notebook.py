"""A whole notebook of v1 for ACI and AKS, from its first cell to the deletes; only the lines of `migrate` are ours."""

from __future__ import annotations

from collections.abc import Callable

from tests.integration.notebook.conftest import SCRIPT, Kernel

MIGRATE = "import mldeploy_jupyter\nmldeploy_jupyter.migrate(local=True, python='kernel')"

PREPARE = """
import json
import requests
from azureml.core import Environment, Workspace
from azureml.core.compute import AksCompute, ComputeTarget
from azureml.core.compute_target import ComputeTargetException
from azureml.core.model import InferenceConfig, Model
from azureml.core.webservice import AciWebservice, AksWebservice, Webservice
from azureml.exceptions import WebserviceException

ws = Workspace.create(name="w", subscription_id="0", resource_group="g", location="westeurope", exist_ok=True)
with open("factor.json", "w") as file:
    json.dump({"factor": 3}, file)
model = Model.register(workspace=ws, model_path="factor.json", model_name="factor")
env = Environment.get(ws, "AzureML-Minimal").clone("env")
config = InferenceConfig(entry_script="score.py", environment=env)
sample = json.dumps({"value": 2})
"""

ACI = """
try:
    AciWebservice(ws, "on-aci").delete()
except WebserviceException:
    print("none yet")
aci_config = AciWebservice.deploy_configuration(cpu_cores=1, memory_gb=1, tags={"area": "digits"})
service = Model.deploy(ws, "on-aci", [model], config, aci_config)
service.wait_for_deployment(show_output=True)
assert isinstance(service, AciWebservice) and isinstance(ws.webservices["on-aci"], AciWebservice)
print(service.state, service.tags, requests.post(service.scoring_uri, data=sample).json())
"""

UPDATE = """
service.update(enable_app_insights=True, auth_enabled=True)
service.wait_for_deployment()
key, _ = service.get_keys()
headers = {"Authorization": "Bearer " + key}
print(requests.post(service.scoring_uri, data=sample).status_code)
print(requests.post(service.scoring_uri, data=sample, headers=headers).status_code)
service.delete()
"""

CLUSTER = """
try:
    target = ComputeTarget(workspace=ws, name="cluster")
except ComputeTargetException:
    target = None
settings = AksCompute.provisioning_configuration(cluster_purpose=AksCompute.ClusterPurpose.DEV_TEST)
target = ComputeTarget.create(workspace=ws, name="cluster", provisioning_configuration=settings)
if target.get_status() != "Succeeded":
    raise SystemExit("no cluster")
target.wait_for_completion(show_output=True)
"""

AKS = """
aks_config = AksWebservice.deploy_configuration(autoscale_enabled=False, num_replicas=3, scoring_timeout_ms=5000)
Webservice.deploy_from_model(
    workspace=ws, name="on-aks", models=[model], image_config=config, deployment_config=aks_config,
    deployment_target=target,
)
service = AksWebservice(ws, "on-aks")
service.wait_for_deployment()
headers = {"Authorization": "Bearer " + service.get_keys()[0]}
print(requests.post(service.scoring_uri, data=sample).status_code, service.run(input_data=sample))
service.delete()
target.delete()
print(ws.webservices, ws.compute_targets)
"""

# As a notebook of 2018 did it: the script's files are dependencies of an image, which is made, listed and deployed.
IMAGE = """
from azureml.core.image import ContainerImage, Image
from azureml.core.workspace import Image as SameImage
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.webservice import AciWebservice, Webservice

with open("words.txt", "w") as file:
    file.write("a word")
with open("tools.py", "w") as file:
    file.write("import pathlib\\ntext = (pathlib.Path(__file__).parent / 'words.txt').read_text()\\n")
with open("read.py", "w") as file:
    file.write("import importlib\\n\\ndef init():\\n    global text\\n")
    file.write("    text = importlib.import_module('tools').text\\n\\n")
    file.write("def run(raw_data):\\n    return text + raw_data\\n")
config = ContainerImage.image_configuration(
    execution_script="read.py", runtime="python", dependencies=["words.txt", "tools.py"], tags={"area": "words"}
)
image = ContainerImage.create(name="words", models=[model], image_config=config, workspace=ws)
image.wait_for_creation(show_output=True)
for found in Image.list(workspace=ws, image_name="words"):
    if found.version == 1:
        image = found
assert SameImage(ws, "words") is image
aci_config = AciWebservice.deploy_configuration(cpu_cores=1, memory_gb=1)
service = Webservice.deploy_from_image(deployment_config=aci_config, image=image, name="words", workspace=ws)
service.wait_for_deployment()
first = service.run("!")
with open("words.txt", "w") as file:
    file.write("another word")
service.update(image=Image.create(ws, "words", [model], config))
service.wait_for_deployment()
print(image.id, first, service.run("!"), ws.webservices["words"].state)
service.delete()
"""


def test_a_notebook_for_the_cloud_runs_from_its_first_cell_to_the_deletes(start: Callable[[], Kernel]) -> None:
    kernel = start()
    first = kernel.ok(MIGRATE).stream
    assert "ACI and AKS configurations deploy to this machine; compute targets are stand-ins." in first
    kernel.ok(f"%%writefile score.py\n{SCRIPT}")
    assert "AzureML-Minimal: this kernel's Python and packages are used in its place" in kernel.ok(PREPARE).stream

    said = kernel.ok(ACI).stream
    note = "on-aci is deployed to this machine instead of ACI and asks for no key; without effect here: "
    assert f"none yet\n{note}cpu_cores, memory_gb.\n" in said
    assert "Healthy {'area': 'digits'} {'answer': 6}" in said

    said = kernel.ok(UPDATE).stream
    assert said == "on-aci is on this machine instead of ACI; without effect here: enable_app_insights.\n401\n200\n"

    said = kernel.ok(CLUSTER).stream
    note = "cluster: no cluster is made or used, services are deployed to this machine (migrate(local=True))."
    assert said == f"{note}\nSucceeded\n"

    said = kernel.ok(AKS).stream
    note = "on-aks is deployed to this machine instead of AKS and asks for a key; without effect here: "
    assert said == f"{note}autoscale_enabled, num_replicas.\n401 {{'answer': 6}}\n{{}} {{}}\n"

    said = kernel.ok(IMAGE).stream
    assert said.startswith("words:1 is described; it is made when it is deployed: Webservice.deploy_from_image(...)\n")
    assert said.endswith("words:1 a word! another word! Healthy\n")
