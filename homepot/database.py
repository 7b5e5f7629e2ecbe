"""From one variable, `DATABASE__URL`, to Django's database options."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

POSTGRESQL_ENGINE = "homepot.postgresql"
SQLITE_ENGINE = "homepot.sqlite"

# Spellings of older installations (SQLAlchemy's) beside Django's own.
SCHEMES = {
    "postgresql": POSTGRESQL_ENGINE,
    "postgres": POSTGRESQL_ENGINE,
    "postgresql+asyncpg": POSTGRESQL_ENGINE,
    "postgresql+psycopg": POSTGRESQL_ENGINE,
    "sqlite": SQLITE_ENGINE,
    "sqlite+aiosqlite": SQLITE_ENGINE,
}

# Where the server this replaces kept its file, seen from its own folder.
ORIGINAL_SQLITE_PATH = "../data/homepot.db"

CONNECT_TIMEOUT_SECONDS = 3
TCP_USER_TIMEOUT_MS = 10_000
LOCK_TIMEOUT_MS = 5_000
STATEMENT_TIMEOUT_MS = 15_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 15_000
POOL_WAIT_SECONDS = 5
SQLITE_BUSY_TIMEOUT_SECONDS = 20
# Executions of one statement on one connection before psycopg prepares it.
PREPARE_THRESHOLD = 3


def database_options(
    url: str, *, base_dir: Path, pool_size: int, max_overflow: int, is_web_process: bool
) -> dict[str, Any]:
    """Django's options for the database that `url` names; SQLite in data/homepot.db if empty.

    A web process shares a pool of `pool_size` to `pool_size + max_overflow` connections
    between its threads and limits how long a statement may run. Other processes have one
    connection and take the time they need.

    Raises ImproperlyConfigured, in words that never hold the password.
    """
    url = url.strip() or f"sqlite:///{base_dir / 'data' / 'homepot.db'}"
    scheme, separator, _ = url.partition("://")
    engine = SCHEMES.get(scheme.lower())
    if engine is None:
        # Without a scheme, what stands there may be anything, a password too.
        problem = (
            f"starts with {scheme[:30]!r}, which is no database HOMEPOT knows"
            if separator
            else "is not a URL"
        )
        raise ImproperlyConfigured(
            f"DATABASE__URL {problem}. "
            "Use postgresql://user:password@host:5432/name or sqlite:///data/homepot.db."
        )
    if engine == SQLITE_ENGINE:
        return _sqlite_options(url, base_dir=base_dir)
    if not 0 < pool_size <= pool_size + max_overflow:
        raise ImproperlyConfigured(
            "DATABASE__POOL_SIZE must be at least 1 and DATABASE__MAX_OVERFLOW at least 0."
        )
    return _postgresql_options(
        url,
        pool={"min_size": pool_size, "max_size": pool_size + max_overflow}
        if is_web_process
        else None,
    )


def _sqlite_options(url: str, *, base_dir: Path) -> dict[str, Any]:
    path = unquote(url.partition("://")[2].partition("?")[0])
    # One slash belongs to the URL: sqlite:///relative.db, sqlite:////absolute.db.
    path = path.removeprefix("/")
    if path in ("", ":memory:"):
        raise ImproperlyConfigured(
            "DATABASE__URL names no SQLite file. Every process would see a database of its "
            "own: use sqlite:///data/homepot.db."
        )
    if path == ORIGINAL_SQLITE_PATH:
        path = "data/homepot.db"
    return {
        "ENGINE": SQLITE_ENGINE,
        "NAME": str((base_dir / path).resolve()),
        "OPTIONS": {
            # Writers wait for each other at BEGIN; a read that becomes a write fails at once.
            "transaction_mode": "IMMEDIATE",
            "timeout": SQLITE_BUSY_TIMEOUT_SECONDS,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }


def _postgresql_options(url: str, *, pool: dict[str, int] | None) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        if "ssl" in query:  # asyncpg's word
            query["sslmode"] = query.pop("ssl")
        socket_host = query.pop("host", "")
        behind_pgbouncer = query.pop("pgbouncer", "").lower() == "true"
        plain_url = urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(query), ""))
        options: dict[str, Any] = dict(dj_database_url.parse(plain_url, engine=POSTGRESQL_ENGINE))
    except ValueError:  # its words may quote the URL
        raise ImproperlyConfigured(
            "DATABASE__URL cannot be read. Write postgresql://user:password@host:5432/name, "
            "with %-escapes for special characters in the password."
        ) from None
    if not options["NAME"]:
        raise ImproperlyConfigured(
            "DATABASE__URL names no database. Write postgresql://user:password@host:5432/name."
        )
    options["HOST"] = options["HOST"] or socket_host
    server_settings = {
        "lock_timeout": LOCK_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT_MS,
    }
    if pool:
        server_settings["statement_timeout"] = STATEMENT_TIMEOUT_MS
    options["OPTIONS"] = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "tcp_user_timeout": TCP_USER_TIMEOUT_MS,
        "options": " ".join(f"-c {name}={value}" for name, value in server_settings.items()),
        "application_name": "homepot",
        "server_side_binding": True,
        "prepare_threshold": None if behind_pgbouncer else PREPARE_THRESHOLD,
        **options.get("OPTIONS", {}),
    }
    if behind_pgbouncer:
        _share_sessions(options)
    if pool:
        options["OPTIONS"]["pool"] = {**pool, "timeout": POOL_WAIT_SECONDS}
    return options


def _share_sessions(options: dict[str, Any]) -> None:
    """Leave out what needs a session of one's own: PgBouncer gives one for a transaction only.

    It refuses settings at the start; the role in the database has to bring the limits. Prepared
    statements are for versions that follow them, by `prepare_threshold` in the URL.
    """
    del options["OPTIONS"]["options"]
    options["DISABLE_SERVER_SIDE_CURSORS"] = True


def read_only_options(options: dict[str, Any]) -> dict[str, Any]:
    """`options`, with sessions in which the database refuses every write."""
    driver_options = {**options["OPTIONS"]}
    if options["ENGINE"] == SQLITE_ENGINE:
        driver_options["init_command"] += " PRAGMA query_only=ON;"
        # An IMMEDIATE transaction wants to write.
        del driver_options["transaction_mode"]
    else:
        driver_options["options"] += " -c default_transaction_read_only=on"
    return {**options, "OPTIONS": driver_options}


def describe_database(options: dict[str, Any]) -> str:
    """Engine, host and database for people, without the password."""
    if options["ENGINE"] == SQLITE_ENGINE:
        return f"SQLite database {options['NAME']}"
    return (
        f"PostgreSQL database {options['NAME']} at "
        f"{options['HOST'] or 'local socket'}:{options['PORT'] or 5432} "
        f"as user {options['USER'] or '(the system user)'}"
    )
