"""Says where the package that a failure names was asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mldeploy_jupyter.core.environment.match_spec import package_name
from mldeploy_jupyter.core.errors import EnvironmentBuildError

_SHOWN = 3  # places, at most, of one failure


@contextmanager
def naming_places(places: Mapping[str, str]) -> Iterator[None]:
    """Adds the file and line to an `EnvironmentBuildError` about a package. `places` are those of the spec."""
    try:
        yield
    except EnvironmentBuildError as error:
        if error.code == "PythonNotFound":
            error.where = places.get("python", "")
        elif not error.where:
            error.where = find_places(places, error.what) or find_places(places, error.why)
        raise


def find_places(places: Mapping[str, str], text: str) -> str:
    """The places of the packages whose names occur in `text`, such as "conda.yml, line 7"; "" for none."""
    plain, text = text, _normal(text)
    found = []
    for requirement, place in places.items():
        if requirement == "python":  # many a text about a package has the word
            continue
        address = requirement.partition(" @ ")[2].partition(" ;")[0]
        if address and address in plain:
            found.append(place)
            continue
        name = re.escape(_normal(package_name(requirement.partition(";")[0].partition("@")[0])))
        if name and re.search(rf"(?<![\w.-]){name}(?![\w-])", text):
            found.append(place)
    return "; ".join(list(dict.fromkeys(found))[:_SHOWN])


def _normal(text: str) -> str:
    """`text` with the names of packages as PyPI compares them."""
    return re.sub(r"(?<=\w)[-_.]+(?=\w)", "-", text).lower()
