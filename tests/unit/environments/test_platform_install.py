from __future__ import annotations

import pytest

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments.platform_install import refuse_sources, tag_of


@pytest.mark.parametrize(
    ("platform", "glibc", "tag"),
    [
        ("linux/amd64", (2, 36), "x86_64-manylinux_2_36"),
        ("linux/amd64", (2, 30), "x86_64-manylinux_2_28"),
        ("linux/arm64", (2, 99), "aarch64-manylinux_2_40"),
        ("linux/amd64", (2, 5), "x86_64-manylinux_2_17"),
    ],
)
def test_tag_of_a_platform(platform: str, glibc: tuple[int, int], tag: str) -> None:
    assert tag_of(platform, glibc) == tag


@pytest.mark.parametrize(
    "line",
    [
        "churn @ git+https://git.example/churn.git@main",
        "churn @ https://files.example/churn-1.0.tar.gz \\",
        "churn @ https://files.example/churn.zip#sha256=00",
    ],
)
def test_sources_in_a_lock_are_refused_by_name(line: str) -> None:
    with pytest.raises(EnvironmentBuildError, match="churn has no wheel") as refused:
        refuse_sources(
            f"# mldeploy environment lock 1\n# python 3.11.2\nsix==1.17.0 \\\n    --hash=sha256:00\n{line}\n"
        )
    assert refused.value.code == "SourceOnly"


def test_wheels_of_a_lock_are_taken() -> None:
    refuse_sources(
        "# python 3.11.2\n# conda a=1=0 noarch sha256:none\nsix==1.17.0\n"
        "churn @ https://files.example/churn-1.0-py3-none-any.whl#sha256=00\n"
        "other @ https://files.example/other-1.0-py3-none-any.whl\n"
    )
