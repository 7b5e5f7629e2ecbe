"""Starting on a database that cannot be used: one line that says which, and status 1."""

from __future__ import annotations

import os
import secrets
import socket
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from django.db import connection
from psycopg import sql

from homepot.tests.conftest import assert_refused, run_python

PASSWORD = "s3cret/word"

each_program = pytest.mark.parametrize(
    "program", [("manage.py", "migrate"), ("manage.py", "serve"), ("manage.py", "first_run")]
)


@pytest.fixture
def closed_port():
    with closing(socket.socket()) as reserved:
        reserved.bind(("127.0.0.1", 0))  # and never listens
        yield reserved.getsockname()[1]


@pytest.fixture
def server_url():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no server that could refuse")
    return urlsplit(os.environ["DATABASE__URL"])


@pytest.fixture
def role(server_url):
    """A role that the server asks for its password, PASSWORD."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server_url.geturl(), autocommit=True) as server:
        create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        server.execute(create.format(sql.Identifier(name), PASSWORD))
        rules_path = Path(server.execute("SHOW hba_file").fetchone()[0])
        rules = None
        if not os.environ.get("TEST_DATABASE_URL"):  # its own server trusts everybody
            rules = rules_path.read_text()
            rules_path.write_text(f"local all {name} scram-sha-256\n{rules}")
            server.execute("SELECT pg_reload_conf()")
        try:
            wait_for_password_check(address_of(name, "wrong", server_url))
            yield name
        finally:
            if rules is not None:
                rules_path.write_text(rules)
                server.execute("SELECT pg_reload_conf()")
            server.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def wait_for_password_check(url):
    deadline = time.monotonic() + 5
    with suppress(psycopg.OperationalError):
        while time.monotonic() < deadline:
            psycopg.connect(url).close()
            time.sleep(0.05)
        pytest.skip("TEST_DATABASE_URL names a server that accepts any password")


def address_of(role, password, server_url):
    place = server_url.netloc.rpartition("@")[2]
    return server_url._replace(netloc=f"{role}:{quote(password, safe='')}@{place}").geturl()


def host_and_port(server_url):
    """As the message spells them, for a socket's folder as for an address."""
    options = psycopg.conninfo.conninfo_to_dict(server_url.geturl())
    return f"{options['host']}:{options.get('port', 5432)}"


@each_program
@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"mysql://till:{PASSWORD}@db/homepot", ["DATABASE__URL", "'mysql'"]),
        (f"till:{PASSWORD}@db/homepot", ["DATABASE__URL"]),
        (f"postgresql://till:{PASSWORD}@db:port/homepot", ["DATABASE__URL"]),
        (
            f"postgresql://till:{quote(PASSWORD, safe='')}@db.invalid:5433/shop",
            ["database shop", "db.invalid:5433", "user till"],
        ),
        (
            "postgresql://till@127.0.0.1:1/shop?nonsense=1",
            ["database shop", "127.0.0.1:1", "user till", "nonsense"],
        ),
        ("sqlite:////missing/folder/homepot.db", ["/missing/folder/homepot.db"]),
        ("sqlite:////proc/homepot.db", ["/proc/homepot.db"]),  # not even root may write there
        ("sqlite:////", ["SQLite database /"]),
    ],
)
def test_wrong_url_ends_in_one_line(program, url, words):
    result = run_python(*program, DATABASE__URL=url)
    assert_refused(result, "homepot: ", *words)
    assert PASSWORD not in result.stderr


@each_program
def test_server_that_is_not_there_ends_in_one_line(program, closed_port):
    url = f"postgresql://till@127.0.0.1:{closed_port}/shop"
    assert_refused(
        run_python(*program, DATABASE__URL=url),
        f"homepot: Cannot connect to the PostgreSQL database shop at 127.0.0.1:{closed_port} "
        "as user till: Connection refused.",
    )


@each_program
def test_wrong_password_ends_in_one_line(program, role, server_url):
    url = address_of(role, "wr0ng/word", server_url)
    result = run_python(*program, DATABASE__URL=url)
    assert_refused(
        result,
        f"homepot: Cannot connect to the PostgreSQL database {server_url.path[1:]} at "
        f"{host_and_port(server_url)} as user {role}: FATAL: password authentication failed",
    )
    assert "wr0ng" not in result.stderr


def test_right_password_is_let_in(role, empty_database_url):
    url = address_of(role, PASSWORD, urlsplit(empty_database_url))
    result = run_python("manage.py", "migrate", "--plan", DATABASE__URL=url)
    assert result.returncode == 0, result.stderr


def test_role_without_rights_ends_in_one_line(role, empty_database_url):
    with psycopg.connect(empty_database_url, autocommit=True) as database:
        database.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    url = address_of(role, PASSWORD, urlsplit(empty_database_url))
    assert_refused(
        run_python("manage.py", "migrate", DATABASE__URL=url),
        f"as user {role}: permission denied for schema public",
    )


@each_program
def test_missing_database_ends_in_one_line(program, server_url):
    url = server_url._replace(path="/missing").geturl()
    assert_refused(
        run_python(*program, DATABASE__URL=url),
        f"homepot: Cannot connect to the PostgreSQL database missing at "
        f"{host_and_port(server_url)} as user ",
        'FATAL: database "missing" does not exist.',
    )


@each_program
def test_file_that_is_no_database_ends_in_one_line(program, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("Some notes, and not what SQLite expects at the beginning of a file.\n" * 20)
    assert_refused(
        run_python(*program, DATABASE__URL=f"sqlite:///{path}"),
        f"homepot: Cannot open the SQLite database {path}: file is not a database.",
    )


@each_program
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder")
def test_folder_that_may_not_be_written_to_ends_in_one_line(program, tmp_path):
    path = tmp_path / "homepot.db"
    tmp_path.chmod(0o555)
    try:
        result = run_python(*program, DATABASE__URL=f"sqlite:///{path}")
    finally:
        tmp_path.chmod(0o755)
    assert_refused(result, f"homepot: Cannot open the SQLite database {path}: ")


@each_program
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any file")
def test_file_that_may_not_be_written_to_ends_in_one_line(program, tmp_path):
    path = tmp_path / "homepot.db"
    url = f"sqlite:///{path}"
    run_python("manage.py", "migrate", DATABASE__URL=url)
    path.chmod(0o444)
    assert_refused(
        run_python(*program, DATABASE__URL=url),
        f"homepot: Cannot open the SQLite database {path}: this user may not write to it.",
    )
