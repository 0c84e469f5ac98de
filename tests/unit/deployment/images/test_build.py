"""What a build reports, and what it takes from this machine; no engine is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mldeploy_jupyter.deployment.images import build


def test_every_line_of_a_build_has_its_steps_title_and_every_layer_a_line() -> None:
    events: list[tuple[Any, ...]] = []
    steps = build.Steps(lambda stage, kind, text="", **data: events.append((kind, text, data.get("step"))))
    steps("image", "log", "before")
    steps("image", "progress", "Install 4 packages", step="1/2", fraction=0.0)
    steps("image", "log", "Resolved")
    layer = {"name": "code", "digest": "sha256:fc14dbd0ee02", "size": 543, "reused": False}
    steps("image", "progress", "code", layer=layer)
    assert events == [
        ("log", "before", None),
        ("progress", "Install 4 packages", "1/2 Install 4 packages"),
        ("log", "Resolved", "1/2 Install 4 packages"),
        ("progress", "code", None),
        ("log", "layer code  fc14dbd0  543 bytes  made", None),
    ]


def test_proxies_and_certificates_of_this_machine_reach_a_build(folder: Path) -> None:
    (folder / "ca.pem").write_text("PEM")
    environ = {"https_proxy": "http://proxy:1", "SSL_CERT_FILE": str(folder / "ca.pem"), "OTHER": "x"}
    found = build.read_build_secrets(username="me", password="secret", environ=environ)
    assert found.proxies == {"https_proxy": "http://proxy:1"} and found.ca_bundle == "PEM"
    assert (found.registry_username, found.registry_password) == ("me", "secret")
    assert "secret" not in repr(found)
