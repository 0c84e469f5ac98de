"""The words and figures of a timeline, the same in its text form and its HTML form."""

from __future__ import annotations

from mldeploy_jupyter.core.journal.timeline import Timeline
from mldeploy_jupyter.core.text import one_line

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
