"""Every option that names a file of JSON, YAML or text answers with three lines, whatever the file holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import MldeployError
from tests.unit.commands.support import make_context, run_line

CONTENTS: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "null": b"null",
    "number": b"3",
    "string": b'"word"',
    "list": b'[{"runId": 1}]',
    "wrong_values": b'{"runId": 3, "modelId": ["a"], "computeType": 4, "entryScript": [], "dependencies": 3}',
    "garbage": b"{{{ ][ : \t- *",
    "binary": bytes(range(256)) * 8,
    "nul": b"\0" * 100,
    "utf16": '{"nothing": "known"}'.encode("utf-16"),
    "torn_utf16": '{"nothing": "known"}'.encode("utf-16")[:-1],
    "deep": b"[" * 100_000,
    "deep_object": b'{"a":' * 100_000,
    "no_date": b"a: 2026-02-31",
    "long_number": b'{"a": ' + b"9" * 10_000 + b"}",
    "large": b" " * 1_100_000,
}

OPTIONS = {
    "model register x --asset-path m --run-metadata-file {}": "json",
    "model deploy svc --entry-script score.py --model-metadata-file {}": "json",
    "model deploy svc --entry-script score.py --dc {}": "json yml",
    "model deploy svc --ic {}": "json yml",
    "model deploy svc --entry-script score.py --conda-file {}": "yml",
    "script check score.py --conda-file {}": "yml",
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize(("line", "suffix"), [(line, s) for line, kinds in OPTIONS.items() for s in kinds.split()])
def test_a_file_that_cannot_be_used_is_an_error_of_three_lines(
    folder: Path, line: str, suffix: str, content: str
) -> None:
    (folder / "score.py").write_text("def init(): pass\ndef run(data): return data\n")
    file = folder / f"file.{suffix}"
    if (data := CONTENTS[content]) is not None:
        file.write_bytes(data)
    if "conda" in line and content in ("empty", "null", "large"):
        return  # an environment without a package
    _refused(line.format(file))


@pytest.mark.parametrize("line", [*OPTIONS, "model deploy svc --entry-script score.py --requirements {}",
                                  "model deploy svc --entry-script {}", "script check {}",
                                  "model deploy svc --entry-script score.py --environment-directory {}"])  # fmt: skip
@pytest.mark.parametrize("name", ["folder.json", "folder.yml", "folder.py", "no/such.json"])
def test_a_folder_is_no_file(folder: Path, line: str, name: str) -> None:
    (folder / "score.py").write_text("def init(): pass\ndef run(data): return data\n")
    if not name.startswith("no/"):
        (folder / name).mkdir()
    _refused(line.format(name))


@pytest.mark.parametrize("content", [name for name in CONTENTS if name not in ("empty", "null", "large")])
@pytest.mark.parametrize(
    "line", ["model deploy svc --entry-script {}", "script check {}", "model deploy svc -s . --entry-script {}"]
)
def test_a_script_that_is_no_script_is_an_error_of_three_lines(folder: Path, line: str, content: str) -> None:
    if (data := CONTENTS[content]) is not None:
        (folder / "file.py").write_bytes(data)
    _refused(line.format("file.py"))


@pytest.mark.parametrize("content", CONTENTS)
def test_the_definition_of_an_environment(folder: Path, content: str) -> None:
    (folder / "score.py").write_text("def init(): pass\ndef run(data): return data\n")
    (folder / "env").mkdir()
    if (data := CONTENTS[content]) is not None:
        (folder / "env" / "azureml_environment.json").write_bytes(data)
    _refused("model deploy svc --entry-script score.py --environment-directory env")


def test_files_that_powershell_writes_are_read(folder: Path) -> None:
    (folder / "run.json").write_bytes('{"runId": "r1"}'.encode("utf-16"))
    with pytest.raises(MldeployError, match="r1"):  # there is no such run
        run_line("model register x --asset-path m --run-metadata-file run.json")
    (folder / "model.json").write_bytes('{"modelId": "churn:7"}'.encode("utf-16"))
    (folder / "score.py").write_text("def init(): pass\ndef run(data): return data\n")
    with pytest.raises(MldeployError, match="churn"):
        run_line("model deploy svc --entry-script score.py --model-metadata-file model.json")


def _refused(line: str) -> None:
    with pytest.raises(MldeployError) as caught:
        run_line(line, make_context())
    text = str(caught.value)
    assert text.startswith("error: ") and "\ncause: " in text and "\nhint: " in text, text
