"""A second database for tests of moving data: SQLite on both runs, so that one run crosses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from homepot.tests.conftest import run_python
from homepot.tests.transfer.rows import fill
from homepot.transfer.databases import database, options_of


@pytest.fixture(scope="session")
def migrated_file(migrated_template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if connection.vendor == "sqlite":
        return Path(migrated_template_url.removeprefix("sqlite:///"))
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
    """An open connection to `other_url`."""
    with database(other_url) as connection:
        yield connection


@pytest.fixture
def filled_url(other_url: str) -> str:
    """An SQLite database with rows of every kind."""
    with database(other_url) as connection:
        fill(connection.alias)
    return other_url


@dataclass(frozen=True)
class Told:
    """How the command ended, what it said and what it reported."""

    status: int
    said: str
    report: dict[str, Any]


@pytest.fixture
def copy(settings: Any, tmp_path: Path) -> Callable[..., Told]:
    """`copy(source_url, target_url, "--resume")` runs the command."""

    def run(source: str, target: str, *options: str) -> Told:
        settings.OWNER_DATABASE = options_of(source)
        said, report = StringIO(), tmp_path / "report.json"
        arguments = ["--to", target, "--report", str(report), *options]
        status = 0
        try:
            call_command("copy_database", *arguments, stdout=said, verbosity=0)
        except CommandError as error:
            said.write(str(error))
            status = error.returncode
        except SystemExit as end:
            status = int(str(end.code))
        return Told(status, said.getvalue(), json.loads(report.read_text()))

    return run
