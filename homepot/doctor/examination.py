"""Runs the checks, in an order in which a cause stands before what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from django.conf import settings
from django.core import checks
from django.db import DatabaseError, OperationalError

from homepot.doctor import configuration, database, running, schema
from homepot.doctor.findings import Finding, ok, problem, warning

Check = Callable[[], Iterable[Finding]]

WITHOUT_DATABASE: tuple[Check, ...] = (
    configuration.look_at_env_file,
    configuration.look_at_variables,
    configuration.look_at_environment,
)
WITH_TABLES: tuple[Check, ...] = (
    schema.look_at_triggers,
    schema.look_at_indexes,
    schema.look_at_sequences,
    running.look_at_worker,
    running.look_at_web,
)


def examine() -> Iterator[Finding]:
    """All findings; without a database, and without its tables, there are fewer."""
    for check in (*WITHOUT_DATABASE, look_at_settings):
        yield from check()
    try:
        yield from database.look_at_server()
    except OperationalError as error:
        yield problem(
            "database",
            str(error),
            "See that it runs and is sound, and that DATABASE__URL is right: "
            "docs/troubleshooting.md",
        )
        return
    found = []
    for check in (*database.checks(), schema.look_at_migrations):
        found += _examine(check)
    yield from found
    # Without all tables, what is wrong with them follows from that.
    if not any(finding.about == "migrations" and finding.mend for finding in found):
        for check in WITH_TABLES:
            yield from _examine(check)
    for check in (running.look_at_disk, running.look_at_backups):
        yield from _examine(check)


def look_at_settings() -> Iterator[Finding]:
    """Django's checks of the whole project, and in production those of a deployment."""
    messages = checks.run_checks(include_deployment_checks=settings.IS_PRODUCTION)
    messages = [message for message in messages if not message.is_silenced()]
    for message in messages:
        told = problem if message.is_serious() else warning
        yield told("settings", f"{message.msg} ({message.id})", message.hint or "")
    if not messages:
        yield ok("settings", "Django's checks find nothing.")


def _examine(check: Check) -> list[Finding]:
    try:
        return list(check())
    except DatabaseError as error:
        about = check.__name__.removeprefix("look_at_").replace("_", " ")
        reason = str(error).partition("\n")[0]
        return [problem(about, f"It cannot be looked at: {reason}.", "Mend what is above first.")]
