"""The pages agree with the code: generated pages are fresh, the others are complete, links resolve."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mldeploy_jupyter.core import errors
from mldeploy_jupyter.core.configs import SPECS
from mldeploy_jupyter.serving.scoring import messages
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.worker import app
from tests.unit.docs import generate

DOCS = generate.ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
OURS = [page for page in PAGES if page.name != "migrating.md"]
MAX_LINES = 200  # of a page that people write; a generated table is as long as it must be


def shown(page: Path) -> str:
    return str(page.relative_to(DOCS))


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_fresh(name: str) -> None:
    """Stale? Run `python -m tests.unit.docs.generate`."""
    assert (generate.REFERENCE / name).read_text() == generate.PAGES[name]()


def test_every_cause_has_its_section() -> None:
    codes = set()
    for path in (generate.PACKAGE / "core" / "diagnosis").rglob("*.py"):
        codes |= set(re.findall(r'(?:\b[cC]ause\(\s*|^_CODE = )"([a-z-]+)"', path.read_text(), re.M))
        if path.name in ("container_rules.py", "image_rules.py"):  # a cause has the code of its failure
            codes |= set(re.findall(r'(?:^    |facts\.code != )"([a-z]+-[a-z-]+)"(?::|$)', path.read_text(), re.M))
            codes |= set(re.findall(r'facts\.code != "([a-z-]+)"', path.read_text()))
    assert len(codes) > 20
    assert codes == set(generate.MEANING)
    assert len(set(generate.cause_examples()) & codes) > 20


def test_every_rule_across_settings_has_an_example() -> None:
    """Each example breaks a rule, and every rule of a target is broken by one."""
    assert SPECS and all(spec.rules and generate.BROKEN[kind] for kind, spec in SPECS.items())
    for kind, spec in SPECS.items():
        silent = list(spec.rules)
        for passed in generate.BROKEN[kind]:
            found = [rule for rule in spec.rules if list(rule(passed))]
            assert found, f"{kind}: nothing refuses {passed}"
            silent = [rule for rule in silent if rule not in found]
        assert not silent, f"{kind}: no example breaks {silent}"


def test_the_tree_of_errors_is_complete() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and hasattr(kind, "code")}
    named = {re.findall(r"`(\w+)`", row[0])[0] for row in generate.error_rows()}
    assert named == kinds


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_links_resolve(page: Path) -> None:
    for text, target in links(page):
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{shown(page)}: [{text}]({target})"
        if anchor:
            assert anchor in anchors(file), f"{shown(page)}: [{text}]({target})"


def test_links_are_found() -> None:
    """So that no page passes `test_links_resolve` because the pattern matches nothing."""
    assert all(
        links(page) for page in (DOCS / "index.md", DOCS / "concepts" / "causes.md", DOCS / "reference" / "cli.md")
    )


def links(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"\[([^\]]+)\]\(([^)\s]+)\)", page.read_text())


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_page_is_reached_from_the_index() -> None:
    linked = set(re.findall(r"\]\(([\w/-]+\.md)\)", (DOCS / "index.md").read_text()))
    assert {shown(page) for page in PAGES} - {"index.md"} == linked


@pytest.mark.parametrize("page", OURS, ids=shown)
def test_the_style_of_pages(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"(?<![\w/])/(?:work|root|tmp|home)/", text), "a path of this machine"
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    found = re.findall(r"\b(simply|just|easy|easily|obviously|of course|powerful|seamless\w*)\b", prose, re.I)
    # A generated page has the words of the code.
    assert page.name in generate.PAGES or not found
    if page.name not in generate.PAGES:
        assert len(text.splitlines()) <= MAX_LINES
        assert max(len(line) for line in prose.splitlines() if not line.startswith("|")) <= 120


def test_every_environment_variable_is_documented() -> None:
    """Those of the package's own code: each in the page, and nothing in the page that the code does not know."""
    page = (generate.REFERENCE / "environment-variables.md").read_text()
    pattern = r"\b(?:MLDEPLOY|AZUREML|AML)_[A-Z][A-Z_]*[A-Z]\b"
    used = set()
    for path in generate.PACKAGE.rglob("*.py"):
        # Quoted, or as a keyword of a mapping: not the names of Python constants.
        used |= set(re.findall(rf"[\"']({pattern})[\"']", path.read_text()))
    assert {"MLDEPLOY_WORKSPACE", "AZUREML_MODEL_DIR", "AML_APP_ROOT"} <= used
    assert used == set(re.findall(pattern, page))


def test_every_error_response_is_documented() -> None:
    page = (generate.REFERENCE / "http.md").read_text()
    found: set[tuple[str, str]] = set()
    for path in (generate.PACKAGE / "serving").rglob("*.py"):
        text = path.read_text()
        found |= set(re.findall(r"(?:error_response|_refuse)\(\s*(\d{3}),\s*\"([a-z0-9-]+)\"", text))
    assert len(found) > 15
    for status, code in found | {("503", "not-serving")}:
        assert re.search(rf"^\| {status} \| `{code}` \|", page, re.M), f"{status} {code} is not in http.md"
    named = set(re.findall(r"^\| (\d{3}) \| `([a-z0-9-]+)` \|", page, re.M))
    assert named == found | {("503", "not-serving")}


def test_limits_of_the_server_are_documented() -> None:
    page = (generate.REFERENCE / "http.md").read_text()
    settings = Settings()
    for words in (
        f"| `max_queue_length` | {settings.max_queue} requests |",
        f"| `max_request_wait_time` | {settings.max_queue_wait_ms / 1000:g} s |",
        f"| `scoring_timeout_ms` | {settings.scoring_timeout_ms / 1000:g} s |",
        f"| `max_request_body_mb` | {settings.max_body_bytes // 2**20} MB |",
        f"| `drain_timeout` | {settings.drain_timeout:g} s |",
        f"longer than {app.MAX_ID} characters",
    ):
        assert words in page
    assert messages.error_response(400, "x", "y").headers == messages.JSON


def test_the_page_of_files_is_complete() -> None:
    """Names of folders and files that the code makes are in files.md."""
    page = (generate.REFERENCE / "files.md").read_text()
    for name in ("cells", "deployments", "services", "bundles", "runs", "artifacts", "store.db", "config.json"):
        assert name in page
    text = "".join(path.read_text() for path in (generate.PACKAGE / "serving").rglob("*.py"))
    written = set(re.findall(r'folder / "([\w.-]+)"', text))
    assert {"supervisor.json", "live.json", "keys.json"} <= written
    for name in written:
        # `memory.*` are the kernel's files, in a memory cgroup.
        assert name in page or name.startswith("memory."), name


def test_states_of_a_service_are_documented() -> None:
    """The word that tables show and v1's word of `service.state`, once and as the code has them."""
    from mldeploy_jupyter.api.webservices.details import STATES

    page = (generate.ROOT / "docs" / "concepts" / "deployments.md").read_text()
    assert dict(re.findall(r"^\| (\w+) \| `(\w+)` \|", page, re.M)) == STATES
