"""Solving and installing with rattler; `tests/integration/environments` does it for real."""

from __future__ import annotations

import asyncio

import pytest

from mldeploy_jupyter.environments import conda


def test_work_of_rattler_can_be_cancelled() -> None:
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("yes")

    def cancel() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conda.run_cancellable(endless(), cancel)
    assert ended == ["yes"]


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("six=1.16.0=pyhd3eb1b0_1", "six==1.16.0"),
        ("six=1.16=py_0", "six==1.16"),
        ("six=1.16.0", "six==1.16.0"),
        ("numpy=1.26", "numpy==1.26.*"),
        ("numpy=1.26.*", "numpy==1.26.*"),
        ("numpy==1.26", "numpy==1.26"),
        ("conda-forge::numpy = 2", "numpy==2.*"),
        ("numpy>=1.2,<2", "numpy>=1.2,<2"),
        ("numpy >=1.2, <2", "numpy>=1.2,<2"),
        ("numpy (>=1.2)", "numpy>=1.2"),
        ("numpy ==1.26.4", "numpy==1.26.4"),
        ("numpy 1.26.* py311*", "numpy==1.26.*"),
        ("numpy 1.26", "numpy==1.26"),
        ("numpy[version='>=1.2,<2',build=py*]", "numpy>=1.2,<2"),
        ("numpy[build=py*]", "numpy"),
        ("pytorch::torchvision=*=*cpu*", "torchvision"),
        ("pytorch::pytorch>=2", "torch>=2"),
        ("numpy", "numpy"),
    ],
)
def test_a_conda_package_as_a_line_of_pip(package: str, line: str) -> None:
    assert conda.pip_spelling(package) == line


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        (
            ["numpy=1.26", "pytorch::pytorch"],
            "write what PyPI has under `pip:` in the conda file: numpy==1.26.*, torch",
        ),
        (
            ["_libgcc_mutex=0.1=main", "six=1.16.0=py_1"],
            "write what PyPI has under `pip:` in the conda file: six==1.16.0; "
            "remove the rest, which wheels on PyPI include",
        ),
        (["openssl", "libgcc-ng"], "remove openssl, libgcc-ng: wheels on PyPI include such libraries"),
        ([], "install that Python on this machine"),
    ],
)
def test_without_its_channel_a_package_may_come_from_pypi(packages: list[str], words: str) -> None:
    assert conda.describe_doing_without(packages) == words
