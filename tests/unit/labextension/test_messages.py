"""The catalogue of messages: that it is current, and how sources are read."""

from __future__ import annotations

from tests.unit.labextension.messages import CATALOGUE, Message, catalogue, messages, read_source

SOURCE = """
const LOOKS = { done: look('done', msg`Done`) };
t`Revision ${one.revision} serves`;
<b title={t`In ${t`Rows`} of ${list.map(one => `${one}, ${{ a: '}' }}`)}`}>{t`run \\`mldeploy\\` again`}</b>;
plural(ran(one).length, 'warning');
trans._n('%1 model', '%1 models', count);
trans.__('A model’s “name”');
const format = `no message`, at = int`3`;
"""


def test_sources_are_read() -> None:
    assert sorted(read_source(SOURCE)) == [
        Message("%1 model", "%1 models"),
        Message("%1 warning", "%1 warnings"),
        Message("A model’s “name”"),
        Message("Done"),
        Message("In %1 of %2"),
        Message("Revision %1 serves"),
        Message("Rows"),
        Message("run `mldeploy` again"),
    ]


def test_it_has_the_words_of_forms_stages_and_settings() -> None:
    found = messages()
    assert found[Message("Entry script")] == ["data"] and "data" in found[Message("Roll out")]
    assert Message("Update to revision %1") in found and Message("Notices", context="settings") in found


def test_the_catalogue_is_current() -> None:
    assert CATALOGUE.read_text("utf-8") == catalogue(), "run python -m tests.unit.labextension.messages"
