"""What the scoring server provides itself, and what it needs of every environment."""

from __future__ import annotations

# The extras of the packages that are left out still bring these.
EXTRAS = {
    "numpy-support": ["numpy"],
    "pandas-support": ["pandas"],
    "all-support": ["numpy", "pandas"],
}


def server_requirements() -> list[str]:
    """The scoring server's own requirements, which join every lock."""
    from mldeploy_jupyter.serving.requirements import REQUIREMENTS

    return list(REQUIREMENTS)


def without_provided(requirements: list[str]) -> tuple[list[str], list[str]]:
    """The requirements to install, and those that the scoring server provides and that are left out."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    from mldeploy_jupyter.serving.requirements import PROVIDES

    provided = {canonicalize_name(name) for name in PROVIDES}
    kept: list[str] = []
    dropped: list[str] = []
    for text in requirements:
        requirement = Requirement(text.split(" --hash=")[0])
        if canonicalize_name(requirement.name) not in provided:
            kept.append(text)
            continue
        dropped.append(text)
        for extra in sorted(requirement.extras):
            kept += [name for name in EXTRAS.get(extra, []) if name not in kept]
    return kept, dropped
