"""The Dockerfiles of an image: one step after another, each with the title that people see.

A build with the engine makes one image a step, so that what did not change is neither sent nor made again; a build
context on disk has all of them in one file. Both have the same instructions.

What a build needs from the machine (proxies, index, certificates) is in `settings.sh`, which is read in a stage
that is discarded: the image gets the finished environment from it, and no layer and no history has the settings.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from mldeploy_jupyter.core.text import format_size, one_line
from mldeploy_jupyter.images.context import (
    APP,
    ENTRYPOINT,
    GID,
    HEALTH_TIMES,
    HEALTHCHECK,
    PORT,
    PYTHON,
    PYTHONS,
    SERVER,
    STATE,
    STATE_MODE,
    UID,
    VENV,
    ContentLayer,
    ImageContent,
    runtime_variables,
)

TOOLS = "/tmp/mldeploy"  # in the discarded stage: uv, the lock, the settings

_TITLE_LENGTH = 120  # characters


@dataclass(frozen=True)
class Instruction:
    """A line of a Dockerfile. `title` is shown when it runs; "" for one that belongs to the step before."""

    text: str
    title: str = ""


def render(instructions: list[Instruction]) -> str:
    """The text of a Dockerfile."""
    return "".join(f"{instruction.text}\n" for instruction in instructions)


def system(apt: list[str], steps: str) -> list[Instruction]:
    """Installs packages of the system, then carries out the user's own lines of a Dockerfile."""
    found = [Instruction("USER root")] if apt or steps else []
    if apt:
        install = (
            "export DEBIAN_FRONTEND=noninteractive && apt-get update"
            f" && apt-get install -y --no-install-recommends {' '.join(map(shlex.quote, apt))}"
            " && rm -rf /var/lib/apt/lists/*"
        )
        found.append(Instruction(_run(install), f"Install the system packages {', '.join(apt)}"))
    return [*found, *parse_steps(steps)]


def parse_steps(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile's text, with their continuation lines; comments are left out."""
    found: list[Instruction] = []
    lines: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#") or (not line.strip() and not lines):
            continue
        lines.append(line.rstrip())
        if not lines[-1].endswith("\\"):
            found.append(_user_instruction(lines))
            lines = []
    if lines:
        found.append(_user_instruction(lines))
    return found


def base_references(instructions: list[Instruction]) -> list[str]:
    """The images that a Dockerfile begins with, without its own stages and those that a variable names."""
    stages: set[str] = set()
    found: list[str] = []
    for instruction in instructions:
        line = re.match(r"FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", instruction.text, re.IGNORECASE)
        if line is None:
            continue
        if line[1] not in stages and line[1] != "scratch" and "$" not in line[1]:
            found.append(line[1])
        stages.add(line[2] or "")
    return found


def _user_instruction(lines: list[str]) -> Instruction:
    title = one_line(" ".join(line.rstrip("\\").strip() for line in lines))
    title = title if len(title) <= _TITLE_LENGTH else title[:_TITLE_LENGTH].rstrip() + "…"
    return Instruction("\n".join(lines), title)


def environment_stage(
    parent: str, content: ImageContent, label: str = "", *, folder: str = "environment"
) -> list[Instruction]:
    """The stage that makes the Python environment, and is thrown away. `label` (name=value) marks its images."""
    count = len(re.findall(r"^[A-Za-z0-9]", content.lock, re.MULTILINE))
    title = f"Python environment with Python {_minor(content.python)}"
    if has_base_packages(content.lock):
        title = "Python environment over the packages of the base image"
    made = [Instruction(f"FROM {parent} AS environment", title)]
    if label:
        made.append(Instruction(f"LABEL {label}"))
    return [
        *made,
        Instruction("USER root"),
        Instruction(f"COPY {folder}/ {TOOLS}/"),
        Instruction(f'RUN ["/bin/sh", "{TOOLS}/create.sh"]'),
        Instruction(f'RUN ["/bin/sh", "{TOOLS}/install.sh"]', f"Install {count} Python packages"),
    ]


def environment(*, added_python: bool) -> list[Instruction]:
    """Takes the environment over from the stage, with a Python of its own where the base has none that fits."""
    copy = [Instruction(f"COPY --from=environment {PYTHONS} {PYTHONS}")] if added_python else []
    user = f"mldeploy:x:{UID}:{GID}::{STATE}:/usr/sbin/nologin"
    names = f"{{ grep -q '^mldeploy:' /etc/passwd || echo '{user}' >> /etc/passwd; }}"
    names += f" && {{ grep -q '^mldeploy:' /etc/group || echo 'mldeploy:x:{GID}:' >> /etc/group; }}"
    return [
        Instruction("USER root"),
        Instruction(_run(names)),
        *copy,
        Instruction(f"COPY --from=environment {VENV} {VENV}", "Copy the environment into the image"),
    ]


def server(folder: str = "server") -> list[Instruction]:
    """The scoring server, and how a container runs it."""
    compile_files = f"{PYTHON} -m compileall -q --invalidation-mode unchecked-hash {SERVER}"
    own_state = f"mkdir -p {STATE} && chown {UID}:{GID} {STATE} && chmod {STATE_MODE:o} {STATE}"
    variables = " ".join(f'{name}="{value}"' for name, value in runtime_variables("$PATH").items())
    times = " ".join(
        f"--{name.replace('_', '-')}={value}{'' if name == 'retries' else 's'}" for name, value in HEALTH_TIMES.items()
    )
    return [
        Instruction("USER root"),
        Instruction(f"COPY {folder}/ /", "Scoring server"),
        Instruction(_run(f"{compile_files} && {own_state}")),
        Instruction(f"ENV {variables}"),
        Instruction(f"WORKDIR {APP}"),
        Instruction(f"EXPOSE {PORT}"),
        Instruction("STOPSIGNAL SIGTERM"),
        Instruction(f"ENTRYPOINT {json.dumps(ENTRYPOINT)}"),
        Instruction("CMD []"),
        Instruction(f"HEALTHCHECK {times} CMD {json.dumps(HEALTHCHECK)}"),
        Instruction(f"USER {UID}:{GID}"),
    ]


def files(layer: ContentLayer, folder: str) -> list[Instruction]:
    """Copies a layer of files, a model or the code."""
    return [Instruction(f"COPY {folder}/ /", f"{layer.name.capitalize()} ({format_size(layer.size)})")]


def labels(values: dict[str, str]) -> list[Instruction]:
    if not values:
        return []
    return [Instruction("LABEL " + " ".join(f"{name}={_quote(value)}" for name, value in sorted(values.items())))]


def create_script(content: ImageContent) -> str:
    """The shell script that makes the environment, with the base's Python if it fits, and unpacks conda packages."""
    create = f"""{TOOLS}/uv venv {VENV} --python {_minor(content.python)} --python-preference system --no-project \\
  --color never --no-progress --no-cache
"""
    if has_base_packages(content.lock):
        create = f"""python=$(command -v python3 || command -v python) || {{
  echo 'the base image has no Python' >&2
  exit 1
}}
{TOOLS}/uv venv {VENV} --python "$python" --system-site-packages --no-project --color never --no-progress --no-cache
"""
    elif has_conda_python(content.lock):
        create = f"mkdir -p {VENV}\n"
    unpack = ""
    if has_conda(content.lock):
        unpack = f"""tar -xf {TOOLS}/conda.tar -C {VENV}
for script in {VENV}/bin/.*-post-link.sh; do
  if [ -f "$script" ]; then PREFIX={VENV} PATH={VENV}/bin:$PATH /bin/sh -e "$script"; fi
done
"""
    return f"""# Makes the environment with the Python that is there, else with one that is downloaded.
set -eu
umask 022
. {TOOLS}/settings.sh
mkdir -p {PYTHONS}
export UV_PYTHON_INSTALL_DIR={PYTHONS}
{create}{unpack}"""


def install_script() -> str:
    """The shell script that installs the packages of the lock, each with its hashes."""
    return f"""# Installs the packages of the lock, exactly those.
set -eu
umask 022
. {TOOLS}/settings.sh
test -s {TOOLS}/environment.lock || exit 0
export PYC_INVALIDATION_MODE=UNCHECKED_HASH
exec {TOOLS}/uv pip install --python {PYTHON} --no-deps --compile-bytecode --link-mode copy --no-cache \\
  --color never --no-progress --requirements {TOOLS}/environment.lock
"""


def settings_script(variables: Mapping[str, str], has_ca_bundle: bool) -> str:
    """The shell script with the settings of the machine that builds."""
    values = dict(variables)
    if has_ca_bundle:
        bundle = f"{TOOLS}/ca.pem"
        values |= {name: bundle for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(values.items())]
    head = "# Settings of the machine that builds, such as UV_DEFAULT_INDEX and HTTPS_PROXY. Not part of the image.\n"
    return head + "".join(f"{line}\n" for line in lines)


def has_conda(lock: str) -> bool:
    """Whether the lock has conda packages."""
    return re.search(r"^# conda \S+=", lock, re.MULTILINE) is not None


def has_conda_python(lock: str) -> bool:
    """Whether the Python of the lock is a conda package."""
    return re.search(r"^# conda python=", lock, re.MULTILINE) is not None


def has_base_packages(lock: str) -> bool:
    """Whether the Python and the packages are the base image's, and the lock has only what is added to them."""
    return re.search(r"^# packages of the base image$", lock, re.MULTILINE) is not None


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])


def _run(script: str) -> str:
    return f"RUN {json.dumps(['/bin/sh', '-c', script])}"


def _quote(value: str) -> str:
    """A value of a label: a dollar sign would begin a variable."""
    return json.dumps(value, ensure_ascii=False).replace("$", "\\$")
