"""A second database for tests of moving data: SQLite on both runs, so that one run crosses."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homepot.tests.conftest import run_python
from homepot.transfer.databases import database


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("transfer") / "migrated.db"
    migrated = run_python("manage.py", "migrate", DATABASE__URL=f"sqlite:///{path}")
    assert migrated.returncode == 0, migrated.stderr
    return path


@pytest.fixture
def other_url(migrated_file: Path, tmp_path: Path) -> str:
    """A migrated SQLite database without rows of its own."""
    path = tmp_path / "other.db"
    shutil.copy(migrated_file, path)
    return f"sqlite:///{path}"


@pytest.fixture
def other(db: None, other_url: str) -> Iterator[Any]:
    """Django's connection to `other_url`."""
    with database(other_url) as connection:
        yield connection
