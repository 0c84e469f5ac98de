"""A service in a container by clicks, with a real Docker engine: deployed, tested, updated, rolled back, deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.conftest import SCRIPT
from tests.browser.lab import Lab
from tests.browser.notebook import Notebook
from tests.engines.docker import RunningEngine
from tests.integration.notebook.conftest import end_services
from tests.polling import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.engines]

SECONDS = 240.0  # the first image of a machine has everything to build

# Its own, so that its code is a layer that no other test has made.
SCRIPT_3 = SCRIPT.format(gate="") + f"\n# {time.time_ns()}\n"
SCRIPT_4 = SCRIPT_3.replace("* 3", "* 4")

Make = Callable[..., Notebook]


@pytest.fixture(scope="module")
def lab(
    browser: Any, docker_engine: RunningEngine, base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """A JupyterLab that knows the engine and the base image of the tests, which the engine has."""
    client = docker_engine.client()
    client.images.pull(base_image)  # as a step of the build it has twenty lines, below which its last steps are hidden
    client.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLDEPLOY_BASE_IMAGE", base_image)
        lab = Lab(tmp_path_factory.mktemp("containers"))
    try:
        yield lab
    finally:
        lab.close()
        end_services(lab.folder)


def send(panel: Any, value: int, answer: int) -> None:
    """Sends a request with the tab Test, and waits for its answer: that of an earlier one may still be there."""
    panel.get_by_role("tab", name="Test").click()
    panel.get_by_label("Request body as JSON").fill(f'{{"value": {value}}}')
    panel.get_by_role("button", name="Send request").click()
    said = f'"answer":{answer}'
    wait_until(lambda: said in panel.inner_text().replace(" ", ""), 60, panel.inner_text)


def left_in(engine: RunningEngine, service: str) -> list[str]:
    """What the engine has of a service: containers, volumes and names of images."""
    client = engine.client()
    try:
        label = {"label": f"io.mldeploy.service={service}"}
        found = [one.name for one in client.containers.list(all=True, filters=label)]
        found += [one.name for one in client.volumes.list(filters=label)]
        return found + [tag for one in client.images.list() for tag in one.tags if f"/{service}:" in tag]
    finally:
        client.close()


def test_a_service_in_a_container_by_clicks(notebook: Make, docker_engine: RunningEngine) -> None:
    made = notebook(SCRIPT_3, "%deploy boxed --to docker", SCRIPT_4, "%update boxed")
    made.run(1)
    made.run(2)
    panel = made.panel(2)
    made.wait_for_state(panel, "live", seconds=SECONDS)
    wait_until(lambda: "Docker" in panel.locator(".mld-Head-meta").inner_text())

    # The build has its steps in the log, each with its duration.
    panel.get_by_role("button", name="Deployed in").click()
    panel.locator(".mld-Stage-name").filter(has_text="Build image").click()
    steps = panel.locator(".mld-Log-step")
    steps.filter(has_text="Code (").wait_for()
    wait_until(lambda: all(text.strip().endswith("s") for text in steps.all_inner_texts()))
    panel.get_by_role("button", name="Deployed in").click()
    send(panel, 5, answer=15)

    made.run(3)
    made.run(4)
    panel = made.panel(4)
    made.wait_for_state(panel, "live", seconds=SECONDS)
    wait_until(lambda: "Revision 2" in panel.inner_text() or "Revision\n2" in panel.inner_text(), 60, panel.inner_text)
    send(panel, 5, answer=20)
    panel.get_by_role("tab", name="History").click()
    panel.get_by_role("button", name="Receipt").first.click()
    receipt = panel.get_by_label("Receipt of revision 2")
    wait_until(lambda: "boxed:1" in receipt.inner_text() and "put into the container" in receipt.inner_text())

    panel.get_by_role("button", name="Roll back", exact=True).click()
    question = panel.get_by_role("group", name="Roll back to revision 1")
    question.get_by_role("button", name="Roll back to 1").click()
    wait_until(lambda: "Serving, revision 1 again" in panel.inner_text(), 120, panel.inner_text)
    made.wait_for_state(panel, "live")
    send(panel, 5, answer=15)

    assert left_in(docker_engine, "boxed")
    panel.get_by_role("button", name="More actions").click()
    panel.get_by_role("menuitem", name="Delete…").click()
    panel.get_by_role("group", name="Delete the service").get_by_role("textbox").fill("boxed")
    panel.get_by_role("button", name="Delete service").click()
    made.wait_for_state(panel, "deleted")
    assert left_in(docker_engine, "boxed") == []
