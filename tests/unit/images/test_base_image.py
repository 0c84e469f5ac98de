"""A base image is pinned by the digest that its own repository has, and refused by what it lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.docker_engine import EngineError
from mldeploy_jupyter.images import receipt
from mldeploy_jupyter.images.base_image import BaseImage, _digest_of, check, own_python
from tests.unit.images.contents import make_content

KNOWN = ["registry.example:5000/team/base@sha256:aa", "python@sha256:bb", "docker.io/library/debian@sha256:cc"]

GOOD = BaseImage("base:1", "sha256:1", "", "linux/amd64", libc="glibc 2.36", pythons=["3.11.2"], installers=["apt-get"])


@pytest.mark.parametrize(
    ("reference", "digest"),
    [
        ("registry.example:5000/team/base:1", "sha256:aa"),
        ("registry.example:5000/team/base", "sha256:aa"),
        ("python:3.11-slim", "sha256:bb"),
        ("docker.io/library/python:3.11", "sha256:bb"),
        ("debian", "sha256:cc"),
        ("other:1", ""),
        ("registry.example:5000/team/base@sha256:dd", "sha256:dd"),
    ],
)
def test_the_digest_is_that_of_the_same_repository(reference: str, digest: str) -> None:
    assert _digest_of(reference, KNOWN) == digest


@pytest.mark.parametrize(
    ("reference", "digest", "pinned"),
    [
        ("registry.example:5000/base:1", "sha256:aa", "registry.example:5000/base@sha256:aa"),
        ("python", "sha256:aa", "python@sha256:aa"),
        ("python:3.11", "", "sha256:1"),
    ],
)
def test_a_pinned_reference_cannot_move(reference: str, digest: str, pinned: str) -> None:
    assert BaseImage(reference, "sha256:1", digest, "linux/amd64").pinned == pinned


def test_any_patch_version_of_the_python_fits() -> None:
    assert GOOD.find_python("3.11.7") in GOOD.pythons and GOOD.find_python("3.12.0") == ""


@pytest.mark.parametrize(
    ("lock", "locked", "found"),
    [("", "3.11.99", GOOD.pythons[0]), ("", "3.12.1", "3.12.1"), ("# conda python=3.11.99\n", "3.11.99", "3.11.99")],
)
def test_the_receipt_names_the_python_that_the_image_has(tmp_path: Path, lock: str, locked: str, found: str) -> None:
    content = make_content(tmp_path, lock=lock, python=locked)
    made = receipt.make(content, [], builder="oci", base=GOOD, image="sha256:1")
    assert made["python"] == found


def test_the_own_python_of_a_base_is_the_first_on_its_path() -> None:
    assert own_python(replace(GOOD, pythons=["3.12.1", "3.11.2"])) == "3.12.1"


@pytest.mark.parametrize(("pythons", "why"), [([], "no Python"), (["3.9.2", "3.11.2"], "its own Python is 3.9.2")])
def test_a_base_whose_python_cannot_run_the_server_is_refused(pythons: list[str], why: str) -> None:
    with pytest.raises(ImageError, match="user_managed_dependencies") as refused:
        own_python(replace(GOOD, pythons=pythons))
    assert why in refused.value.why and "3.11" in refused.value.hint


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"libc": "musl"}, "base-musl"),
        ({"libc": ""}, "base-no-libc"),
        ({"libc": "ldd (GNU libc) 2.12"}, "base-old-libc"),
        ({"installers": ["dnf"]}, "base-no-apt"),
    ],
)
def test_what_a_base_lacks_has_a_code(change: dict[str, object], code: str) -> None:
    with pytest.raises(EngineError) as caught:
        check(replace(GOOD, **change), apt=["libgomp1"])  # type: ignore[arg-type]
    assert caught.value.failure["code"] == code


def test_a_base_that_fits_passes() -> None:
    check(GOOD, apt=["libgomp1"])
    check(replace(GOOD, libc="ldd (Debian GLIBC 2.36-9+deb12u10) 2.36", installers=[]), apt=[])
