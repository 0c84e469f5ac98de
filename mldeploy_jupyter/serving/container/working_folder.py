"""The folder in which the workers of a revision run: the image is read-only, and a script may write beside itself.

<state folder>/revisions/<number>/app/      AML_APP_ROOT
    <source folder>/...                     a copy of the image's, or code that came later
    azureml-models                          a symbolic link to the image's: models are large and only read
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from ..system.removal import remove_tree

MODELS = "azureml-models"

FOLDER = "revisions"


def create_working_folder(folder: Path, revision: int, image_app: Path, source: Path | None = None) -> Path:
    """Makes the working folder of a revision, from the image's code or from `source`, which is moved.

    Raises `OSError`.
    """
    (folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
    app = _reserve(folder / FOLDER, revision) / "app"
    try:
        if source is not None:
            shutil.move(str(source), str(app))
        else:
            shutil.copytree(image_app, app, symlinks=True, ignore=lambda path, _: _skipped(path, image_app))
        for path, _, names in os.walk(app):
            for name in ("", *names):
                _make_writable(os.path.join(path, name))
        if (image_app / MODELS).is_dir() and not (app / MODELS).exists():
            (app / MODELS).symlink_to(image_app / MODELS)
    except OSError:
        remove_tree(app.parent)
        raise
    return app


def remove_unused(folder: Path, used: Path | None) -> None:
    """Removes the working folders of revisions that failed or were cut off. `used` is the `app_root` that stays."""
    for path in (folder / FOLDER).glob("*"):
        if used is None or path / "app" != used:
            remove_tree(path)


def _reserve(revisions: Path, revision: int) -> Path:
    """A new folder, named after the revision; the workers of one with the same number may still use theirs."""
    number = 1
    while True:
        path = revisions / (str(revision) if number == 1 else f"{revision}-{number}")
        try:
            path.mkdir(mode=0o700)
            return path
        except FileExistsError:
            number += 1


def _skipped(path: str, image_app: Path) -> list[str]:
    return [MODELS] if Path(path) == image_app else []


def _make_writable(path: str) -> None:
    mode = os.lstat(path).st_mode
    if not stat.S_ISLNK(mode):
        os.chmod(path, stat.S_IMODE(mode) | (0o700 if stat.S_ISDIR(mode) else 0o600))
