"""A service "already serves exactly this" only if nothing that it imports, reads or finds would be different."""

from __future__ import annotations

import pytest

from mldeploy_jupyter import InferenceConfig, LocalWebservice
from mldeploy_jupyter.api.webservices.deploy_arguments import is_unchanged, make_request
from tests.integration.deployment.conftest import Site, live, update

SCRIPT = """
import os, sys

sys.path.append({lib!r})
import tool

def init(): pass

def run(data):
    return [tool.VALUE, os.environ.get("RATE")]
"""


def unchanged(site: Site) -> bool:
    inference = InferenceConfig(entry_script=str(site.folder / "score.py"))
    config = LocalWebservice.deploy_configuration().config
    return is_unchanged(site.ws, make_request(site.ws, "svc", [], inference, config))


def test_changes_outside_of_the_bundle_count(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lib = site.folder / "lib"
    lib.mkdir()
    site.write("VALUE = 1\n", "lib/tool.py")
    site.write(SCRIPT.format(lib=str(lib)))
    monkeypatch.setenv("RATE", "first")
    service = live(site)
    assert service.run("") == [1, "first"]
    assert unchanged(site)
    monkeypatch.setenv("JPY_SESSION_NAME", "another.ipynb")  # a variable that no script depends on
    assert unchanged(site)

    site.write("VALUE = 2\n", "lib/tool.py")
    assert not unchanged(site)
    update(site, service, wait=True)
    assert service.run("") == [2, "first"]
    assert unchanged(site)

    monkeypatch.setenv("RATE", "second")
    assert not unchanged(site)
    update(site, service, wait=True)
    assert service.run("") == [2, "second"]
    assert unchanged(site)
    assert "second" not in (site.ws.folder.services / "svc/live.json").read_text()

    service.restart()  # the worker that replaces another inherits the same
    assert service.run("") == [2, "second"]
