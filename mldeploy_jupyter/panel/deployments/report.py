"""A deployment as Markdown, to be shared with others: `deployment.report`, without keys or secrets."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.configs import passed_settings
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.core.journal.wording import TARGETS, format_duration
from mldeploy_jupyter.core.keys import read_keys
from mldeploy_jupyter.core.text import one_line
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.deployments.log import format_line, read_log
from mldeploy_jupyter.panel.deployments.timelines import Deployment, find_deployment, read_timeline
from mldeploy_jupyter.panel.services.environments import read_packages, read_python

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import RevisionRecord

LOG_LINES = 200  # of the end of the log
SHORTEST_SECRET = 4  # characters; a shorter value is part of too many words to be replaced


def answer_report(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `deployment.report`."""
    found = find_deployment(context, parameters["deployment"], parameters.get("workspace", ""))
    timeline, log = read_timeline(context, found), read_log(context, found)
    record = found.record
    revision = found.folder.open_store().get_revision(record.service, record.revision) if record.revision else None
    lines = [format_line(line) for line in log.lines(log.before_last(LOG_LINES))]
    parts = [
        _heading(timeline),
        _cause(timeline["cause"]),
        _table(("Stage", "State", "Took", "Detail"), map(_stage_row, timeline["stages"])),
        _table(("What", "Version"), _versions(found, revision)),
        _log(lines, timeline["lines"]),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    return {"markdown": _without_secrets(text, _secrets(found, revision))}


def _heading(timeline: dict[str, Any]) -> str:
    state = timeline["state"].replace("-", " ").capitalize()
    stage = next((each["title"] for each in timeline["stages"] if each["state"] == timeline["state"]), "")
    revision = f", revision {timeline['revision']}" if timeline["revision"] else ""
    target = TARGETS.get(timeline["target"], timeline["target"])
    lines = [
        f"## {_plain(timeline['service'])}: {state}{f' in {_plain(stage)}' if stage else ''}",
        f"{timeline['operation'].capitalize()} on {target}{revision}, "
        f"deployment `{timeline['deployment']}`, begun {timeline['started']}, "
        f"took {format_duration(timeline['elapsedSeconds'])}.",
        _plain(timeline["message"]),
    ]
    if timeline["serving"] and timeline["state"] not in ("live", "cancelled", "interrupted"):
        lines.append(f"Revision {timeline['serving']} keeps serving.")
    return "\n\n".join(line for line in lines if line)


def _cause(cause: dict[str, Any] | None) -> str:
    if cause is None:
        return ""
    where = cause["where"]
    place = f"line {where['line']}, {where['text']}" if where and where["line"] else where["text"] if where else ""
    lines = [
        f"- **Error:** {_plain(cause['what'])}",
        *([f"- **Cause:** {_plain(cause['why'])}"] if cause["why"] else []),
        *([f"- **Hint:** {_plain(cause['hint'])}"] if cause["hint"] else []),
        *([f"- **Where:** {_plain(place)}"] if place else []),
    ]
    excerpt = where["excerpt"] if where else []
    if not excerpt:
        return "\n".join(lines)
    code = [f"{'>' if line['guilty'] else ' '} {line['line']:>4}  {line['text']}".rstrip() for line in excerpt]
    return "\n".join(lines) + "\n\n" + _fenced(code)


def _stage_row(stage: dict[str, Any]) -> tuple[str, ...]:
    took = format_duration(stage["seconds"]) if stage["state"] not in ("waiting", "not-needed") else ""
    return stage["title"], stage["state"].replace("-", " "), took, stage["detail"]


def _versions(found: Deployment, revision: RevisionRecord | None) -> list[tuple[str, str]]:
    known = [("mldeploy-jupyter", version("mldeploy-jupyter")), ("System", platform.platform(terse=True))]
    if revision is None:
        return known
    known.append(("Python", read_python(found.folder, revision) or "not known"))
    known += [("Model", model) for model in revision.models]
    return [*known, *sorted(read_packages(found.folder, revision).items())]


def _log(lines: list[str], total: int) -> str:
    if not lines:
        return "The log is empty."
    told = f"The last {len(lines)} of {total} lines of the log:" if len(lines) < total else "The log:"
    return f"{told}\n\n{_fenced(lines)}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(_plain(cell) for cell in line)} |" for line in lines)


def _fenced(lines: list[str]) -> str:
    """The lines as a block of code, in a fence that none of them can end."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *lines, fence])


def _plain(text: str) -> str:
    """The text on one line that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", one_line(text))


def _secrets(found: Deployment, revision: RevisionRecord | None) -> set[str]:
    """What must not be told: the service's keys, and the values of its environment variables."""
    secrets: set[str] = set()
    with suppress(MldeployError):
        keys = read_keys(found.folder.services / found.record.service / "keys.json")
        secrets |= {keys.primary, keys.secondary, keys.token_secret} if keys is not None else set()
    for config in (found.record.request.get("deploy_config"), revision.deploy_config if revision else None):
        variables = passed_settings(config).get("environment_variables") if isinstance(config, dict) else None
        secrets |= {str(value) for value in variables.values()} if isinstance(variables, dict) else set()
    inference = found.record.request.get("inference_config")
    environment = inference.get("environment") if isinstance(inference, dict) else None
    variables = environment.get("environment_variables") if isinstance(environment, dict) else None
    secrets |= {str(value) for value in variables.values()} if isinstance(variables, dict) else set()
    return {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}


def _without_secrets(text: str, secrets: set[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***").replace(_plain(secret), "***")
    return text
