"""An editor completes on what the public calls return."""

from __future__ import annotations

import inspect

import jedi
import pytest

import mldeploy_jupyter
from mldeploy_jupyter import Model, Webservice
from mldeploy_jupyter.api.record_attribute import RecordAttribute

SETUP = """\
from mldeploy_jupyter import Environment, InferenceConfig, LocalWebservice, Model, Webservice, Workspace
ws = Workspace.from_config()
"""


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("ws.", {"models", "webservices", "environments"}),
        ("Workspace.create('x').", {"models"}),
        ("Model.register(ws, 'f', 'n').", {"version", "tags", "download"}),
        ("Model(ws, 'n').", {"version"}),
        ("Model.list(ws)[0].", {"version"}),
        ("Model.deploy(ws, 'n', [], None).", {"wait_for_deployment", "run", "rollback"}),
        ("Webservice.list(ws)[0].", {"get_logs"}),
        ("Webservice(ws, 'n').", {"scoring_uri"}),
        ("Webservice(ws, 'n').scoring_uri.", {"split"}),
        ("Webservice(ws, 'n').get_logs().", {"splitlines"}),
        ("Webservice(ws, 'n').get_access_token().", {"access_token"}),
        ("Webservice(ws, 'n').revisions.", {"kept", "append"}),
        ("Environment.from_pip_requirements('e', 'r').", {"register"}),
        ("Webservice(ws, 'n').latency().", {"summary", "compare", "to_json"}),
        ("ws.webservices['n'].", {"run"}),
        ("ws.models['n'].", {"version"}),
        ("Model(ws, 'n').run.", {"get_metrics", "download_file", "id"}),
        ("InferenceConfig(entry_script='s').", {"entry_script"}),
        ("mldeploy_jupyter.", {"ScoringError", "Workspace"}),
    ],
)
def test_an_editor_completes(code: str, names: set[str]) -> None:
    source = f"import mldeploy_jupyter\n{SETUP}{code}"
    assert names <= {found.name for found in jedi.Script(source).complete()}


@pytest.mark.parametrize("code", ["Webservice(ws, 'n')", "Model(ws, 'n')"])
def test_every_attribute_has_a_type_that_an_editor_reads(code: str) -> None:
    owner = {"Webservice": Webservice, "Model": Model}[code.partition("(")[0]]
    names = [name for name, value in inspect.getmembers_static(owner) if isinstance(value, RecordAttribute)]
    assert len(names) > 5
    unknown = [name for name in names if not jedi.Script(f"{SETUP}{code}.{name}.").complete()]
    assert unknown == []


def test_signatures_show_no_objects() -> None:
    for name in mldeploy_jupyter.__all__:
        for attribute, value in inspect.getmembers(getattr(mldeploy_jupyter, name)):
            if inspect.isroutine(value) and not attribute.startswith("_"):
                try:
                    shown = str(inspect.signature(value))
                except (ValueError, TypeError):  # no Python code; or a cached property
                    continue
                assert " at 0x" not in shown, f"{name}.{attribute}{shown}"


def test_the_names_of_the_package_are_the_public_ones() -> None:
    assert [name for name in dir(mldeploy_jupyter) if not name.startswith("__")] == sorted(mldeploy_jupyter.__all__)
