"""The packages that the scoring server needs in every environment, and those whose modules it provides itself."""

from __future__ import annotations

# Extra of a provided package -> what it brought in, which is still installed when the package is left out.
EXTRAS = {
    "numpy-support": ["numpy"],
    "pandas-support": ["pandas"],
    "all-support": ["numpy", "pandas"],
}


def server_requirements() -> list[str]:
    """The scoring server's own requirements, which join every lock."""
    from mldeploy_jupyter.serving.requirements import REQUIREMENTS

    return list(REQUIREMENTS)


def split_provided(requirements: list[str]) -> tuple[list[str], list[str]]:
    """The requirements to install, and those to leave out because the scoring server provides their modules."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    from mldeploy_jupyter.serving.requirements import PROVIDES

    provided = {canonicalize_name(name) for name in PROVIDES}
    installed: list[str] = []
    dropped: list[str] = []
    for text in requirements:
        requirement = Requirement(text.split(" --hash=")[0])
        if canonicalize_name(requirement.name) not in provided:
            installed.append(text)
            continue
        dropped.append(text)
        for extra in sorted(requirement.extras):
            installed += [name for name in EXTRAS.get(extra, []) if name not in installed]
    return installed, dropped
