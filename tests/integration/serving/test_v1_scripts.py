"""Entry scripts of v1, one of each kind, loaded and asked in this process as a worker does it."""

from __future__ import annotations

import asyncio
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.serving.azureml import import_hook
from mldeploy_jupyter.serving.scoring.flask_scorer import make_scorer
from mldeploy_jupyter.serving.scoring.messages import Request, Response
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from mldeploy_jupyter.serving.scoring.script import load_script
from mldeploy_jupyter.serving.settings import Settings
from tests.integration.serving.v1_scripts import models, plain, raw, schemas
from tests.integration.serving.v1_scripts.case import Ask, Case

# Of the scripts' own: many leave files open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CASES = (*models.CASES, *schemas.CASES, *raw.CASES, *plain.CASES)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every model."""
    folder = tmp_path_factory.mktemp("models")
    for name, make in models.MODELS.items():
        make(folder / name)
    return folder


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a script changes in its process, and a worker's has for itself."""
    finders, folders, known = list(sys.meta_path), list(sys.path), set(sys.modules)
    monkeypatch.chdir(tmp_path)
    import_hook.install()
    yield
    sys.meta_path[:], sys.path[:] = finders, folders
    for name in set(sys.modules) - known:
        if _is_the_scripts(sys.modules[name], str(tmp_path)):
            del sys.modules[name]


def _is_the_scripts(module: Any, folder: str) -> bool:
    name = str(getattr(module, "__name__", "")).partition(".")[0]
    return name in ("azureml", "azureml_inference_server_http", "inference_schema") or str(
        getattr(module, "__file__", "")
    ).startswith(folder)


def write(case: Case, made: Path, root: Path) -> None:
    """The folder of a service with the script and its models."""
    (root / "score.py").write_text(textwrap.dedent(case.script))
    for name, text in case.files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name in case.models:
        version = root / "azureml-models" / name / "1"
        version.mkdir(parents=True)
        (version / name).symlink_to(made / name)


def ask(scorer: Scorer, given: Ask) -> Response:
    body = given.body if isinstance(given.body, bytes) else _text(given.body).encode()
    headers = {"host": "localhost", "content-type": "application/json", **given.headers}
    request = Request(given.method, headers, body, given.query)
    if scorer.script.is_async:
        return asyncio.run(scorer.score_async(request))
    return scorer.score(request)


def _text(body: Any) -> str:
    return body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))


@pytest.mark.parametrize("case", CASES, ids=[case.kind for case in CASES])
@pytest.mark.usefixtures("process")
def test_a_script_of_v1(case: Case, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(case, made, tmp_path)
    one = f"{case.models[0]}/1" if len(case.models) == 1 else ""
    variables = {
        "AML_APP_ROOT": str(tmp_path),
        "AZUREML_ENTRY_SCRIPT": "score.py",
        "AZUREML_MODEL_DIR": str(tmp_path / "azureml-models" / one) if case.models else "",
        **case.variables,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = Settings(app_root=str(tmp_path), entry_script="score.py")
    if case.refused:
        with pytest.raises(Exception) as caught:
            load_script(settings)
        assert case.refused in str(caught.value)
        return
    script = load_script(settings)
    script.init()
    scorer = make_scorer(script)
    assert case.asks
    for given in case.asks:
        response = ask(scorer, given)
        assert response.status == given.status, response.body
        if isinstance(given.answer, bytes):
            assert response.body == given.answer
        elif given.answer is not None:
            assert json.loads(response.body) == given.answer
        sent = {name.decode(): value.decode("latin-1") for name, value in response.headers}
        assert given.answer_headers.items() <= sent.items()


def test_the_kinds_are_told_apart() -> None:
    kinds = [case.kind for case in CASES]
    assert len(kinds) == len(set(kinds)) >= 90
