"""Pictures of the extension in a real JupyterLab, to look at: python -m tests.browser.lab_pictures [FOLDER] [--dark].

One command shows what changed: sidebar, panel, forms, menus, launcher, status bar and a notice. FOLDER is
`build/lab/` unless it is named.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.browser.lab import Lab, open_browser
from tests.browser.lab_page import SCRIPT, LabPage, deploy, mldeploy
from tests.browser.notebook import make_notebook
from tests.integration.notebook.conftest import end_services
from tests.polling import wait_until

ROOT = Path(__file__).parents[2]


def take(lab: Lab, page: Any, folder: Path, dark: bool) -> None:
    """Takes all pictures into the folder."""
    shown = LabPage(lab, page)

    def shoot(name: str) -> None:
        page.wait_for_timeout(500)  # the last animation of JupyterLab's own
        page.screenshot(path=folder / f"{name}.png")

    shown.open()
    if dark:
        shown.run("apputils:change-theme", theme="JupyterLab Dark")
    shown.show_sidebar()
    shoot("1-empty")
    (lab.folder / "churn.pkl").write_bytes(b"model" * 1000)
    (lab.folder / "score.py").write_text(SCRIPT, "utf-8")
    (lab.folder / "broken.py").write_text(SCRIPT.replace('os.environ.get("BROKEN")', "True"), "utf-8")
    for _ in range(3):
        mldeploy(lab, "model", "register", "-n", "churn", "-p", "churn.pkl")
    deploy(lab, "churn", "-m", "churn:2")
    deploy(lab, "house-prices")
    mldeploy(lab, "service", "stop", "house-prices")
    mldeploy(lab, "model", "deploy", "broken-one", "--entry-script", "broken.py", wait=False)
    gate = lab.folder / "gate"
    deploy(lab, "churn-gradient-boosting-eu-green", "--no-wait", "--env", f"GATE={gate}")
    shown.wait_for_row("churn", "Live")
    shoot("2-sidebar-launcher-notice")
    shown.row("churn").first.hover()
    shown.row("churn").first.click(button="right")
    shoot("3-menu")
    page.keyboard.press("Escape")
    shown.run("mldeploy:open-service", service="churn")
    shown.panel("churn").get_by_role("tab", name="Test").wait_for()
    shoot("4-panel")
    shown.run("mldeploy:deploy")
    page.get_by_role("form", name="Deploy a model").wait_for()
    shoot("5-deploy-form")
    shown.run("filebrowser:activate")
    shown.file("churn.pkl").click(button="right")
    shoot("6-file-browser")
    shown.choose("Register as model")
    page.get_by_role("form", name="Register a model").wait_for()
    shoot("7-register-form")
    make_notebook(lab, page, "'a notebook'")
    shown.show_sidebar()
    shown.run("mldeploy:open-service", service="broken-one")
    shown.panel("broken-one").wait_for()
    shoot("8-failed")
    gate.touch()
    shown.wait_for_row("churn-gradient-boosting-eu-green", "Live")
    wait_until(lambda: page.locator(".Toastify__toast").count())
    shoot("9-notice")


def main(words: list[str]) -> None:
    folder = Path(next((word for word in words if not word.startswith("-")), ROOT / "build" / "lab"))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        os.environ["MLDEPLOY_HOME"] = str(place / "home")  # none of the user's services
        lab = Lab(place / "lab")
        try:
            with open_browser(place / "profile") as browser:
                take(lab, browser.new_page(), folder, "--dark" in words)
        finally:
            lab.close()
            end_services(lab.folder)
    print(f"pictures: {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
