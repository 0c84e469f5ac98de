"""The packages that the scoring server needs in every environment, and those whose modules it provides itself."""

from __future__ import annotations

import sys

# Extra of a provided package -> what it brought in, which is still installed when the package is left out.
EXTRAS = {
    "numpy-support": ["numpy"],
    "pandas-support": ["pandas"],
    "all-support": ["numpy", "pandas"],
}

_EMPTY = "sklearn"
_BACKPORTS = ("enum34", "futures")  # of modules that every Python here has


def server_requirements() -> list[str]:
    """The scoring server's own requirements, which join every lock."""
    from mldeploy_jupyter.serving.requirements import REQUIREMENTS

    return list(REQUIREMENTS)


def split_provided(requirements: list[str]) -> tuple[list[str], list[str]]:
    """The requirements to install, and those to leave out, for which `explain_left_out` has the reasons.

    `sklearn`, which PyPI keeps as an empty package, is left out and scikit-learn installed.
    """
    from packaging.requirements import Requirement

    installed: list[str] = []
    dropped: list[str] = []
    for text in requirements:
        requirement = Requirement(text.split(" --hash=")[0])
        if not _reason(requirement.name, str(requirement.specifier)):
            installed.append(text)
            continue
        dropped.append(text)
        if requirement.name.lower() == _EMPTY:
            marker = f" ; {requirement.marker}" if requirement.marker else ""
            installed.append(f"scikit-learn{marker}")
        for extra in sorted(requirement.extras):
            installed += [name for name in EXTRAS.get(extra, []) if name not in installed]
    return list(dict.fromkeys(installed)), dropped


def explain_left_out(dropped: list[str]) -> list[str]:
    """A line for each reason why `split_provided` left requirements out."""
    from packaging.requirements import Requirement

    groups: dict[str, list[str]] = {}
    for text in dropped:
        requirement = Requirement(text.split(" --hash=")[0])
        groups.setdefault(_reason(requirement.name, str(requirement.specifier)), []).append(text)
    return [f"{reason}: {', '.join(texts)}" for reason, texts in groups.items()]


def _reason(name: str, versions: str) -> str:
    """Why a requirement is not installed; "" for one that is.

    A package named as a module of Python, such as a backport, is never imported: Python finds its own first. The name
    is compared as it is written: Zope's DateTime is not a module of Python.
    """
    from packaging.utils import canonicalize_name

    from mldeploy_jupyter.serving.requirements import PROVIDES

    if canonicalize_name(name) in {canonicalize_name(provided) for provided in PROVIDES}:
        return "provided by the scoring server, not installed"
    if name in sys.stdlib_module_names or name.lower() in _BACKPORTS:
        return "a part of Python, not installed"
    if name.lower() == _EMPTY:
        return "an empty package, for which scikit-learn is installed"
    if canonicalize_name(name) == "pkg-resources" and versions == "==0.0.0":
        return "an entry of Debian's pip freeze, no package"
    return ""
