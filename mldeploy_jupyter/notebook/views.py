"""How services, models, keys and logs are displayed: as text and plain HTML, without classes, scripts or keys.

The objects of `api/` know nothing of IPython; formatters that are registered by name display them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands.formatting import REVISION_HEAD, revision_rows, table, target_word
from mldeploy_jupyter.core.errors import WorkspaceError
from mldeploy_jupyter.core.text import clean
from mldeploy_jupyter.notebook.session import Session, prompt_number
from mldeploy_jupyter.notebook.wording import in_notebook_words

if TYPE_CHECKING:
    from mldeploy_jupyter.api.models import Model
    from mldeploy_jupyter.api.models.package import ModelPackage
    from mldeploy_jupyter.api.models.profile import ModelProfile
    from mldeploy_jupyter.api.runs import Run
    from mldeploy_jupyter.api.webservices import Webservice
    from mldeploy_jupyter.api.webservices.details import Revisions
    from mldeploy_jupyter.api.webservices.overview import Overview
    from mldeploy_jupyter.deployment.images.registries import ListedImage, Pushed
    from mldeploy_jupyter.latency.result import LatencyResult

Bundle = dict[str, str]
Rows = Sequence[Sequence[str]]

# State -> how it reads before the name of a target.
STATE_WORDS = {
    "Deploying": "deploying to",
    "Updating": "updating on",
    "Live": "live on",
    "Unhealthy": "unhealthy on",
    "Failed": "failed on",
    "Cancelled": "cancelled on",
    "Stopped": "stopped on",
}


# IPython's own printers for lists, tuples and strings come before an inherited `_repr_mimebundle_`. Only methods in the
# body of the class itself come before them, so each class below has both methods in its own body.
def _as_bundle(self: Any, include: Any = None, exclude: Any = None) -> Bundle:
    bundle: Bundle = self.bundle()
    return bundle


def _as_text(self: Any, printer: Any, cycle: bool) -> None:
    printer.text(self.bundle()["text/plain"])


class Table(list[Any]):
    """A list that is displayed as a table. `show` makes the bundle of its items."""

    def __init__(self, items: Iterable[Any], show: Callable[[Sequence[Any]], Bundle]) -> None:
        super().__init__(items)
        self._show = show

    def bundle(self) -> Bundle:
        return self._show(self)

    _repr_mimebundle_, _repr_pretty_ = _as_bundle, _as_text


class Keys(tuple[str, ...]):
    """Keys as a value that is usable but not displayed: displays are saved with the notebook."""

    def bundle(self) -> Bundle:
        count = "1 key" if len(self) == 1 else f"{len(self)} keys"
        text = f"{count}, not shown, so that the notebook does not save them. For a client: key = _[0], then the header"
        return {"text/plain": f"{text} Authorization: Bearer KEY. %score and service.run send it by themselves."}

    _repr_mimebundle_, _repr_pretty_ = _as_bundle, _as_text


class LogText(str):
    """A log as a string that is displayed as lines, without control sequences."""

    def bundle(self) -> Bundle:
        return {"text/plain": clean(self.rstrip("\n")) or "(the log is empty)"}

    _repr_mimebundle_, _repr_pretty_ = _as_bundle, _as_text


def as_table(value: Any) -> Any:
    """The value as a `Table` when it is a list of services, models, runs or images, else as it is."""
    if isinstance(value, list) and value:
        kinds = {base.__name__ for item in value for base in type(item).__mro__ if base.__module__.startswith(_API)}
        if "Webservice" in kinds:
            return Table(value, services_bundle)
        if "Model" in kinds:
            return Table(value, models_bundle)
        if type(value[0]).__name__ == "LatencyResult":
            return Table(value, latency_runs_bundle)
        if type(value[0]).__name__ == "ListedImage":
            return Table(value, images_bundle)
    return value


def images_bundle(images: Sequence[ListedImage]) -> Bundle:
    """Container images as a table."""
    from mldeploy_jupyter.commands.image import LIST_HEAD, list_row

    return _grid([list_row(image) for image in images], LIST_HEAD)


def latency_runs_bundle(runs: Sequence[LatencyResult]) -> Bundle:
    """Runs of the latency lab as a table."""
    from mldeploy_jupyter.commands.latency_runs import LIST_HEAD, list_row

    return _grid([list_row(run) for run in runs], LIST_HEAD)


def service_bundle(service: Webservice, below_timeline: bool = False) -> Bundle:
    """A service: its state, address and models, never its keys. Below a timeline, what that does not say."""
    overviews = _read_overviews([service])
    if not overviews:
        return _bundle(f"{service.name}   deleted", [], ())
    data, state = overviews[0].data, overviews[0].shown_state
    revision = f", revision {data['revision']}" if data["revision"] else ""
    kept = [str(number) for number in service.revisions.kept] if data["revision"] else []
    rows = [
        ("Scoring URI", data["scoringUri"] or ""),
        ("Models", ", ".join(data["models"])),
        # A service that never was live, and will not be, has none.
        ("Keys", _describe_auth(service.name, data) if data["revision"] or state == "Deploying" else ""),
        ("Description", data["description"] or ""),
        ("Tags", ", ".join(f"{key}={value}" for key, value in (data["tags"] or {}).items())),
        ("Roll back", f"%rollback {service.name} --revision {' | '.join(kept)}" if kept else ""),
        ("Updated", _minute(data["updatedTime"])),
    ]
    if below_timeline:
        rows = [row for row in rows if row[0] not in ("Scoring URI", "Updated")]
        return _bundle("", [row for row in rows if row[1]], ())
    error = data["error"] if state != "Live" else None
    closing = [f"{key}: {error[part]}" for key, part in _ERROR_PARTS if error.get(part)] if error else []
    heading = f"{service.name}   {STATE_WORDS.get(state, state)} {_target_name(data)}{revision}"
    return _bundle(heading, [row for row in rows if row[1]], closing)


def _read_overviews(services: Sequence[Webservice]) -> list[Overview]:
    from mldeploy_jupyter.api.webservices.overview import read_overviews

    return read_overviews(services)


def _describe_auth(name: str, data: dict[str, Any]) -> str:
    if data["tokenAuthEnabled"]:
        return f"off; it asks for tokens, see %mldeploy service get-access-token {name}"
    return f"on; to use them: keys = %mldeploy service get-keys {name}" if data["authEnabled"] else "off"


def services_bundle(services: Sequence[Webservice]) -> Bundle:
    """A table of services: the columns of `%services`, with the workspace where one is not that of this folder."""
    rows: list[tuple[str, ...]] = []
    places = _places(services)
    found = {read.service: read for read in _read_overviews(services)}
    for service in services:
        if service not in found:
            rows.append((service.name, "deleted", "-", "-", "-", "-", "-"))
            continue
        data = found[service].data
        rows.append(
            (
                service.name,
                found[service].shown_state,
                target_word(data),
                str(data["revision"] or "-"),
                ", ".join(data["models"]) or "-",
                data["scoringUri"] or "-",
                _minute(data["updatedTime"]),
            )
        )
    head: tuple[str, ...] = ("Service", "State", "Target", "Revision", "Models", "Scoring URI", "Updated")
    if places:
        rows = [(*row, place) for row, place in zip(rows, places, strict=True)]
        head = (*head, "Workspace")
    return _grid(rows, head)


def _places(services: Sequence[Webservice]) -> list[str]:
    """The folder of each service's workspace; [] when all are of the workspace that commands here use."""
    from mldeploy_jupyter.core.workspace.folder import find_workspace

    try:
        here = find_workspace()
    except WorkspaceError:
        here = None
    roots = [service.workspace.folder.root for service in services]
    return [] if here is not None and set(roots) == {here.root} else [str(root.parent) for root in roots]


def revisions_bundle(revisions: Revisions) -> Bundle:
    """A table of revisions: what `service.revisions` shows."""
    return _grid(revision_rows(revisions), tuple(word.capitalize() for word in REVISION_HEAD))


def model_bundle(model: Model) -> Bundle:
    """A model: its version, size, tags and time of registration."""
    rows = [
        ("Size", _size(model)),
        ("Framework", " ".join(part for part in (model.model_framework, model.model_framework_version) if part)),
        ("Description", model.description or ""),
        ("Tags", ", ".join(f"{key}={value}" for key, value in model.tags.items())),
        ("Registered", _minute(_time(model.created_time))),
    ]
    return _bundle(f"{model.name}   version {model.version}", [row for row in rows if row[1]], ())


def models_bundle(models: Sequence[Model]) -> Bundle:
    """A table of models."""
    rows = [
        (
            model.name,
            str(model.version),
            _size(model),
            ", ".join(f"{key}={value}" for key, value in model.tags.items()) or "-",
            _minute(_time(model.created_time)),
        )
        for model in models
    ]
    return _grid(rows, ("Model", "Version", "Size", "Tags", "Registered"))


def run_bundle(run: Run) -> Bundle:
    """A run: its state, experiment, times, metrics, tags and files."""
    details = run.get_details()
    files = details["outputFiles"]
    rows = [
        ("Experiment", run.experiment_name or ""),
        ("Started", _minute(details["startTimeUtc"])),
        ("Ended", _minute(details["endTimeUtc"])),
        *((f"Metric {name}", _metric(value)) for name, value in sorted(run.get_metrics().items())),
        ("Tags", ", ".join(f"{key}={value}" for key, value in run.tags.items())),
        ("Files", ", ".join(files[:20]) + (f" and {len(files) - 20} more" if len(files) > 20 else "")),
        ("Kept in", run.get_portal_url()),
    ]
    return _bundle(f"{run.name}   {details['status']}", [row for row in rows if row[1]], ())


def _metric(value: Any) -> str:
    """A metric as `Run.get_metrics` gives it: a number, the last of several, or those of each column."""
    if isinstance(value, dict):
        return ", ".join(f"{column} {_metric(column_value)}" for column, column_value in value.items())
    if isinstance(value, list):
        return f"{_metric(value[-1])} (the last of {len(value)})" if value else ""
    return f"{value:g}" if isinstance(value, float) else str(value)


_API = "mldeploy_jupyter.api."
_LINE = 'style="margin: 8px"'  # aligned with the text of the table's cells
_NUMBERS = ("Revision", "Version", "Size", "SIZE", "REQUESTS", "p50", "p95", "p99")  # columns aligned to the right
_ERROR_PARTS = (("error", "what"), ("cause", "why"), ("hint", "hint"))
_TARGET_NAMES = {"Local": "this machine", "ACI": "Azure Container Instances", "AKS": "AKS", "AKSENDPOINT": "AKS"}


def add_formatters(session: Session) -> None:
    """Registers how IPython displays services and models. By name, so that loading the magics does not import them."""
    formatter = session.shell.display_formatter.mimebundle_formatter

    def has_timeline(value: Webservice) -> bool:
        """Whether the running cell shows the timeline of the service's deployment."""
        return session.timeline_cells.get(value.deployment_id) == (prompt_number(session.shell) or 0)

    def service(value: Webservice) -> Bundle:
        below = has_timeline(value)
        bundle, panels = service_bundle(value, below_timeline=below), session.panels
        if panels is None or not bundle["text/html"]:
            return bundle
        return panels.mark_below(bundle) if below else panels.mark(bundle, value)

    def latency(value: LatencyResult) -> Bundle:
        shown = session.latency_cells.get(value.id) == (prompt_number(session.shell) or 0)  # its figure, by %latency
        return {"text/plain": str(value), "text/html": value.to_html(picture=not shown)}

    def show_nothing_twice(value: Webservice) -> None:
        # The state would go stale below a timeline that still changes, so nothing is displayed.
        running = [view for view in session.timelines.values() if not view.ended.is_set()]
        if not (has_timeline(value) and any(view.journal == value.journal for view in running)):
            raise NotImplementedError  # IPython's way to continue to the next formatter

    formatter.for_type_by_name(*_SERVICE, lambda value, include=None, exclude=None: service(value))
    formatter.for_type_by_name(*_MODEL, lambda value, include=None, exclude=None: model_bundle(value))
    formatter.for_type_by_name(*_RUN, lambda value, include=None, exclude=None: run_bundle(value))
    formatter.for_type_by_name(*_REVISIONS, lambda value, include=None, exclude=None: revisions_bundle(value))
    formatter.for_type_by_name(*_LATENCY, lambda value, include=None, exclude=None: latency(value))
    display = session.shell.display_formatter
    display.ipython_display_formatter.for_type_by_name(*_SERVICE, show_nothing_twice)
    text = display.formatters["text/plain"]
    # IPython's printer of lists would come before the bundle's text.
    text.for_type_by_name(
        *_REVISIONS, lambda value, printer, cycle: printer.text(revisions_bundle(value)["text/plain"])
    )
    for kind, describe in _TEXTS.items():
        text.for_type_by_name(*kind, lambda value, printer, cycle, describe=describe: printer.text(describe(value)))


def remove_formatters(session: Session) -> None:
    """Removes what `add_formatters` registered."""
    display = session.shell.display_formatter
    for formatter in (
        display.mimebundle_formatter,
        display.ipython_display_formatter,
        display.formatters["text/plain"],
    ):
        for module, name in (_SERVICE, _MODEL, _RUN, _REVISIONS, _LATENCY, *_TEXTS):
            formatter.deferred_printers.pop((module, name), None)
            formatter.type_printers.pop(getattr(sys.modules.get(module), name, None), None)


_SERVICE = ("mldeploy_jupyter.api.webservices.webservice", "Webservice")
_REVISIONS = ("mldeploy_jupyter.api.webservices.details", "Revisions")
_LATENCY = ("mldeploy_jupyter.latency.result", "LatencyResult")
_MODEL = ("mldeploy_jupyter.api.models.model", "Model")
_RUN = ("mldeploy_jupyter.api.runs.run", "Run")


def _describe_package(package: ModelPackage) -> str:
    from mldeploy_jupyter.commands.image import describe_package

    return in_notebook_words(describe_package(package))


def _describe_profile(profile: ModelProfile) -> str:
    from mldeploy_jupyter.commands.deploy import describe_profile

    ended = profile.state == "Succeeded"
    return in_notebook_words(describe_profile(profile.get_details())) if ended else repr(profile)


def _describe_pushed(pushed: Pushed) -> str:
    from mldeploy_jupyter.commands.image import describe_pushed

    return in_notebook_words(describe_pushed(pushed))


# What is shown as the text of the command that returns it.
_TEXTS: dict[tuple[str, str], Callable[[Any], str]] = {
    ("mldeploy_jupyter.api.models.package", "ModelPackage"): _describe_package,
    ("mldeploy_jupyter.api.models.profile", "ModelProfile"): _describe_profile,
    ("mldeploy_jupyter.deployment.images.registries", "Pushed"): _describe_pushed,
    ("mldeploy_jupyter.deployment.prune", "PruneReport"): lambda report: in_notebook_words(str(report)),
}


def _bundle(heading: str, rows: Rows, closing: Sequence[str]) -> Bundle:
    width = max((len(row[0]) for row in rows), default=0)
    lines = [*([heading] if heading else []), *(f"  {name:<{width}}  {value}" for name, value in rows), *closing]
    name, _, rest = heading.partition("   ")
    cells = "".join(
        f'<tr><th style="text-align: left">{_html(name)}</th><td style="text-align: left">{_html(value)}</td></tr>\n'
        for name, value in rows
    )
    html = f"<p {_LINE}><strong>{_html(name)}</strong> {_html(rest)}</p>\n" if heading else ""
    html += f"<table>\n<tbody>\n{cells}</tbody>\n</table>\n" if rows else ""
    html += f"<p {_LINE}>{'<br>'.join(map(_html, closing))}</p>\n" if closing else ""
    return {"text/plain": "\n".join(map(_line, lines)), "text/html": html}


def _grid(rows: Rows, head: Sequence[str]) -> Bundle:
    sides = ["right" if name in _NUMBERS else "left" for name in head]

    def line(tag: str, row: Sequence[str]) -> str:
        cells = zip(sides, row, strict=True)
        return "".join(f'<{tag} style="text-align: {side}">{_html(cell)}</{tag}>' for side, cell in cells)

    cells = "".join(f"<tr>{line('td', row)}</tr>\n" for row in rows)
    heads = line("th", head)
    html = f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{cells}</tbody>\n</table>\n"
    return {"text/plain": table([[_line(cell) for cell in row] for row in rows], head), "text/html": html}


def _line(text: str) -> str:
    return clean(text, colour=False).replace("\n", " ")


def _html(text: str) -> str:
    return escape(_line(text))


def _target_name(data: dict[str, Any]) -> str:
    word = target_word(data)
    return _TARGET_NAMES.get(word, word)


def _minute(time: str | None) -> str:
    return f"{time[:16].replace('T', ' ')} UTC" if time else ""


def _time(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value or "")


def _size(model: Model) -> str:
    from mldeploy_jupyter.core.text import format_size

    return format_size(model.record.size)
