"""The file and line of what a failure names."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.core.errors import EnvironmentBuildError
from mldeploy_jupyter.environments.places import find_places, naming_places

PLACES = {
    "Scikit_Learn>=1.5": "conda.yml, line 4",
    "pandas==2.0.0 ; python_version > '3'": "conda.yml, line 7",
    "pandas-stubs": "conda.yml, line 8",
    "mine @ git+https://forge.invalid/team/mine.git": "conda.yml, line 9",
    "python": "conda.yml, line 3",
    "conda-forge::zlib >=1.2": "conda.yml, line 2",
}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("there is no package scikit-learn", "conda.yml, line 4"),
        ("pandas.", "conda.yml, line 7"),
        ("pandas==2.0.0 has no build", "conda.yml, line 7"),
        ("zlib, which mine needs", "conda.yml, line 9; conda.yml, line 2"),
        ("git+https://forge.invalid/team/mine.git cannot be fetched", "conda.yml, line 9"),
        ("pandas-stubs has no build for this Python", "conda.yml, line 8"),
        ("the package index cannot be reached", ""),
    ],
)
def test_places_of_the_packages_in_a_text(text: str, places: str) -> None:
    assert find_places(PLACES, text) == places


def test_the_place_of_a_python_that_is_not_there() -> None:
    with pytest.raises(EnvironmentBuildError) as caught, naming_places(PLACES):
        raise EnvironmentBuildError("no Python 3.11.8 was found", code="PythonNotFound")
    assert caught.value.where == "conda.yml, line 3"


def test_the_reason_counts_where_the_error_names_no_package() -> None:
    with pytest.raises(EnvironmentBuildError) as caught, naming_places(PLACES):
        raise EnvironmentBuildError("the requirements contradict each other", why="mine depends on pandas>3")
    assert caught.value.where == "conda.yml, line 7; conda.yml, line 9"
