"""Tab completion on the lines of magics."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from mldeploy_jupyter.notebook.completion import Matcher
from mldeploy_jupyter.notebook.magics import magics
from mldeploy_jupyter.notebook.session import Session


def test_completion_matches_only_lines_of_these_magics(session: Session, folder: Path) -> None:
    (folder / "score.py").touch()
    matcher = Matcher(session, magics(session))
    assert matcher.find("%deploy churn --overw") == (["--overwrite"], "--overw")
    assert matcher.find("svc = %deploy churn --to l") == (["local"], "l")
    assert matcher.find("a, b = %services --al") == (["--all-workspaces"], "--al")
    assert matcher.find("%%entry_script sc") == (["score.py"], "sc")
    assert matcher.find("%register churn m") == (["model"], "m")
    assert matcher.find("%mldeploy mod") == (["model"], "mod")
    assert matcher.find("%timeit x --overw") == ([], "")
    assert matcher.find("deploy(x, --overw") == ([], "")
    assert matcher.find("%logs 'open quote") == ([], "quote")
    assert matcher(SimpleNamespace(text_until_cursor="x.y")) == {"completions": []}
    # A variable and a file, wherever the name stands.
    (folder / "model.pkl").touch()
    for line in ("%register churn mod", "%register -n churn mod"):
        assert matcher.find(line) == (["model", "model.pkl"], "mod")


def test_completion_offers_the_long_names_of_the_settings_of_the_target(session: Session, folder: Path) -> None:
    matcher = Matcher(session, magics(session))
    local, aci, aks = (matcher.find(f"%deploy x {to}--")[0] for to in ("", "--to aci ", "--cp aks "))
    assert {"--port", "--entry-script", "--target", "--tag", "--wait", "--worker-count", "--env"} <= set(local)
    assert not {"--es", "--dc", "--ic", "--to", "--script", "--autoscale-enabled", "--location", "--namespace"} & set(
        local
    )
    assert all(len(flag) > 4 for flag in local)
    assert "--location" in aci and "--namespace" not in aci and "--namespace" in aks and "--location" not in aks
    assert matcher.find("%deploy x --t")[0] == [
        *("--tag", "--target", "--timeout-sec", "--token-auth-enabled", "--tracing"),
    ]
    assert matcher.find("%deploy x --to")[0] == ["--to", "--token-auth-enabled"]
    assert matcher.find("%deploy x --scr")[0] == ["--script"]
    every = next(magic.help(every_option=True) for magic in magics(session) if magic.name == "deploy")
    assert every.index("Common options:") < every.index("Not in this version: settings of AKS:")
