"""Writes the catalogue of what JupyterLab may translate: `python -m tests.unit.labextension.messages`.

`labextension/locale/mldeploy_jupyter.pot` has the texts of the extension's sources, those of its settings, and what
comes as data: names of stages and targets, and the fields of forms. A test fails when it is stale. A language pack
translates it as its domain `mldeploy_jupyter`.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "labextension"
CATALOGUE = FOLDER / "locale" / "mldeploy_jupyter.pot"

HEADER = """\
# What mldeploy-jupyter shows in JupyterLab. Made by `python -m tests.unit.labextension.messages`.
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"
"X-Domain: mldeploy_jupyter\\n"
"""

# The words of the settings that JupyterLab translates, and their contexts.
SCHEMA_CONTEXTS = {"title": "schema", "description": "schema", "jupyter.lab.setting-icon-label": "settings"}
SETTING_CONTEXTS = {"title": "settings", "description": "settings"}

TAG = re.compile(r"(?<![\w$`])(?:t|msg)`")
CALL = re.compile(r"\btrans\.__\(\s*'((?:[^'\\]|\\.)*)'")
MANY = re.compile(r"\btrans\._n\(\s*'((?:[^'\\]|\\.)*)',\s*'((?:[^'\\]|\\.)*)'")
NOUN = re.compile(r"\bplural\((?:[^(),]|\([^()]*\))+,\s*'([^']+)'\)")
WORD = re.compile(r"[^\W\d_]{2}")  # a text without it has nothing to translate


class Message(NamedTuple):
    """A text to translate, its plural, and the context that tells it from the same text elsewhere."""

    text: str
    plural: str = ""
    context: str = ""


def messages() -> dict[Message, list[str]]:
    """Every message, with the files that have it."""
    found: dict[Message, list[str]] = {}
    for path in sorted(FOLDER.glob("src/**/*.ts*")):
        if ".test." not in path.name and "testing" not in path.parts:
            for message in read_source(path.read_text("utf-8")):
                found.setdefault(message, []).append(path.relative_to(FOLDER).as_posix())
    for message in read_schema():
        found.setdefault(message, []).append("schema/plugin.json")
    for text in data_texts():
        found.setdefault(Message(text), []).append("data")
    return found


def read_source(source: str) -> Iterator[Message]:
    """The messages of a file of TypeScript."""
    for match in TAG.finditer(source):
        yield Message(read_template(source, match.end()))
    for match in CALL.finditer(source):
        yield Message(unescape(match[1]))
    for match in MANY.finditer(source):
        yield Message(unescape(match[1]), unescape(match[2]))
    for match in NOUN.finditer(source):
        yield Message(f"%1 {match[1]}", f"%1 {match[1]}s")


def read_template(source: str, at: int) -> str:
    """The message of the template that begins here: `%1` stands for its first value."""
    text, values = "", 0
    while source[at] != "`":
        if source[at] == "\\":
            text += source[at + 1]
            at += 2
        elif source.startswith("${", at):
            values += 1
            text += f"%{values}"
            at = _end_of_value(source, at + 2)
        else:
            text += source[at]
            at += 1
    return text


def _end_of_value(source: str, at: int) -> int:
    """Where the value of a template ends, which may have templates, texts and objects in it."""
    while source[at] != "}":
        if source[at] == "`":
            at += 1
            while source[at] != "`":
                at = _end_of_value(source, at + 2) if source.startswith("${", at) else at + 1
        elif source[at] == "{":
            at = _end_of_value(source, at + 1) - 1
        elif source[at] == "'":
            at = source.index("'", at + 1)
        at += 1
    return at + 1


def unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def read_schema() -> Iterator[Message]:
    """The words of the settings that JupyterLab translates."""
    schema = json.loads((FOLDER / "schema" / "plugin.json").read_text("utf-8"))
    for key, context in SCHEMA_CONTEXTS.items():
        yield Message(schema[key], context=context)
    for setting in schema["properties"].values():
        yield from (Message(setting[key], context=context) for key, context in SETTING_CONTEXTS.items())
        yield from (Message(choice["title"], context="schema") for choice in setting.get("oneOf", ()))


def data_texts() -> Iterator[str]:
    """What comes as data and is always the same: numbers are values, as `translated` has it."""
    for text in dict.fromkeys(_data_texts()):
        if WORD.search(text) and "%" not in text:
            parts = re.split(r"\d+", text)
            yield parts[0] + "".join(f"%{at}{part}" for at, part in enumerate(parts[1:], 1))


def _data_texts() -> Iterator[str]:
    from mldeploy_jupyter.core.journal.journal import STAGES
    from mldeploy_jupyter.core.journal.wording import TARGETS, target_title
    from mldeploy_jupyter.panel.scoring import REST, TITLES
    from mldeploy_jupyter.panel.watching.health import TEXTS

    yield from STAGES.values()
    yield from map(target_title, TARGETS)
    yield from (*TITLES.values(), REST, *TEXTS.values())
    with tempfile.TemporaryDirectory() as folder:
        forms = Forms(Path(folder))
        yield from forms.texts()


@dataclass
class Forms:
    """The forms of a workspace with a model and a live service, which is made in the folder."""

    folder: Path

    def texts(self) -> Iterator[str]:
        from mldeploy_jupyter.api.workspace import Workspace
        from mldeploy_jupyter.core.records import ModelRecord, RevisionRecord, ServiceRecord
        from mldeploy_jupyter.panel import PanelContext, handle
        from mldeploy_jupyter.panel.scripts import FolderScripts

        workspace = Workspace.create("home", path=str(self.folder))
        store = workspace.folder.open_store()
        script = self.folder / "score.py"
        script.write_text("def init(): pass\ndef run(data): return data\n", "utf-8")
        context = PanelContext(workspace, scripts=FolderScripts(self.folder))
        described = [self._ask(handle, context, "form.describe", form="deploy")]  # without a model
        for _ in range(2):
            store.add_model(ModelRecord("model"))
        revision = store.add_revision(RevisionRecord("service", models=["model:1"], outcome="live"))
        store.save_service(ServiceRecord("service", state="Live", revision=revision.number))
        described += [
            self._ask(handle, context, "form.describe", form=form, service="service")
            for form in ("deploy", "update", "register")
        ]
        for form in described:
            yield from self._words(form)
        for form, values in (("deploy", {"name": "new", "entry_script": str(script)}), ("update", {})):
            checked = self._ask(handle, context, "form.check", form=form, service="service", values=values)
            yield checked["note"]
            yield from (preview["title"] for preview in checked["previews"])
        described_service = self._ask(handle, context, "service.describe", service="service")
        yield from (fact["label"] for fact in described_service["environment"])
        store.close()

    @staticmethod
    def _words(form: dict[str, Any]) -> Iterator[str]:
        if form["form"] != "update":  # whose title names the service
            yield form["title"]
        yield form["submit"]
        for field in form["fields"]:
            yield from (field[key] for key in ("label", "help", "placeholder", "unit", "section"))
            for choice in field["choices"]:
                if field["key"] == "entry_script" and choice["value"]:
                    continue  # a file, and what it has
                if choice["label"] != choice["value"]:
                    yield choice["label"]
                yield choice["detail"]

    @staticmethod
    def _ask(handle: Any, context: Any, name: str, **params: Any) -> dict[str, Any]:
        answer = handle(name, params, context)
        if not answer["ok"]:
            raise ValueError(f"{name} {params}: {answer['failure']}")
        found: dict[str, Any] = answer["result"]
        return found


def catalogue() -> str:
    """The catalogue as gettext has it, sorted by text."""
    return "\n".join([HEADER, *(write(message, places) for message, places in sorted(messages().items()))])


def write(message: Message, places: list[str]) -> str:
    lines = [f"#: {place}" for place in dict.fromkeys(places)]
    if message.context:
        lines.append(f"msgctxt {quote(message.context)}")
    lines.append(f"msgid {quote(message.text)}")
    if message.plural:
        lines += [f"msgid_plural {quote(message.plural)}", 'msgstr[0] ""', 'msgstr[1] ""']
    else:
        lines.append('msgstr ""')
    return "\n".join(lines) + "\n"


def quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    CATALOGUE.parent.mkdir(exist_ok=True)
    if not CATALOGUE.exists() or CATALOGUE.read_text("utf-8") != catalogue():
        CATALOGUE.write_text(catalogue(), "utf-8")
        print(f"wrote {CATALOGUE.relative_to(ROOT)}")
