"""A copy of the project, for tests of what is done in its folder."""

from __future__ import annotations

import shutil
import site
import venv
from pathlib import Path

from homepot.testing.guides import ROOT

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".env", ".*_cache", "data", "staticfiles", "__pycache__", "docs"
)


def copy_project(folder: Path) -> Path:
    """Copy what is kept in the repository, but for the guides, to a new `folder`.

    Its `.venv` finds the packages of the environment that runs the tests.
    """
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    venv.create(folder / ".venv", symlinks=True, with_pip=False)
    packages = next((folder / ".venv" / "lib").glob("python3.*")) / "site-packages"
    (packages / "borrowed.pth").write_text("\n".join(site.getsitepackages()))
    return folder
