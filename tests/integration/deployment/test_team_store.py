"""A workspace on PostgreSQL and shared artifacts, seen from two machines (the second one is played by a name)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter import InferenceConfig, LocalWebservice, Model, Webservice, Workspace
from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import DeploymentCancelled, WebserviceException

from .conftest import SCRIPT

pytestmark = pytest.mark.postgres


@pytest.fixture
def here(tmp_path: Path, postgres_url: str) -> Iterator[Workspace]:
    (tmp_path / "here").mkdir()
    ws = Workspace.create(
        path=tmp_path / "here", name="team", store=postgres_url, artifacts=f"file://{tmp_path}/shared"
    )
    (tmp_path / "here/score.py").write_text(SCRIPT.format(answer=1))
    yield ws
    for service in Webservice.list(ws):
        service.delete()


def there(tmp_path: Path, postgres_url: str) -> Workspace:
    (tmp_path / "there").mkdir()
    return Workspace.create(
        path=tmp_path / "there", name="team", store=postgres_url, artifacts=f"file://{tmp_path}/shared"
    )


def deploy(ws: Workspace, script: Path) -> Webservice:
    return Model.deploy(
        ws, "svc", [], InferenceConfig(entry_script=str(script)), LocalWebservice.deploy_configuration(), overwrite=True
    )


def test_a_teammate_sees_the_service_and_cannot_break_it(
    here: Workspace,
    tmp_path: Path,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tmp_path / "m.txt"
    model.write_text("weights")
    registered = Model.register(here, str(model), "m")
    service = deploy(here, tmp_path / "here/score.py")
    service.wait_for_deployment(timeout_sec=240)

    other = there(tmp_path, postgres_url)
    assert Model(other, "m").version == registered.version == 1
    assert Path(Model(other, "m").download(str(tmp_path / "got"))).read_text() == "weights"
    name = socket.gethostname()
    monkeypatch.setattr(process_identity, "host_name", lambda: "teammate")
    seen = Webservice(other, "svc")
    assert (seen.state, seen.revision) == ("Healthy", 1)
    for refused in (seen.delete, seen.stop, seen.get_logs, seen.get_keys, lambda: seen.run({}), lambda: seen.reload()):
        with pytest.raises(WebserviceException, match=f"svc runs on the machine {name}"):
            refused()
    monkeypatch.undo()
    with pytest.raises(WebserviceException, match="svc runs in another workspace folder"):
        Webservice(other, "svc").delete()
    assert service.run({})["answer"] == 1


def test_a_teammate_can_cancel_a_deployment(
    here: Workspace,
    tmp_path: Path,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = tmp_path / "here/score.py"
    deploy(here, script).wait_for_deployment(timeout_sec=240)
    script.write_text("import time\n\ndef init():\n    time.sleep(600)\n\ndef run(data):\n    return 1\n")
    service = Webservice(here, "svc")
    service.reload()
    monkeypatch.setattr(process_identity, "host_name", lambda: "teammate")
    assert Webservice(there(tmp_path, postgres_url), "svc").cancel() is True
    monkeypatch.undo()
    with pytest.raises(DeploymentCancelled):  # at the next renewal of the lease, a quarter of LEASE_SECONDS later
        service.wait_for_deployment(timeout_sec=240)
    assert service.run({})["answer"] == 1
