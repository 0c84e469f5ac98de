"""The definition of a Python environment as plain data: Python version, PyPI requirements, conda packages.

The package `environments` builds the environment.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field

from mldeploy_jupyter.core.errors import ConfigError
from mldeploy_jupyter.core.json_record import JsonRecord

DEFAULT_CHANNELS = ["conda-forge"]


@dataclass(frozen=True)
class EnvironmentSpec(JsonRecord):
    """A Python environment as defined by the user.

    `python`: "3.11" (any 3.11), "3.11.7" (only that), ">=3.11,<3.13", several of these with `|` between, or None: the
    version of the kernel.
    `pip` holds one requirement a string (PEP 508, optionally followed by `--hash=` options); `pip_options` are the
    options of the requirements file that steer the search (`--extra-index-url`, `--find-links`, ...), which are used
    but never written to a lock; `constraints` limit versions without requiring a package.
    `conda` holds match specs other than python and pip, searched in `channels` (default: conda-forge).
    `interpreter` is the absolute path of a Python that is used as it is; nothing is installed then.
    `base_packages`: in an image, the Python and the packages are those of its base, and only what the scoring server
    needs is added. `places` says where a requirement, a match spec or "python" was written, such as "conda.yml, line
    7"; it counts neither for the digest nor for equality.
    """

    name: str = ""
    version: str | None = None
    python: str | None = None
    pip: list[str] = field(default_factory=list)
    pip_options: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    conda: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    environment_variables: dict[str, str] = field(default_factory=dict)
    interpreter: str | None = None
    base_packages: bool = False
    places: dict[str, str] = field(default_factory=dict, compare=False)

    def digest(self) -> str:
        """The SHA-256 of everything that decides which packages are installed; name and variables do not count."""
        data: dict[str, object] = {
            "python": self.python,
            "pip": sorted(set(self.pip)),
            "pip_options": self.pip_options,
            "constraints": sorted(set(self.constraints)),
            "conda": sorted(set(self.conda)),
            "channels": self.channels if self.conda or self.python else [],
            "interpreter": self.interpreter,
        }
        if self.base_packages:  # left out otherwise, so that known digests stay
            data["base_packages"] = True
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def parse_python(text: str, where: str = "") -> str:
    """A Python version in the spelling of `EnvironmentSpec.python`. Takes conda's forms, too: `=3.11`, `3.11.*`, `a|b`.

    Raises `ConfigError`, with `where` in it, for anything but a version, a range or several of them.
    """
    from packaging.specifiers import InvalidSpecifier

    asked = text.strip()
    try:
        return "|".join(_parse_version_or_range(part.strip()) for part in asked.split("|"))
    except InvalidSpecifier:
        raise ConfigError(
            f"the Python version {asked!r} is not understood",
            why='a version is "3.11", "3.11.7" or a range such as ">=3.11,<3.13"',
            hint="write python=3.11 in the conda file, or set_python_version('3.11')",
            where=where,
        ) from None


def _parse_version_or_range(text: str) -> str:
    from packaging.specifiers import SpecifierSet

    plain = text.lstrip("= ").split("=")[0].strip() if not re.search(r"[<>!~,]", text) else text
    plain = plain.removesuffix(".*")
    if re.fullmatch(r"\d+(\.\d+){0,2}", plain):
        return plain
    clauses = [re.sub(r"^([<>]=?.*?)\.\*$", r"\1", clause) for clause in plain.replace(" ", "").split(",")]
    # What has no comparison in a list, or one =, admits every version that begins so.
    clauses = [re.sub(r"^=?(\d[\d.]*?)(\.\*)?$", r"==\1.*", clause) for clause in clauses]
    return str(SpecifierSet(",".join(clauses)))


def python_alternatives(python: str) -> list[str]:
    """The versions and ranges of `EnvironmentSpec.python`, any of which will do."""
    return python.split("|")


def python_accepts(python: str | None, version: str) -> bool:
    """Whether the full version `version` ("3.11.7") satisfies `python`, as in `EnvironmentSpec`."""
    from packaging.specifiers import SpecifierSet

    if python is None:
        return True
    for asked in python_alternatives(python):
        wanted = asked.split(".")
        plain = re.fullmatch(r"\d+(\.\d+)*", asked)
        if version.split(".")[: len(wanted)] == wanted if plain else SpecifierSet(asked).contains(version, True):
            return True
    return False
