"""From DATABASE__URL to Django's options."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from homepot.database import database_options, describe_database

BASE_DIR = Path("/srv/homepot")


def options_of(url, *, pool_size=5, max_overflow=10, is_web_process=False):
    return database_options(
        url,
        base_dir=BASE_DIR,
        pool_size=pool_size,
        max_overflow=max_overflow,
        is_web_process=is_web_process,
    )


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("", "/srv/homepot/data/homepot.db"),
        ("  ", "/srv/homepot/data/homepot.db"),
        ("sqlite:///data/homepot.db", "/srv/homepot/data/homepot.db"),
        ("sqlite:///./data/homepot.db", "/srv/homepot/data/homepot.db"),
        ("sqlite:///other.db", "/srv/homepot/other.db"),
        ("sqlite:///../other.db", "/srv/other.db"),
        ("sqlite:////var/lib/homepot.db", "/var/lib/homepot.db"),
        ("SQLite:////var/lib/homepot.db", "/var/lib/homepot.db"),
        ("sqlite:////var/lib/my%20shop.db", "/var/lib/my shop.db"),
        ("sqlite:////var/lib/homepot.db?timeout=5", "/var/lib/homepot.db"),
        ("sqlite+aiosqlite:////var/lib/homepot.db", "/var/lib/homepot.db"),
        # Seen from the folder of the server that this one replaces.
        ("sqlite:///../data/homepot.db", "/srv/homepot/data/homepot.db"),
        ("sqlite+aiosqlite:///../data/homepot.db", "/srv/homepot/data/homepot.db"),
    ],
)
def test_sqlite_path(url, path):
    options = options_of(url)
    assert (options["ENGINE"], options["NAME"]) == ("homepot.sqlite", path)


@pytest.mark.parametrize("is_web_process", [True, False])
def test_sqlite_waits_for_other_writers_and_keeps_what_it_confirmed(is_web_process):
    assert options_of("", is_web_process=is_web_process)["OPTIONS"] == {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg", "PostgreSQL"]
)
def test_postgresql_spellings(scheme):
    options = options_of(f"{scheme}://till:pass@db.example.com:5433/homepot")
    assert {
        key: options[key] for key in ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")
    } == {
        "ENGINE": "homepot.postgresql",
        "NAME": "homepot",
        "USER": "till",
        "PASSWORD": "pass",
        "HOST": "db.example.com",
        "PORT": 5433,
    }


@pytest.mark.parametrize(
    ("written", "password"),
    [
        ("p%40ss", "p@ss"),
        ("p%3Ass%2Fword", "p:ss/word"),
        ("p%23%3F%25", "p#?%"),
        ("%C3%A9", "é"),
        ("a+b", "a+b"),
        ("", ""),
    ],
)
def test_postgresql_password_is_unescaped(written, password):
    assert options_of(f"postgresql://till:{written}@db/homepot")["PASSWORD"] == password


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sslmode=verify-full", {"sslmode": "verify-full"}),
        ("ssl=require", {"sslmode": "require"}),
        ("connect_timeout=1", {"connect_timeout": 1}),
    ],
)
def test_postgresql_parameters_reach_the_driver(query, expected):
    options = options_of(f"postgresql://till@db/homepot?{query}")["OPTIONS"]
    assert {key: options[key] for key in expected} == expected
    assert "ssl" not in options


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("postgresql://till@/homepot?host=/run/postgresql", "/run/postgresql"),
        ("postgresql://till@/homepot?host=%2Frun%2Fpostgresql", "/run/postgresql"),
        ("postgresql:///homepot", ""),
        ("postgresql://till@[::1]:5432/homepot", "::1"),
    ],
)
def test_postgresql_host(url, host):
    assert options_of(url)["HOST"] == host


def test_web_process_shares_a_pool_and_limits_statements():
    options = options_of(
        "postgresql://till@db/homepot", pool_size=3, max_overflow=4, is_web_process=True
    )["OPTIONS"]
    assert options["pool"] == {"min_size": 3, "max_size": 7, "timeout": 5}
    assert "-c statement_timeout=15000" in options["options"]


@pytest.mark.parametrize(("query", "threshold"), [("", None), ("&prepare_threshold=3", 3)])
def test_pgbouncer_is_asked_for_nothing_that_outlives_a_transaction(query, threshold):
    options = options_of(
        f"postgresql://till@bouncer:6432/homepot?pgbouncer=true{query}", is_web_process=True
    )
    assert options["DISABLE_SERVER_SIDE_CURSORS"]
    assert options["OPTIONS"]["prepare_threshold"] == threshold
    assert not {"options", "pgbouncer"} & options["OPTIONS"].keys()


def test_command_has_one_connection_and_takes_its_time():
    options = options_of("postgresql://till@db/homepot")["OPTIONS"]
    assert "pool" not in options
    assert "statement_timeout" not in options["options"]
    assert "-c lock_timeout=5000" in options["options"]


@pytest.mark.parametrize(("pool_size", "max_overflow"), [(0, 10), (-1, 10), (5, -1)])
@pytest.mark.parametrize("is_web_process", [True, False])
def test_pool_without_connections_is_refused(pool_size, max_overflow, is_web_process):
    with pytest.raises(ImproperlyConfigured, match="DATABASE__POOL_SIZE must be at least 1"):
        options_of(
            "postgresql://till@db/homepot",
            pool_size=pool_size,
            max_overflow=max_overflow,
            is_web_process=is_web_process,
        )


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://till:s3cret@db/homepot", "starts with 'mysql'"),
        ("postgresql:/till:s3cret@db/homepot", "is not a URL"),
        ("till:s3cret@db/homepot", "is not a URL"),
        ("s3cret", "is not a URL"),
        ("postgresql://till:s3cret@db:port/homepot", "cannot be read"),
        ("postgresql://till:s3cret@db:99999/homepot", "cannot be read"),
        ("postgresql://till:s3cret#@db/homepot", "cannot be read"),
        ("postgresql://till:s3cret@[db/homepot", "cannot be read"),
        ("postgresql://till:s3cret@db", "names no database"),
        ("postgresql://till:s3cret@db/", "names no database"),
        ("sqlite://", "names no SQLite file"),
        ("sqlite:///", "names no SQLite file"),
        ("sqlite:///:memory:", "names no SQLite file"),
        ("sqlite+aiosqlite:///:memory:", "names no SQLite file"),
    ],
)
def test_wrong_url_is_refused_without_its_password(url, problem):
    with pytest.raises(ImproperlyConfigured, match=problem) as refusal:
        options_of(url)
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "description"),
    [
        ("", "SQLite database /srv/homepot/data/homepot.db"),
        (
            "postgresql://till:s3cret@db.example.com/homepot",
            "PostgreSQL database homepot at db.example.com:5432 as user till",
        ),
        (
            "postgresql:///homepot",
            "PostgreSQL database homepot at local socket:5432 as user (the system user)",
        ),
    ],
)
def test_description_is_for_people(url, description):
    assert describe_database(options_of(url)) == description
