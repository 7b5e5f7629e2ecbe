from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.db.backends.signals import connection_created


class HomepotConfig(AppConfig):
    name = "homepot"

    def ready(self) -> None:
        # They register themselves by being imported.
        from homepot import checks, lookups, migration_checks  # noqa: F401

        if settings.ECHO_SQL:
            connection_created.connect(_log_statements)


def _log_statements(connection: object, **kwargs: object) -> None:
    # Django logs statements for DEBUG only; this asks for the log alone.
    connection.force_debug_cursor = True  # type: ignore[attr-defined]
