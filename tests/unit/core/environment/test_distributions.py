"""Import names and the distributions that provide them."""

from __future__ import annotations

from importlib import metadata

import pytest

from mldeploy_jupyter.core.environment.distributions import (
    DISTRIBUTIONS,
    SAME_NAMES,
    distribution_of,
    imported_as,
    installed_distribution,
    is_system_library,
    known_distribution,
)


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("sklearn", "scikit-learn"),
        ("sklearn.linear_model", "scikit-learn"),
        ("opentelemetry.exporter", "opentelemetry-exporter-otlp-proto-http"),
        ("cv2", "opencv-python"),
        ("numpy.linalg", "numpy"),
    ],
)
def test_a_module_names_the_distribution_to_install(module: str, distribution: str) -> None:
    assert distribution_of(module) == distribution


def test_an_installed_module_has_the_version_of_its_distribution() -> None:
    assert installed_distribution("yaml") == ("PyYAML", metadata.version("PyYAML"))
    assert installed_distribution("no_such_module") == ("no_such_module", "")


def test_the_installed_distribution_wins_over_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DISTRIBUTIONS, "numpy", "another-numpy")
    assert installed_distribution("numpy") == ("numpy", metadata.version("numpy"))


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("yaml", "PyYAML"),
        ("cv2.gapi", "opencv-python"),
        ("torch.nn", "torch"),
        ("cleaning", ""),
        ("src.helper", ""),
        ("utils", ""),
        ("__builtin__", ""),
    ],
)
def test_only_a_known_distribution_is_advised(module: str, distribution: str) -> None:
    assert known_distribution(module) == distribution


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("sklearn", "scikit-learn"),
        ("PIL", "pillow"),
        ("cv2", "opencv-python"),
        ("numpy", ""),
        ("pyyaml", ""),
        ("x", ""),
    ],
)
def test_a_name_of_an_import_is_translated(name: str, distribution: str) -> None:
    assert imported_as(name) == distribution


def test_no_name_is_in_both_tables() -> None:
    assert not SAME_NAMES & set(DISTRIBUTIONS)


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        ("_libgcc_mutex", True),
        ("ca-certificates", True),
        ("libstdcxx-ng", True),
        ("OpenSSL", True),
        ("numpy", False),
        ("librosa", False),
        ("pip", False),
    ],
)
def test_libraries_of_conda_that_are_no_python_packages(package: str, expected: bool) -> None:
    assert is_system_library(package) is expected
