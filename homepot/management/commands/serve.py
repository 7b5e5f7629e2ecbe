"""Run the web server."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from homepot.database import describe_database
from homepot.ports import PortError, check_port
from homepot.transfer.notes import read_beginning

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Serve the admin and the API, after a look at the database. Ctrl-C ends it."
    # Nothing here needs the URLs, and loading them takes longer than all the rest.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
        parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
        parser.add_argument(
            "--workers", type=int, default=2, help="processes (default: %(default)s)"
        )
        parser.add_argument(
            "--threads",
            type=int,
            default=default_threads(),
            help="requests that each process works on at once (default here: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["workers"] < 1 or options["threads"] < 1:
            raise CommandError("--workers and --threads are at least 1.")
        check_connections_suffice(threads=options["threads"])
        with without_pool():
            check_migrations_applied()
        try:
            check_port(options["host"], options["port"])
        except PortError as error:
            raise CommandError(str(error)) from None
        # Before the workers, so that it is said once.
        logger.info("Serving from the %s", describe_database(connection.settings_dict))
        # It loads all that the web needs.
        from homepot.web_server import serve

        os.chdir(settings.BASE_DIR)
        serve(**{name: options[name] for name in ("host", "port", "workers", "threads")})


def default_threads() -> int:
    """Requests mostly wait for PostgreSQL; on SQLite, writers would only hold each other up."""
    if connection.vendor != "postgresql":
        return 4
    return min(12, settings.POOL_SIZE + settings.MAX_OVERFLOW)


@contextmanager
def without_pool() -> Iterator[None]:
    """A block with a plain connection: a pool has threads, which do not live through a fork."""
    pool = connection.settings_dict["OPTIONS"].pop("pool", None)
    try:
        yield
    finally:
        connection.close()
        if pool:
            connection.settings_dict["OPTIONS"]["pool"] = pool


def check_connections_suffice(*, threads: int) -> None:
    """Raise CommandError when threads would wait for each other's database connections."""
    most = settings.POOL_SIZE + settings.MAX_OVERFLOW
    if connection.vendor == "postgresql" and threads > most:
        raise CommandError(
            f"{threads} threads share {most} database connections: use fewer threads, or "
            "raise DATABASE__POOL_SIZE or DATABASE__MAX_OVERFLOW."
        )


def check_migrations_applied() -> None:
    """Raise CommandError when the database lacks what this version of the code expects."""
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        raise CommandError(
            f"The {describe_database(connection.settings_dict)} is not up to date (migrations "
            f"to apply: {len(missing)}). Run `python manage.py migrate` first."
        )
    if read_beginning(connection):
        raise CommandError(
            f"The {describe_database(connection.settings_dict)} holds an unfinished copy. Finish "
            "it with `python manage.py copy_database --resume`."
        )
