"""How services and models look in a notebook: text and plain HTML, without classes, colours, scripts or keys.

The objects of `api/` stay plain; IPython asks here. `timeline_view` is the place a widget panel will take.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import WebserviceNotFound
from mldeploy_jupyter.notebook.session import Session, front_end, prompt_number

if TYPE_CHECKING:
    from mldeploy_jupyter.api.models.model import Model
    from mldeploy_jupyter.api.webservices.webservice import Webservice
    from mldeploy_jupyter.notebook.timeline_view import TimelineView

Bundle = dict[str, str]
Rows = Sequence[Sequence[str]]

# Shown state -> how it reads in a sentence. The words are those of every other surface.
STATE_WORDS = {
    "Deploying": "deploying to",
    "Updating": "updating on",
    "Live": "live on",
    "Unhealthy": "unhealthy on",
    "Failed": "failed on",
    "Stopped": "stopped on",
}


def timeline_view(session: Session, service: Webservice, errors: bool = True) -> TimelineView:
    """Shows the service's deployment below the running cell and keeps it up to date until its end.

    `errors` False leaves out why it failed, for a caller that raises the error.
    """
    from IPython.display import display, update_display

    from mldeploy_jupyter.core.journal import Timeline
    from mldeploy_jupyter.notebook.timeline_view import TimelineView

    display_id = f"mldeploy-{service.deployment_id}-{os.urandom(4).hex()}"

    def publish(bundle: Bundle, again: bool) -> None:
        show: Any = update_display if again else display
        show(bundle, raw=True, display_id=display_id)

    record = service.record
    first = Timeline("Updating" if record.revision else "Deploying", service.name, record.target)
    # The plan comes with the first event; until then a local service's stages are guessed.
    image = first.stage("push")
    if image is not None and record.target == "local":
        image.status, image.planned = "Not needed", False
    store, deployment_id = service.workspace.folder.open_store(), service.deployment_id

    def is_over() -> bool:
        deployment = store.get_deployment(deployment_id)
        return deployment is None or deployment.state != "running"

    view = TimelineView(
        service.journal, publish, first=first, look=lambda: service.shown_state, is_over=is_over, errors=errors
    )
    session.shown[service.deployment_id] = prompt_number(session.shell) or 0
    if front_end(session.shell) == "terminal":
        view.refresh()  # a terminal's old lines cannot be changed from behind
        return view
    session.views[display_id] = view
    return view.show()


def refresh_views(session: Session) -> None:
    """Brings every open timeline up to date: called as each cell ends, while its outputs can still be saved."""
    for display_id, view in list(session.views.items()):
        if view.catch_up():
            session.views.pop(display_id, None)


# IPython has printers of its own for lists, tuples and strings, found before a bundle; only a method of the very
# class goes before them. So these classes have both, each in its own body.
def _as_bundle(self: Any, include: Any = None, exclude: Any = None) -> Bundle:
    bundle: Bundle = self.bundle()
    return bundle


def _as_text(self: Any, printer: Any, cycle: bool) -> None:
    printer.text(self.bundle()["text/plain"])


class Table(list[Any]):
    """A list that shows itself as a table. `show` makes the bundle of the items."""

    def __init__(self, items: Iterable[Any], show: Callable[[Sequence[Any]], Bundle]) -> None:
        super().__init__(items)
        self._show = show

    def bundle(self) -> Bundle:
        return self._show(self)

    _repr_mimebundle_, _repr_pretty_ = _as_bundle, _as_text


class Keys(tuple[str, ...]):
    """Keys as a value that can be used but is not shown: what a cell shows is saved with the notebook."""

    def bundle(self) -> Bundle:
        return {"text/plain": f"{len(self)} keys, not shown: the notebook would keep them. They are the items of this."}

    _repr_mimebundle_, _repr_pretty_ = _as_bundle, _as_text


class LogText(str):
    """A log as a string that shows itself as lines, with nothing in them that a page would obey."""

    def bundle(self) -> Bundle:
        from mldeploy_jupyter.core.text import clean

        return {"text/plain": clean(self.rstrip("\n")) or "(the log is empty)"}

    _repr_mimebundle_, _repr_pretty_ = _as_bundle, _as_text


def shown(value: Any) -> Any:
    """The value, or a table of it when it is a list of services or models."""
    if isinstance(value, list) and value:
        kinds = {base.__name__ for item in value for base in type(item).__mro__ if base.__module__.startswith(_OURS)}
        if "Webservice" in kinds:
            return Table(value, services_bundle)
        if "Model" in kinds:
            return Table(value, models_bundle)
    return value


def service_bundle(service: Webservice, errors: bool = True) -> Bundle:
    """A service: its state, its address, what it serves. Never a key. `errors` False leaves out why it failed."""
    try:
        data, state = service.serialize(), service.shown_state
    except WebserviceNotFound:
        return _bundle(f"{service.name}   deleted", [], ())
    revision = f", revision {data['revision']}" if data["revision"] else ""
    rows = [
        ("Scoring URI", data["scoringUri"] or ""),
        ("Models", ", ".join(data["models"])),
        ("Keys", _opened_with(service.name, data)),
        ("Description", data["description"] or ""),
        ("Tags", ", ".join(f"{key}={value}" for key, value in (data["tags"] or {}).items())),
        ("Updated", _minute(data["updatedTime"])),
    ]
    error = data["error"] if errors and state != "Live" else None
    closing = [f"{key}: {error[part]}" for key, part in _ERROR_PARTS if error.get(part)] if error else []
    heading = f"{service.name}   {STATE_WORDS.get(state, state)} {_place(data['computeType'])}{revision}"
    return _bundle(heading, [row for row in rows if row[1]], closing)


def _opened_with(name: str, data: dict[str, Any]) -> str:
    if data["tokenAuthEnabled"]:
        return f"off; it asks for tokens, see %mldeploy service get-access-token {name}"
    return f"on, see them with %mldeploy service get-keys {name}" if data["authEnabled"] else "off"


def services_bundle(services: Sequence[Webservice]) -> Bundle:
    """Services as a table, one a row."""
    rows = []
    for service in services:
        try:
            data = service.serialize()
            rows.append(
                (
                    service.name,
                    service.shown_state,
                    str(data["revision"] or "-"),
                    ", ".join(data["models"]) or "-",
                    data["scoringUri"] or "-",
                    _minute(data["updatedTime"]),
                )
            )
        except WebserviceNotFound:
            rows.append((service.name, "deleted", "-", "-", "-", "-"))
    return _grid(rows, ("Service", "State", "Revision", "Models", "Scoring URI", "Updated"))


def model_bundle(model: Model) -> Bundle:
    """A model: its id, size, tags and time."""
    rows = [
        ("Size", _size(model)),
        ("Framework", " ".join(part for part in (model.model_framework, model.model_framework_version) if part)),
        ("Description", model.description or ""),
        ("Tags", ", ".join(f"{key}={value}" for key, value in model.tags.items())),
        ("Registered", _minute(_time(model.created_time))),
    ]
    return _bundle(f"{model.name}   version {model.version}", [row for row in rows if row[1]], ())


def models_bundle(models: Sequence[Model]) -> Bundle:
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


_OURS = "mldeploy_jupyter.api."
_NUMBERS = ("Revision", "Version", "Size")  # columns that stand to the right, as Jupyter would put all of them
_ERROR_PARTS = (("error", "what"), ("cause", "why"), ("hint", "hint"))
_PLACES = {"Local": "this machine", "ACI": "Azure Container Instances", "AKS": "AKS", "AKSENDPOINT": "AKS"}


def add_formatters(session: Session) -> None:
    """Teaches IPython to show our objects. By name, so that loading the magics does not import them."""
    formatter = session.shell.display_formatter.mimebundle_formatter

    def service(value: Webservice) -> Bundle:
        here = session.shown.get(value.deployment_id) == (prompt_number(session.shell) or 0)
        for view in session.views.values() if here else ():
            if view.journal == value.journal and not view.ended.is_set():
                # The timeline above says how it goes; what is said here would stay as it is now.
                said = ": its state is above"
                html = f"<p><strong>{_html(value.name)}</strong>{said}</p>\n"
                return {"text/plain": value.name + said, "text/html": html}
        told = here and any(view.journal == value.journal for view in session.views.values())
        return service_bundle(value, errors=not told)

    formatter.for_type_by_name(*_SERVICE, lambda value, include=None, exclude=None: service(value))
    formatter.for_type_by_name(*_MODEL, lambda value, include=None, exclude=None: model_bundle(value))


def remove_formatters(session: Session) -> None:
    import sys

    formatter = session.shell.display_formatter.mimebundle_formatter
    for module, name in (_SERVICE, _MODEL):
        formatter.deferred_printers.pop((module, name), None)
        formatter.type_printers.pop(getattr(sys.modules.get(module), name, None), None)


_SERVICE = ("mldeploy_jupyter.api.webservices.webservice", "Webservice")
_MODEL = ("mldeploy_jupyter.api.models.model", "Model")


def _bundle(heading: str, rows: Rows, closing: Sequence[str]) -> Bundle:
    width = max((len(row[0]) for row in rows), default=0)
    lines = [heading, *(f"  {name:<{width}}  {value}" for name, value in rows), *closing]
    name, _, rest = heading.partition("   ")
    cells = "".join(
        f'<tr><th style="text-align: left">{_html(name)}</th><td style="text-align: left">{_html(value)}</td></tr>\n'
        for name, value in rows
    )
    html = f"<p><strong>{_html(name)}</strong> {_html(rest)}</p>\n"
    html += f"<table>\n<tbody>\n{cells}</tbody>\n</table>\n" if rows else ""
    html += f"<p>{'<br>'.join(map(_html, closing))}</p>\n" if closing else ""
    return {"text/plain": "\n".join(map(_line, lines)), "text/html": html}


def _grid(rows: Rows, head: Sequence[str]) -> Bundle:
    from mldeploy_jupyter.commands.formatting import table

    sides = ["right" if name in _NUMBERS else "left" for name in head]

    def line(tag: str, row: Sequence[str]) -> str:
        cells = zip(sides, row, strict=True)
        return "".join(f'<{tag} style="text-align: {side}">{_html(cell)}</{tag}>' for side, cell in cells)

    cells = "".join(f"<tr>{line('td', row)}</tr>\n" for row in rows)
    heads = line("th", head)
    html = f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{cells}</tbody>\n</table>\n"
    return {"text/plain": table([[_line(cell) for cell in row] for row in rows], head), "text/html": html}


def _line(text: str) -> str:
    from mldeploy_jupyter.core.text import clean

    return clean(text, colour=False).replace("\n", " ")


def _html(text: str) -> str:
    return escape(_line(text))


def _place(compute_type: str) -> str:
    return _PLACES.get(compute_type, compute_type)


def _minute(time: str | None) -> str:
    return f"{time[:16].replace('T', ' ')} UTC" if time else ""


def _time(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value or "")


def _size(model: Model) -> str:
    from mldeploy_jupyter.core.text import format_size

    return format_size(model._record.size)
