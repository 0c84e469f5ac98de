"""A sample whose script wants headers, or answers with a status of its own, can be deployed."""

from __future__ import annotations

import pytest
import requests

from mldeploy_jupyter.core.errors import DeploymentFailed

from .conftest import Site, live

SCRIPT = """
from azureml.contrib.services.aml_response import AMLResponse
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("data", StandardPythonParameterType([1]))
def run(data, request_headers):
    if request_headers.get("X-Tenant") != "a":
        return AMLResponse("no tenant", 401)
    return AMLResponse({"n": len(data)}, 201, json_str=True)
"""


def test_a_sample_gets_its_headers_and_may_be_answered_with_another_status(site: Site) -> None:
    site.write(SCRIPT)
    service = live(site, sample_headers={"X-Tenant": "a"}, auth_enabled=False)
    answer = requests.post(service.scoring_uri, json={"data": [1, 2]}, headers={"x-tenant": "a"}, timeout=60)
    assert (answer.status_code, answer.json()) == (201, {"n": 2})
    assert "X-Tenant" not in repr(service.serialize()) and "'a'" not in repr(service.serialize())


def test_a_sample_that_is_refused_names_both_ways_out(site: Site) -> None:
    site.write(SCRIPT)
    with pytest.raises(DeploymentFailed) as refused:
        live(site)
    assert refused.value.what == "run() refused the sample"
    assert "401" in str(refused.value.why)
    assert "--sample-header" in refused.value.hint and "--no-probe" in refused.value.hint


def test_without_the_probe_the_sample_is_not_scored(site: Site) -> None:
    site.write(SCRIPT.replace("    if request", "    raise SystemError\n    if request"))
    service = live(site, no_probe=True)
    assert service.state == "Healthy"
