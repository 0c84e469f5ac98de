from __future__ import annotations

from types import SimpleNamespace

import pytest

from mldeploy_jupyter.notebook.session import Session


@pytest.fixture
def session() -> Session:
    shell = SimpleNamespace(user_ns={"model": 1, "_hidden": 2, "moon": 3}, user_ns_hidden={"moon": 3}, kernel=None)
    return Session(shell)
