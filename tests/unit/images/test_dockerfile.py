"""The Dockerfile that people get, and how their own lines are read."""

from __future__ import annotations

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.images import context_folder, dockerfile
from tests.unit.images.contents import make_content


def test_the_whole_dockerfile(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    content = make_content(
        tmp_path, models={"churn": b"weights"}, apt=["libgomp1"], steps="RUN echo own", base="python:3.11-slim"
    )
    instructions, entries = context_folder.render_context(content)
    text = dockerfile.render(instructions).replace(content.bundle.name, "BUNDLE")
    assert text == snapshot
    assert {"mldeploy/environment/uv", "mldeploy/model-1/var/azureml-app/azureml-models/churn/1/model.bin"} < set(
        entries
    )


def test_the_scripts_of_the_environment(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    content = make_content(tmp_path)
    variables = {"UV_DEFAULT_INDEX": "https://it's.example"}
    scripts = [dockerfile.create_script(content), dockerfile.install_script()]
    assert "\n".join([*scripts, dockerfile.settings_script(variables, True)]) == snapshot


def test_an_environment_over_the_packages_of_the_base_image(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    content = make_content(tmp_path, lock="# python 3.11.2\n# packages of the base image\nhttptools==0.6.4\n")
    title = dockerfile.environment_stage("base", content)[0].title
    assert f"{title}\n{dockerfile.create_script(content)}" == snapshot


def test_steps_have_their_continuation_lines_and_no_comments() -> None:
    text = "# first\nRUN one \\\n  && two\n\n# second\ncopy a b\nRUN three \\"
    assert [(step.text, step.title) for step in dockerfile.parse_steps(text)] == [
        ("RUN one \\\n  && two", "RUN one && two"),
        ("copy a b", "copy a b"),
        ("RUN three \\", "RUN three"),
    ]


def test_a_long_step_and_one_with_escapes_have_a_title_that_can_be_shown() -> None:
    (step,) = dockerfile.parse_steps("RUN \x1b[31mecho " + "x" * 500)
    assert len(step.title) < 130 and "\x1b" not in step.title


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("FROM python:3.11", ["python:3.11"]),
        ("from --platform=linux/amd64 a AS first\nFROM first\nFROM b as second", ["a", "b"]),
        ("ARG X=1\nFROM $X\nFROM scratch", []),
    ],
)
def test_the_images_that_a_dockerfile_begins_with(text: str, references: list[str]) -> None:
    assert dockerfile.base_references(dockerfile.parse_steps(text)) == references


@pytest.mark.parametrize("value", ['a "quoted" one', "$HOME", "back\\slash", "line\nbreak", "ümlaut"])
def test_labels_keep_every_character(value: str) -> None:
    (instruction,) = dockerfile.labels({"name": value})
    assert "\n" not in instruction.text
    assert not instruction.text.partition("=")[2].replace("\\$", "").count("$")


def test_a_base_dockerfile_is_the_first_stage(tmp_path: Path) -> None:
    content = make_content(tmp_path, base_dockerfile="FROM a AS one\nFROM one AS two\nRUN x\n", steps="RUN y")
    lines = [step.text for step in context_folder.render_context(content)[0]]
    assert lines[:5] == ["FROM a AS one", "FROM one AS mldeploy-base", "RUN x", "USER root", "RUN y"]


def test_a_context_is_written_twice_to_the_same_folder(tmp_path: Path) -> None:
    content = make_content(tmp_path / "project", models={"churn": b"weights"})
    for _ in range(2):
        path = context_folder.write_context(content, tmp_path / "out")
    assert path.read_text().startswith("FROM base:1 AS mldeploy-base\n")
    model = tmp_path / "out/mldeploy/model-1/var/azureml-app/azureml-models/churn/1/model.bin"
    assert (model.read_bytes(), model.stat().st_mode & 0o777) == (b"weights", 0o644)
    assert (tmp_path / "out/mldeploy/environment/uv").stat().st_mode & 0o777 == 0o755
