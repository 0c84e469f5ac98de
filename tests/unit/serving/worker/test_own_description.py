"""Documents that the author of a script put beside it."""

from __future__ import annotations

import json
from pathlib import Path

from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.worker.own_description import find_descriptions


def test_documents_are_found_by_their_versions(tmp_path: Path) -> None:
    source = tmp_path / "source" / "inner"
    source.mkdir(parents=True)
    settings = Settings(app_root=str(tmp_path), source_directory="source", entry_script="source/inner/score.py")
    assert find_descriptions(settings) == {}
    two, three = json.dumps({"swagger": "2.0"}).encode(), json.dumps({"openapi": "3.0.3"}).encode()
    (source / "swagger2.json").write_bytes(two)
    assert find_descriptions(settings) == {"2.0": two, "": two}
    (tmp_path / "source" / "swagger3.json").write_bytes(three)
    assert find_descriptions(settings) == {"2.0": two, "3.0": three, "": three}
    (tmp_path / "swagger.json").write_bytes(b"no json")
    (source / "swagger.json").write_bytes(b"[]")
    assert find_descriptions(settings) == {"2.0": two, "3.0": three, "": three}
