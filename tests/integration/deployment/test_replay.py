"""The last request that the live revision answered is scored by the new one before it gets traffic."""

from __future__ import annotations

import pytest

from mldeploy_jupyter import Webservice
from mldeploy_jupyter.core.errors import DeploymentFailed
from mldeploy_jupyter.core.journal.journal import read_events
from tests.files import files_with

from .conftest import Site, live

ECHO = "def init():\n    pass\n\ndef run(data):\n    return data\n"
DIVIDES = "def init():\n    pass\n\ndef run(data):\n    return 6 / int(data)\n"


def said(service: Webservice) -> list[str]:
    return [event.text for event in read_events(service.journal) if "request" in event.text]


def test_new_code_that_fails_on_the_last_request_gets_no_traffic(site: Site) -> None:
    site.write(ECHO)
    service = live(site)
    assert service.run("0") == "0"
    site.write(DIVIDES)
    with pytest.raises(DeploymentFailed) as refused:
        service.reload(wait=True, replay=True)
    error = refused.value
    assert (error.what, error.why) == (
        "run() raised ZeroDivisionError for the last request",
        "ZeroDivisionError: division by zero",
    )
    assert error.where == "score.py line 5" and "--replay" in error.hint
    assert getattr(error.cause, "code", "") == "replay-failed"
    assert service.run("3") == "3"  # the old revision serves
    service.reload(wait=True, replay=True)
    assert service.run("3") == 2.0
    assert any(text.startswith("the last request was answered with 200") for text in said(service))


@pytest.mark.parametrize("kept", [True, False])
def test_without_a_kept_request_nothing_is_scored_and_it_is_said(site: Site, kept: bool) -> None:
    site.write(ECHO)
    service = live(site, keep_last_request=kept)
    if not kept:
        assert service.run("0") == "0"
    site.write(DIVIDES)
    service.reload(wait=True, replay=True)
    assert said(service) == ["no request to score: the live revision has kept none"]


def test_a_request_is_written_nowhere(site: Site) -> None:
    site.write(ECHO)
    service = live(site)
    assert service.run("a-secret-of-a-client") == "a-secret-of-a-client"
    site.write(ECHO + "# changed\n")
    service.reload(wait=True, replay=True)
    assert files_with("a-secret-of-a-client", site.folder) == []
