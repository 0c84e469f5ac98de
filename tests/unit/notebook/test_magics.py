"""The table of magics."""

from __future__ import annotations

from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.notebook.magics import magics
from mldeploy_jupyter.notebook.session import Session


def test_every_magic_has_help_with_an_example(session: Session, snapshot: SnapshotAssertion) -> None:
    for magic in magics(session):
        assert magic.doc.startswith(f"usage: %{'%' if magic.kind == 'cell' else ''}{magic.name}")
        assert "Example:" in magic.doc
    assert {magic.name: magic.doc for magic in magics(session) if magic.name in ("entry_script", "score")} == snapshot
