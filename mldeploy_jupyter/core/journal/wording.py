"""The words and figures of a timeline, the same in its text form and its HTML form."""

from __future__ import annotations

from datetime import datetime, tzinfo

from mldeploy_jupyter.core.journal.timeline import StageView, Timeline
from mldeploy_jupyter.core.text import fit, one_line

# By status: the mark in Unicode, the mark in ASCII, and the colour as an SGR parameter.
MARKS: dict[str, tuple[str, str, str]] = {
    "Waiting": ("○", "  ", "2"),
    "Running": ("●", "..", "34"),
    "Done": ("✓", "ok", "32"),
    "Live": ("✓", "ok", "32"),
    "Failed": ("✗", "!!", "31"),
    "Cancelled": ("–", "--", "2"),
    "Interrupted": ("!", "!!", "33"),
    "Not reached": ("–", "--", "2"),
    "Not needed": ("–", "--", "2"),
}

OUTPUT_LINES_READ = 20  # of a running stage, to find one that is not blank
OUTPUT_COLUMNS = 60

# Titles by target; another target is shown by its own name.
TARGETS = {
    "local": "this machine",
    "docker": "Docker",
    "aci": "Azure Container Instances",
    "aks": "AKS",
    "kubernetes": "Kubernetes",
}


def format_duration(seconds: float | None) -> str:
    """`9.4 ms`, `0.4 s`, `38.2 s`, `1 min 24 s`, `2 h 5 min`; "" when unknown."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds == 0:
        return "0.0 s"
    if seconds < 0.00995:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def describe_state(timeline: Timeline) -> str:
    target = TARGETS.get(timeline.target, one_line(timeline.target))
    revision = f", revision {timeline.revision}" if timeline.revision else ""
    if timeline.operation == "package" and timeline.state in ("Deploying", "Live"):  # nothing is deployed
        return "made" if timeline.state == "Live" else "being made"
    if timeline.state in ("Deploying", "Updating"):
        return f"{timeline.state.lower()}{' to' if timeline.state == 'Deploying' else ' on'} {target}{revision}"
    if timeline.state == "Live":
        return f"live on {target}{revision}"
    if timeline.state == "Not started":
        return "not started"
    stage = next((s for s in timeline.stages if s.status == timeline.state), None)
    text = f"{timeline.state.lower()} in {one_line(stage.title)}" if stage else timeline.state.lower()
    return f"{text}, revision {timeline.serving} still serving" if timeline.serving else text


def elapsed_text(timeline: Timeline) -> str:
    if not timeline.started:
        return ""
    running = not timeline.ended and timeline.elapsed < 60
    return f"{int(timeline.elapsed)} s" if running else format_duration(timeline.elapsed)


def count_text(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""


def target_title(target: str) -> str:
    """A target as a title: `This machine`."""
    title = TARGETS.get(target, one_line(target))
    return title[:1].upper() + title[1:]


def describe_stage(stage: StageView, timeline: Timeline) -> str:
    """The text next to a stage's name, in a view that draws state, progress and durations itself."""
    if stage.id == "push" and stage.status == "Not needed":
        if timeline.stage("image") is not None:
            return f"not needed: {TARGETS.get(timeline.target, one_line(timeline.target))} needs no registry"
        return f"no image is needed: {TARGETS.get(timeline.target, one_line(timeline.target))} runs the bundle itself"
    if stage.id == "switch" and timeline.serving and stage.status == "Waiting":
        return f"from revision {timeline.serving}"
    if stage.id == "switch" and timeline.serving and stage.status == "Not reached":
        return f"traffic stays on revision {timeline.serving}"
    return one_line(describe_output(stage))


def describe_output(stage: StageView) -> str:
    """The stage's detail and, while it runs, the last line that it printed."""
    return ": ".join(part for part in (stage.detail, last_output(stage)) if part)


def last_output(stage: StageView) -> str:
    """The last line that a running stage printed, such as what `init()` prints; "" without one."""
    if stage.status != "Running" or stage.fraction is not None:  # a fraction tells enough
        return ""
    lines = [line for line in stage.log[-OUTPUT_LINES_READ:] if line.strip()]
    return fit(one_line(lines[-1]), OUTPUT_COLUMNS) if lines else ""


def describe_end(timeline: Timeline, timezone: tzinfo | None = None) -> str:
    """One line about what serves after a deployment was cancelled or interrupted; "" in any other state.

    The time is shown in `timezone`, by default the local one.
    """
    serving = f"Revision {timeline.serving} keeps serving." if timeline.serving else "Nothing serves."
    at = _clock_time(timeline.finished, timezone)
    stage = next((stage.title for stage in timeline.stages if stage.status == timeline.state), "")
    where = f" in {one_line(stage)}" if stage else ""
    if timeline.state == "Cancelled":
        return f"It was cancelled{at}{where}. {serving} What was made is used again next time."
    if timeline.state == "Interrupted":
        return (
            f"Its runner ended{at}{where} without finishing, for example because the machine restarted. {serving} "
            "Deploy again: what was made is used again."
        )
    return ""


def _clock_time(time: str, timezone: tzinfo | None) -> str:
    try:
        return f" at {datetime.fromisoformat(time).astimezone(timezone):%H:%M}"
    except ValueError:
        return ""
