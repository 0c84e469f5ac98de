"""Tokens instead of keys, from the API and the command line, over a real service."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
import requests

from mldeploy_jupyter import LocalWebservice, Webservice
from mldeploy_jupyter.commands import Context, run
from mldeploy_jupyter.core.configs import ConfigViolations
from mldeploy_jupyter.core.errors import ScoringError, WebserviceException
from tests.polling import wait_until

from .conftest import Site, ready

ROWS = """
from inference_schema.schema_decorators import input_schema
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType

def init():
    pass

@input_schema("data", StandardPythonParameterType([1.5]))
def run(data):
    return [2 * value for value in data]
"""


def live(site: Site, **config: object) -> Webservice:
    service = site.deploy(**config)
    service.wait_for_deployment(timeout_sec=240)
    return service


def status(service: Webservice, credential: str) -> int:
    headers = {"Authorization": f"Bearer {credential}"}
    return requests.post(service.scoring_uri, json={}, headers=headers, timeout=60).status_code


def test_a_service_with_tokens(site: Site) -> None:
    service = live(site, token_auth_enabled=True)
    assert (service.auth_enabled, service.token_auth_enabled) == (False, True)
    assert service.run({})["answer"] == 1  # it gets its token itself
    token, refresh_after = service.get_token()
    full = service.get_access_token()
    assert status(service, token) == status(service, full.access_token) == 200
    assert full.token_type == "Bearer" and full.access_token not in repr(full)
    assert timedelta(minutes=44) < refresh_after - datetime.now() <= timedelta(minutes=45)
    assert timedelta(minutes=59) < full.expiry_on - datetime.now() <= timedelta(minutes=60)
    with pytest.raises(WebserviceException, match="no keys in use") as error:
        service.get_keys()
    assert "get_access_token" in error.value.hint
    data = service.serialize()
    assert (data["authEnabled"], data["tokenAuthEnabled"]) == (False, True)
    assert token not in json.dumps(data) + service.get_logs() + service.journal.read_text()

    service.regen_key("Token")
    assert status(service, token) == 401
    assert service.run({})["answer"] == 1  # asked for a new one after the 401
    assert status(service, service.get_token()[0]) == 200


def test_an_update_goes_from_keys_to_tokens_and_back(site: Site) -> None:
    service = live(site, auth_enabled=True)
    key = service.get_keys()[0]
    with pytest.raises(WebserviceException, match="issues no tokens"):
        service.get_access_token()
    service.update(token_auth_enabled=True, wait=True)
    assert (service.auth_enabled, service.token_auth_enabled) == (False, True)
    assert status(service, key) == 401 and service.run({})["answer"] == 1
    service.update(auth_enabled=True, wait=True)
    assert (service.auth_enabled, service.token_auth_enabled) == (True, False)
    assert status(service, key) == 200 and service.run({})["answer"] == 1
    with pytest.raises(ConfigViolations, match="token_auth_enabled"):
        service.update(auth_enabled=True, token_auth_enabled=True)
    with pytest.raises(ConfigViolations):
        LocalWebservice.deploy_configuration(auth_enabled=True, token_auth_enabled=True)
    service.update(auth_enabled=False, wait=True)
    with pytest.raises(WebserviceException, match="issues no tokens"):
        service.get_token()


def test_a_service_of_an_earlier_version_gets_its_secret_at_the_update(site: Site) -> None:
    service = live(site)
    path = site.folder / ".mldeploy/services/svc/keys.json"
    keys = json.loads(path.read_text())
    del keys["tokenSecret"]
    path.write_text(json.dumps(keys))
    service.restart()
    service.update(token_auth_enabled=True, wait=True)
    assert service.run({})["answer"] == 1


def test_the_command_prints_a_token(site: Site) -> None:
    service = live(site, auth_enabled=True)
    context = Context(open_workspace=lambda *_, **__: site.ws)
    run(["service", "update", "svc", "--token-auth-enabled", "--wait"], context=context)
    assert service.token_auth_enabled
    result = run(["service", "get-access-token", "svc"], context=context)
    assert status(service, result.data["accessToken"]) == 200
    assert result.data["accessToken"] in result.text and result.data["tokenType"] == "Bearer"
    assert datetime.fromisoformat(result.data["expiryOn"]).utcoffset() is not None
    run(["service", "regen-key", "svc", "-k", "token"], context=context)
    assert status(service, result.data["accessToken"]) == 401


def test_settings_of_a_running_service_are_changed_and_shown(site: Site) -> None:
    site.write(ROWS)
    service = live(site, worker_count=1)
    assert service.serialize()["settings"]["max_batch_size"] == 0
    service.update(
        max_batch_size=64, max_requests_per_worker=1000, memory_gb_limit=1.5, max_queue_length=7, tracing="console",
        max_request_wait_time=900, wait=True,
    )  # fmt: skip
    shown = service.serialize()["settings"]
    assert (shown["max_batch_size"], shown["memory_gb_limit"], shown["tracing"]) == (64, 1.5, "console")
    told = json.loads((site.folder / ".mldeploy/services/svc/live.json").read_text())["settings"]
    names = ("max_batch_size", "max_requests", "memory_limit_mb", "max_queue", "tracing", "max_queue_wait_ms")
    assert [told[name] for name in names] == [64, 1000, 1500, 7, "console", 900]
    service.update(tracing="off", memory_gb_limit=0, wait=True)
    told = json.loads((site.folder / ".mldeploy/services/svc/live.json").read_text())["settings"]
    assert (told["tracing"], told["max_batch_size"], told["memory_limit_mb"]) == ("", 64, 0)
    assert not {"primary_key", "environment_variables"} & set(shown)


def test_a_request_whose_worker_went_over_its_limit_says_so(site: Site) -> None:
    """Fault 11 under load, our own limit: the figures and a limit that would do."""
    site.write(
        "import json\nheld = []\ndef init():\n    pass\ndef run(data):\n"
        "    for _ in range(json.loads(data)['mb'] // 10):\n        held.append(bytearray(b'x') * 10_000_000)\n"
        "    while held:\n        pass\n    return 1\n"
    )
    service = live(site, memory_gb_limit=0.25)
    with pytest.raises(ScoringError) as error:
        service.run({"mb": 400})
    assert error.value.why.startswith("the service went over its memory limit in run(): a worker used ")
    assert "memory_gb_limit allows 250.0 MB" in error.value.why
    assert "set memory_gb_limit=0." in error.value.hint and "update svc again" in error.value.hint
    wait_until(lambda: ready(service), what=service.get_logs)
    assert service.run({"mb": 0}) == 1
    assert "its limit is 250 MB" in service.get_logs()
