"""What v1's server did with headers, OPTIONS, variables and the author's own description."""

from __future__ import annotations

import json

import requests

from mldeploy_jupyter import InferenceConfig, LocalWebservice, Model

from .conftest import Site, live

SCRIPT = """
import time
from azureml.contrib.services.aml_response import AMLResponse

def init():
    pass

def run(data):
    if data == "slow":
        time.sleep(30)
    if data == "own":
        response = AMLResponse("x", 200)
        response.headers["X-Request-Id"] = "mine"
        return response
    return data
"""


def test_ids_options_timeout_origins_and_a_description(site: Site) -> None:
    source = site.folder / "src"
    source.mkdir()
    (source / "score.py").write_text(SCRIPT)
    (source / "swagger2.json").write_text(json.dumps({"swagger": "2.0", "info": {"title": "mine"}}))
    variables = {"SCORING_TIMEOUT_MS": "300", "AML_CORS_ORIGINS": "http://page.example"}
    config = LocalWebservice.deploy_configuration(auth_enabled=False, environment_variables=variables)
    inference = InferenceConfig(entry_script="score.py", source_directory=str(source))
    service = Model.deploy(site.ws, "svc", [], inference, config)
    service.wait_for_deployment()
    uri = service.scoring_uri

    made = requests.post(uri, data="1", timeout=60).headers
    assert made["x-request-id"] == made["x-ms-request-id"] and len(made["x-request-id"]) == 36
    echoed = requests.post(uri, data="1", headers={"x-request-id": "A", "TraceId": "t"}, timeout=60).headers
    assert (echoed["x-request-id"], echoed["x-ms-request-id"], echoed["TraceId"]) == ("A", "A", "t")
    traced = requests.post(uri, data="1", headers={"TraceId": "t"}, timeout=60).headers
    assert traced["TraceId"] == "t" and len(traced["x-request-id"]) == 36
    own = requests.post(uri, data="own", headers={"x-request-id": "A"}, timeout=60).headers
    assert (own["x-request-id"], own["x-ms-request-id"]) == ("A", "A")  # as v1, which set them last

    assert requests.post(uri, data="slow", timeout=60).status_code == 504
    page = {"origin": "http://page.example"}
    preflight = requests.options(uri, headers={**page, "access-control-request-method": "POST"}, timeout=60)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "http://page.example")
    for query in ("", "?version=2"):
        assert requests.get(service.swagger_uri + query, timeout=60).json()["info"]["title"] == "mine"
    assert requests.get(service.swagger_uri + "?version=3", timeout=60).json()["openapi"] == "3.0.3"


def test_options_of_a_plain_script_is_answered(site: Site) -> None:
    site.write(SCRIPT)
    service = live(site)
    answer = requests.options(service.scoring_uri, timeout=60)
    assert (answer.status_code, answer.content, answer.headers["allow"]) == (200, b"", "POST, OPTIONS")
