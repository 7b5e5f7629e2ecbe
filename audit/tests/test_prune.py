from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from audit import services, triggers
from audit.enums import AuditEvent
from audit.models import AuditLog
from homepot.testing.guides import run_shell, shell_of
from homepot.testing.processes import database_url
from homepot.testing.project import copy_project

pytestmark = pytest.mark.django_db

DAY = datetime(2026, 1, 31, tzinfo=UTC)
LAST_SECOND = datetime(2026, 1, 30, 23, 59, 59, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_rests(monkeypatch):
    monkeypatch.setattr(services, "PRUNE_REST_SECONDS", 0)


def make_rows(number: int, **fields: Any) -> list[int]:
    rows = AuditLog.objects.bulk_create(
        AuditLog(**{"event_type": AuditEvent.SITE_UPDATED} | fields) for _ in range(number)
    )
    return [row.pk for row in rows]


def test_prune_removes_what_is_older_and_tells_of_it(capsys):
    make_rows(3, created_at=LAST_SECOND)
    kept = make_rows(2, created_at=DAY)

    call_command("prune_audit", before="2026-01-31")

    told = AuditLog.objects.get(event_type=AuditEvent.AUDIT_PRUNED)
    assert set(AuditLog.objects.values_list("pk", flat=True)) == {*kept, told.pk}
    assert told.description == "3 rows made before 2026-01-31 00:00 UTC are removed"
    assert told.event_metadata["count"] == 3
    assert told.event_metadata["before"] == "2026-01-31T00:00:00+00:00"
    assert "@" in told.event_metadata["run_by"]
    assert (told.actor_kind, told.outcome) == ("system", "success")
    assert capsys.readouterr().out == "Removed 3 rows made before 2026-01-31.\n"
    assert triggers.missing(connection) == []


def test_prune_goes_in_steps():
    make_rows(5, created_at=LAST_SECOND)
    with CaptureQueriesContext(connection) as captured:
        steps = list(services.prune(before=DAY, actor=None, metadata={}, step_rows=2))
    assert steps == [2, 2, 1]
    assert sum(query["sql"].startswith("DELETE") for query in captured) == 4  # one finds none
    assert AuditLog.objects.get().event_metadata["count"] == 5


def test_interrupted_prune_goes_on_and_tells_of_both_parts():
    make_rows(5, created_at=LAST_SECOND)
    next(services.prune(before=DAY, actor=None, metadata={}, step_rows=2))
    assert triggers.missing(connection) == []

    list(services.prune(before=DAY, actor=None, metadata={}))

    assert [row.event_metadata["count"] for row in AuditLog.objects.order_by("pk")] == [5, 3]


def test_prune_of_nothing_tells_nothing():
    make_rows(1, created_at=DAY)
    call_command("prune_audit", before="2026-01-31")
    assert AuditLog.objects.get().event_type == AuditEvent.SITE_UPDATED


def test_rows_that_tell_of_pruning_stay():
    make_rows(1, created_at=LAST_SECOND, event_type=AuditEvent.AUDIT_PRUNED)
    make_rows(1, created_at=LAST_SECOND)
    call_command("prune_audit", before="2026-01-31")
    assert AuditLog.objects.filter(event_type=AuditEvent.AUDIT_PRUNED).count() == 2


@pytest.mark.parametrize(
    ("day", "message"),
    [
        ("yesterday", "is no day"),
        ("2026-02-30", "is no day"),
        ("2026-1-1 00:00", "is no day"),
        ("2199-01-01", "lies in the future"),
    ],
)
def test_prune_takes_days_of_the_past_only(day, message):
    make_rows(1)
    with pytest.raises(CommandError, match=message):
        call_command("prune_audit", before=day)
    assert AuditLog.objects.count() == 1


def test_switch_removes_only_what_its_row_tells_of():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite's switch is the trigger itself")
    told = services.record(
        event=AuditEvent.AUDIT_PRUNED, actor=None, metadata={"before": DAY.isoformat()}
    )
    (newer,) = make_rows(1, created_at=LAST_SECOND)
    (too_young,) = make_rows(1, created_at=DAY)
    for pk in (newer, too_young, told.pk):
        with (
            pytest.raises(IntegrityError, match="append-only"),
            triggers.pruning(connection, pruned_pk=told.pk),
        ):
            AuditLog.objects.filter(pk=pk).delete()


@pytest.mark.django_db(transaction=True)
def test_switch_ends_with_its_transaction():
    make_rows(1, created_at=LAST_SECOND)
    told = services.record(
        event=AuditEvent.AUDIT_PRUNED, actor=None, metadata={"before": DAY.isoformat()}
    )
    with triggers.pruning(connection, pruned_pk=told.pk):
        pass
    with pytest.raises(IntegrityError, match="append-only"):
        AuditLog.objects.prunable(DAY).delete()
    assert triggers.missing(connection) == []


@pytest.mark.django_db(transaction=True)
def test_failed_step_leaves_rows_and_triggers():
    make_rows(2, created_at=LAST_SECOND)

    def crash_after_removal() -> None:
        with triggers.pruning(connection, pruned_pk=1):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash_after_removal()
    assert triggers.missing(connection) == []
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditLog.objects.all().delete()
    assert AuditLog.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_prune_as_the_guide_says(tmp_path):
    make_rows(3, created_at=datetime(2024, 12, 31, tzinfo=UTC))
    project = copy_project(tmp_path / "project")
    script = shell_of("docs/security.md#how-long-it-is-kept")
    ran = run_shell(script, folder=project, DATABASE__URL=database_url())
    assert ran.stdout == "Removed 3 rows made before 2025-01-01.\n", ran.stderr
