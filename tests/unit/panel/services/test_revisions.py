"""A history says in words what each revision changed."""

from __future__ import annotations

import json
from typing import Any

from mldeploy_jupyter.panel.services.revisions import describe_changes
from tests.unit.panel.conftest import Site


def revise(site: Site, id: str, outcome: str = "live", *, files: dict[str, str] | None = None, lock: str = "",
           operation: str = "update", seconds: float = 10.0, **fields: Any) -> None:  # fmt: skip
    """A deployment that made a revision with these fields, and a bundle with these files."""
    journal = site.begin(id, operation=operation)
    record = site.store.get_deployment(id)
    assert record is not None
    if files is not None:
        digest = f"{record.revision:064d}"
        bundle = site.folder.bundles / digest
        bundle.mkdir(parents=True)
        entries = {f"app/source/{n}": [d, 1] for n, d in files.items()}
        manifest = {"source_directory": "source", "entry_script": "source/score.py", "models": [], "files": entries}
        (bundle / "bundle.json").write_text(json.dumps(manifest))
        (bundle / "environment.lock").write_text(lock)
        fields["bundle_digest"] = digest
    site.store.update_revision("churn", record.revision, **fields)
    site.clock.seconds += seconds
    site.end(journal, outcome, id)


def test_the_history_of_a_service(site: Site) -> None:
    workers = {"compute_type": "Local", "passed": {"worker_count": 2}}
    revise(site, "d1", models=["diabetes:6"], files={"score.py": "a"})
    revise(site, "d2", models=["diabetes:7"], files={"score.py": "b"}, seconds=46.6)
    revise(site, "d3", "failed", models=["diabetes:8"], files={"score.py": "b"})
    revise(site, "d4", models=["diabetes:7"], files={"score.py": "b"}, deploy_config=workers)
    revise(site, "d5", models=["diabetes:6"], files={"score.py": "a"}, rolled_back_to=1)
    found = site.ask("service.history", service="churn")
    assert [(each["number"], each["outcome"]) for each in found] == [
        (5, "serving"), (4, "kept"), (3, "failed"), (2, "kept"), (1, "kept"),
    ]  # fmt: skip
    assert [each["changed"] for each in found] == [
        ["revision 1 again", "diabetes:7 → diabetes:6", "score.py", "workers 2 → 1"],
        ["workers 1 → 2"],
        ["diabetes:7 → diabetes:8"],
        ["diabetes:6 → diabetes:7", "score.py"],
        [],
    ]
    assert (found[3]["seconds"], found[3]["deployment"], found[0]["rolledBackTo"]) == (46.6, "d2", 1)


def test_files_models_packages_and_settings(site: Site) -> None:
    lock = "# python {}\nnumpy=={}\npandas==2.2.0\n"
    old = {"environment_variables": {"A": "1", "B": "secret"}, "auth_enabled": True}
    new = {"environment_variables": {"A": "2"}, "auth_enabled": False, "primary_key": "x", "tags": {"a": "b"}}
    revise(site, "d1", models=["a:1", "b:1"], files={"score.py": "a", "old.py": "a"}, lock=lock.format("3.11.7", "2.0"),
           deploy_config={"compute_type": "Local", "passed": old})  # fmt: skip
    revise(site, "d2", models=["a:1", "c:1"], files={"score.py": "a", "new.py": "a"}, lock=lock.format("3.12.1", "2.1"),
           deploy_config={"compute_type": "Local", "passed": new})  # fmt: skip
    assert site.ask("service.history", service="churn")[0]["changed"] == [
        "added c:1",
        "removed b:1",
        "added new.py",
        "removed old.py",
        "Python 3.11.7 → 3.12.1",
        "numpy 2.0 → 2.1",
        "key authentication on → off",
        "variables A, B",
    ]


def test_many_files_are_counted(site: Site) -> None:
    revise(site, "d1", files={f"f{number}.py": "a" for number in range(10)})
    revise(site, "d2", files={f"f{number}.py": "b" for number in range(10)})
    assert site.ask("service.history", service="churn")[0]["changed"] == ["f0.py", "f1.py", "f2.py", "7 more files"]


def test_a_bundle_that_was_removed_hides_nothing_else(site: Site) -> None:
    revise(site, "d1", models=["a:1"], bundle_digest="0" * 64)
    revise(site, "d2", models=["a:2"], files={"score.py": "a"})
    found = site.ask("service.history", service="churn")
    assert (found[1]["outcome"], found[0]["changed"]) == ("removed", ["a:1 → a:2"])
    first, second = (site.store.get_revision("churn", number) for number in (1, 2))
    assert first is not None and second is not None
    assert describe_changes(site.folder, second, second) == []
