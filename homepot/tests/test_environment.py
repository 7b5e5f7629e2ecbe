"""How `.venv` is made, with real environments and a small package of our own."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from django.conf import settings

from homepot.tests.conftest import assert_refused, run_python

MAKE = ("-m", "scripts.environment", "requirements.txt")
INSTALLING = "Installing what requirements.txt names"


@pytest.fixture
def project(tmp_path):
    """The scripts, without requirements yet."""
    shutil.copytree(settings.BASE_DIR / "scripts", tmp_path / "scripts")
    return tmp_path


def require(project, version, *, digest=None):
    """Let the project need `version` of a package that holds nothing."""
    wheel = project / f"tiny-{version}-py3-none-any.whl"
    info = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    digest = digest or hashlib.sha256(wheel.read_bytes()).hexdigest()
    (project / "requirements.txt").write_text(f"./{wheel.name} --hash=sha256:{digest}\n")


def installed(project):
    return [path.name for path in project.glob(".venv/lib/*/site-packages/tiny-*")]


def test_environment_follows_the_requirements_and_is_left_alone_otherwise(project):
    # What an interrupted run may leave.
    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    require(project, "1.0")
    first = run_python(*MAKE, cwd=project)
    assert (first.returncode, installed(project)) == (0, ["tiny-1.0.dist-info"]), first.stderr
    again = run_python(*MAKE, cwd=project)
    assert (again.returncode, again.stdout) == (0, "")
    require(project, "2.0")
    updated = run_python(*MAKE, cwd=project)
    assert INSTALLING in updated.stdout
    assert installed(project) == ["tiny-2.0.dist-info"]
    require(project, "3.0", digest="0" * 64)
    for _ in range(2):  # what failed is tried again
        refused = run_python(*MAKE, cwd=project)
        assert refused.returncode == 1
        assert refused.stderr.splitlines()[-1] == (
            "homepot: Installing what requirements.txt names failed; pip says why above."
        )
    assert installed(project) == ["tiny-2.0.dist-info"]


def test_python_without_venv_is_told_which_package_it_lacks(project):
    """As Debian's is without its package python3-venv."""
    require(project, "1.0")
    library = Path(sysconfig.get_path("stdlib"))
    copy = project / "home" / "lib" / library.name
    copy.mkdir(parents=True)
    for entry in library.iterdir():
        if entry.name != "ensurepip":
            (copy / entry.name).symlink_to(entry)
    result = run_python(
        *MAKE, cwd=project, python=sys._base_executable, PYTHONHOME=str(project / "home")
    )
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert_refused(result, f"`apt install python{version}-venv`")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use any folder")
def test_environment_of_another_account_is_named(project):
    require(project, "1.0")
    programs = project / ".venv" / "bin"
    programs.mkdir(parents=True)
    (project / ".venv" / "installed.json").write_text("{}")
    programs.chmod(0)
    try:
        result = run_python(*MAKE, cwd=project)
    finally:
        programs.chmod(0o755)
    assert_refused(result, f"homepot: This account may not use {programs / 'python'}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder")
def test_folder_that_may_not_be_written_to_is_named(project):
    require(project, "1.0")
    project.chmod(0o555)
    try:
        result = run_python(*MAKE, cwd=project)
    finally:
        project.chmod(0o755)
    assert_refused(result, f"homepot: The folder {project} cannot be written to")
