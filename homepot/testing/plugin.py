"""The pytest plugin that decides which database the tests run on: `--database postgresql`.

It works before pytest-django reads the settings, so that neither a developer's `.env` nor
their environment reaches the tests.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from pytest_django.plugin import blocking_manager_key

from homepot.testing import browser
from homepot.testing.postgres import postgresql_server

ENGINES = ("sqlite", "postgresql")
ENV_EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
VERSION_STATEMENTS = {
    "sqlite": "SELECT 'SQLite ' || sqlite_version()",
    "postgresql": "SELECT 'PostgreSQL ' || current_setting('server_version')",
}

MEMORY = Path("/dev/shm")
MEMORY_NEEDED = 2 * 1024**3

folder_key = pytest.StashKey[Path]()
resources_key = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=ENGINES,
        default="sqlite",
        help="the engine to test on. PostgreSQL is the server that TEST_DATABASE_URL names, "
        "else one that is started for this run (default: sqlite)",
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    # Ends the run as Ctrl-C does, so that it still tidies up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    resources = early_config.stash[resources_key] = ExitStack()
    try:
        folder = early_config.stash[folder_key] = Path(tempfile.mkdtemp(prefix="homepot-tests-"))
        resources.callback(shutil.rmtree, folder, ignore_errors=True)
        engine = early_config.known_args_namespace.database
        _set_environment(_database_url(engine, folder, resources), folder)
        result = yield
        _use_database_file(resources.enter_context(_fast_folder(folder)))
        return result
    except BaseException:
        resources.close()
        raise


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # pytest itself would keep what the last three runs left in tmp_path.
    config.option.basetemp = config.option.basetemp or str(config.stash[folder_key] / "tmp")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[resources_key].close()


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [
        f"database: {_server_version(config)}",
        f"browser: {browser.find_chromium() or browser.NOT_FOUND}",
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if browser.find_chromium() is None:
        terminalreporter.write_line(browser.NOT_FOUND, red=True, bold=True)


def _database_url(engine: str, folder: Path, resources: ExitStack) -> str:
    if engine == "sqlite":
        return f"sqlite:///{quote(str(folder / 'homepot.db'))}"
    if url := os.environ.get("TEST_DATABASE_URL"):
        return url
    return resources.enter_context(postgresql_server())


def _set_environment(database_url: str, folder: Path) -> None:
    for name in re.findall(r"^#? ?([A-Z_]+)=", ENV_EXAMPLE.read_text(), re.MULTILINE):
        os.environ.pop(name, None)
    os.environ.pop("HOMEPOT_PROCESS", None)
    os.environ["HOMEPOT_ENV_FILE"] = os.devnull
    os.environ["SECRET_KEY"] = secrets.token_urlsafe(48)
    os.environ["DATABASE__URL"] = database_url
    os.environ["BACKUP__FOLDER"] = str(folder / "backups")


@contextmanager
def _fast_folder(otherwise: Path) -> Generator[Path]:
    """A new folder in memory where there is plenty: nothing in it has to survive a power cut.

    A disk that others keep busy may take longer to store one commit than SQLite waits.
    """
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED:
        with tempfile.TemporaryDirectory(prefix="homepot-tests-", dir=MEMORY) as folder:
            yield Path(folder)
    else:
        yield otherwise


def _use_database_file(folder: Path) -> None:
    """Give SQLite's tests a file: in memory it has no WAL, and threads could not share it."""
    from django.db import connection

    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(folder / "test.db")


def _server_version(config: pytest.Config) -> str:
    """Engine and version, from the engine itself."""
    from django.db import OperationalError, connection

    wanted = config.option.database
    if connection.vendor != wanted:
        raise pytest.UsageError(f"The run is on {connection.vendor} instead of {wanted}.")
    with config.stash[blocking_manager_key].unblock():
        try:
            with connection.cursor() as cursor:
                cursor.execute(VERSION_STATEMENTS[wanted])
                return str(cursor.fetchone()[0])
        except OperationalError as error:
            raise pytest.UsageError(str(error)) from None
        finally:
            connection.close()
