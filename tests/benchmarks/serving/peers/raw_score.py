"""The entry script for raw bodies, the same for azureml's server and for ours."""

from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse


def init():
    pass


@rawhttp
def run(request: AMLRequest):
    return AMLResponse(str(len(request.get_data())), 200)
