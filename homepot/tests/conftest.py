"""What tests of commands need: databases of their own, and processes to run."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from django.conf import settings
from django.db import connection
from psycopg import sql

from homepot.testing.processes import is_listening, wait_until
from homepot.tests.installations import Installation
from homepot.transfer.databases import options_of

# Reached when something is wrong only, however busy the machine is.
COMMAND_SECONDS = 300
START_SECONDS = 120
SETTLE_SECONDS = 0.5


def run_python(
    *arguments: str,
    cwd: Path = settings.BASE_DIR,
    python: str = sys.executable,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run Python with `arguments` to its end, with `environment` beside the run's own."""
    return subprocess.run(
        [python, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )


def assert_refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """It ended with status 1 and one line, which holds all of `words`."""
    lines = result.stderr.splitlines()
    assert (result.returncode, len(lines)) == (1, 1), result.stderr
    assert [word for word in words if word not in lines[0]] == [], lines[0]


def execute(url: str, *statements: str) -> list[Any]:
    """Run `statements` past Django; return the rows of the last."""
    if url.startswith("sqlite"):
        connected = sqlite3.connect(url.removeprefix("sqlite:///"))
    else:
        connected = psycopg.connect(url)
    with closing(connected) as database:
        for statement in statements:
            rows = database.execute(statement)
        database.commit()
        return rows.fetchall() if rows.description else []


class Program:
    """A program that runs until it is told to end; its words are in `output`."""

    def __init__(
        self, *arguments: str, output: Path, cwd: Path = settings.BASE_DIR, **environment: str
    ) -> None:
        self.output_path = output
        with output.open("wb") as file:
            self.process = psutil.Popen(
                [sys.executable, *arguments],
                cwd=cwd,
                env=os.environ | environment,
                stdout=file,
                stderr=file,
                # As a terminal would: what is sent to the group reaches all of it.
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.output_path.read_text()

    def wait_for(self, words: str) -> None:
        """Wait until `words` are in its output."""
        deadline = time.monotonic() + START_SECONDS
        while words not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def wait_for_workers(self, number: int, port: str) -> None:
        """Wait until `number` workers of the web server have started, and `port` is open."""
        for worker in range(1, number + 1):
            self.wait_for(f"Started worker-{worker}")
        # Which it says a moment before it listens.
        wait_until(lambda: is_listening(int(port)))

    def end(self, number: int, *, group: bool = False) -> int:
        """Send a signal, to the whole group as Ctrl-C does or to the one process.

        Returns its status, once it and all that it started have ended.
        """
        # In the moment in which a worker of the server says that it has started, it is deaf.
        time.sleep(SETTLE_SECONDS)
        family = [self.process, *self.process.children(recursive=True)]
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        _, left = psutil.wait_procs(family, timeout=COMMAND_SECONDS)
        assert left == [], self.output
        return int(self.process.wait())

    def kill(self) -> None:
        """End it and all that it started, whatever state they are in."""
        with suppress(psutil.NoSuchProcess):
            for process in [*self.process.children(recursive=True), self.process]:
                process.kill()
        self.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """`start("manage.py", "serve")` runs a program beside the test and ends it after."""
    started: list[Program] = []

    def start_program(*arguments: str, **options: Any) -> Program:
        output = tmp_path / f"output-{len(started)}"
        started.append(Program(*arguments, output=output, **options))
        return started[-1]

    yield start_program
    for program in started:
        program.kill()


@pytest.fixture
def free_port() -> str:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def sqlite() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has nothing of the kind")


@pytest.fixture
def postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has nothing of the kind")


@contextmanager
def new_database(folder: Path, *, copy_of: str | None = None) -> Iterator[str]:
    """Make a database of this run's engine, empty or like `copy_of`, and yield its URL."""
    name = f"test_{secrets.token_hex(6)}"
    if connection.vendor == "sqlite":
        path = folder / f"{name}.db"
        if copy_of:
            shutil.copy(copy_of.removeprefix("sqlite:///"), path)
        yield f"sqlite:///{path}"
        return
    server_url = urlsplit(os.environ["DATABASE__URL"])
    template = urlsplit(copy_of).path[1:] if copy_of else "template1"
    create, drop = (
        sql.SQL(statement).format(name=sql.Identifier(name), template=sql.Identifier(template))
        for statement in (
            "CREATE DATABASE {name} TEMPLATE {template}",
            "DROP DATABASE {name} WITH (FORCE)",
        )
    )
    with psycopg.connect(server_url.geturl(), autocommit=True) as server:
        server.execute(create)
        try:
            yield server_url._replace(path=f"/{name}").geturl()
        finally:
            server.execute(drop)


@pytest.fixture
def empty_database_url(tmp_path: Path) -> Iterator[str]:
    """A database of this run's engine, without tables, that nobody else uses."""
    with new_database(tmp_path) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_template_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with new_database(tmp_path_factory.mktemp("template")) as url:
        migrated = run_python("manage.py", "migrate", DATABASE__URL=url)
        assert migrated.returncode == 0, migrated.stderr
        yield url


@pytest.fixture
def migrated_database_url(migrated_template_url: str, tmp_path: Path) -> Iterator[str]:
    """A database of this run's engine, with tables and no rows, that nobody else uses."""
    with new_database(tmp_path, copy_of=migrated_template_url) as url:
        yield url


@pytest.fixture
def installation(migrated_database_url: str, tmp_path: Path, settings: Any) -> Installation:
    """A database with a few rows, which commands take for the one of the settings."""
    settings.BACKUP_FOLDER = tmp_path / "backups"
    # Nobody waits long to see that no service is there.
    settings.PULSE_SECONDS = 0.02
    found = Installation(migrated_database_url, settings.BACKUP_FOLDER)
    settings.OWNER_DATABASE = found.options
    return found


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Options of a database without tables."""
    with new_database(tmp_path) as url:
        yield options_of(url)


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`type_in("homepot.db")` answers what a command asks."""

    def answer(text: str) -> None:
        monkeypatch.setattr("builtins.input", lambda: text)

    return answer
