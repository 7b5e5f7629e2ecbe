"""The rows of a database of the original product (a FastAPI server), as rows of ours.

What can be told apart by a text identifier (users, sites, devices, jobs) is added once; health
checks and audit rows are known again by what they tell. So it can run any number of times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from accounts.models import User
from audit import services as audit
from audit.enums import AuditEvent
from audit.models import AuditLog
from devices.enums import DeviceType, LifecycleState
from devices.models import Device, HealthCheck
from jobs.enums import OPEN_JOB, JobAction, JobPriority, JobStatus
from jobs.models import Job
from jobs.original_source import has_table, rows_of, value_for
from sites.models import Site

ROWS_AT_ONCE = 1000
# The original's names for columns of ours.
RENAMED = {"health_checks": {"timestamp": "checked_at"}}
# What means something else here, or is derived anew; it is left out on purpose.
DERIVED = {
    "users": {"id", "hashed_password", "role", "api_key"},
    "sites": {"id"},
    "devices": {"id", "status", "lifecycle_state", "api_key"},
    "jobs": {"id", "priority", "result"},
    "health_checks": {"id"},
    "audit_logs": {"id"},
}
NOT_CARRIED_OVER = "It was open when the data came from the original system."

Row = dict[str, Any]


class Import:
    """One run: `added`, `known` and `left_out` count rows by table, the last by reason too."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.added: Counter[str] = Counter()
        self.known: Counter[str] = Counter()
        self.left_out: Counter[tuple[str, str]] = Counter()
        self.unknown_columns: dict[str, list[str]] = {}
        # From the original's keys to ours, by table.
        self.keys: dict[str, dict[int, int]] = {}

    @transaction.atomic
    def run(self) -> None:
        self._take("users", User, self._user, by="username")
        self._take("sites", Site, self._site, by="site_id")
        self._take("devices", Device, self._device, by="device_id")
        self._take("jobs", Job, self._job, by="job_id")
        self._take_health_checks()
        self._take_audit_logs()
        if self.added.total():
            audit.record(
                event=AuditEvent.DATA_IMPORTED,
                actor=None,
                description="Imported from a database of the original",
                metadata={"added": dict(+self.added)},
            )

    def _rows(self, table: str, model: type[models.Model]) -> Iterator[Row]:
        """The rows of the original's `table` by our column names; none when it is missing."""
        if not has_table(self.source, table):
            self.left_out[table, "the original has no such table"] += 1
            return
        with rows_of(self.source, table) as cursor:
            first = cursor.fetchone()  # PostgreSQL tells the columns with the first rows
            fields = {field.column: field for field in model._meta.local_concrete_fields}
            renamed = RENAMED.get(table, {})
            names = [renamed.get(column[0], column[0]) for column in cursor.description]
            self.unknown_columns[table] = [
                name for name in names if name not in fields and name not in DERIVED[table]
            ]
            for values in chain([first] if first else [], cursor):
                row: Row = {}
                try:
                    for name, value in zip(names, values, strict=True):
                        row[name] = value if name == "id" else value_for(fields.get(name), value)
                except ValueError:
                    self._leave_out(table, f"what is in {name} cannot be read")
                else:
                    yield row

    def _take(self, table: str, model: Any, make: Any, *, by: str) -> None:
        keys = self.keys[table] = {}
        for row in self._rows(table, model):
            name = row.get(by)
            found = model.objects.filter(**{by: name}).values_list("pk", flat=True).first()
            if found is not None:
                keys[row["id"]] = found
                self.known[table] += 1
                continue
            thing = make(row)
            if thing is None:
                continue
            try:
                with transaction.atomic():
                    thing.full_clean(validate_unique=False, validate_constraints=False)
                    thing.save(force_insert=True)
                    self._keep_times(thing, row)
            except ValidationError as error:
                self._leave_out(table, "; ".join(error.messages))
            except IntegrityError:
                self._leave_out(table, "clashes with a row that is there")
            else:
                keys[row["id"]] = thing.pk
                self.added[table] += 1

    def _keep_times(self, thing: Any, row: Row) -> None:
        times = {name: row[name] for name in ("created_at", "updated_at") if row.get(name)}
        type(thing).objects.filter(pk=thing.pk).update(**times)

    def _leave_out(self, table: str, reason: str) -> None:
        self.left_out[table, reason] += 1

    def _shared(self, table: str, model: Any, row: Row, *without: str) -> Row:
        """What `row` says of columns that we have, where it says something."""
        skipped = {*DERIVED[table], *without}
        return {
            field.attname: row[field.column]
            for field in model._meta.local_concrete_fields
            if field.column not in skipped and row.get(field.column) is not None
        }

    def _user(self, row: Row) -> User:
        # Whoever comes back is let in by an admin, who gives role and password.
        user = User(**self._shared("users", User, row, "is_admin", "is_active"), is_active=False)
        user.set_unusable_password()
        return user

    def _site(self, row: Row) -> Site:
        return Site(**self._shared("sites", Site, row))

    def _device(self, row: Row) -> Device | None:
        site = self.keys["sites"].get(row.get("site_id") or 0)
        if site is None:
            self._leave_out("devices", "its site is not there")
            return None
        shared = self._shared("devices", Device, row, "site_id", "device_type")
        kind = str(row.get("device_type") or "").lower()
        is_retired = row.get("is_active") is False
        state = LifecycleState.RETIRED if is_retired else LifecycleState.PENDING
        return Device(
            **shared,
            site_id=site,
            device_type=kind if kind in DeviceType.values else DeviceType.UNKNOWN,
            lifecycle_state=state,
        )

    def _job(self, row: Row) -> Job:
        references = ("site_id", "device_id", "created_by_id", "retry_of_id")
        job = Job(**self._shared("jobs", Job, row, *references, "action", "status"))
        job.site_id = self.keys["sites"].get(row.get("site_id") or 0)
        job.device_id = self.keys["devices"].get(row.get("device_id") or 0)
        action = str(row.get("action") or "").strip().lower().replace(" ", "_")
        if action in JobAction.values:
            job.action = action
        else:
            job.action = JobAction.DEVICE_TASK
            job.description = f"{row.get('action')}: {job.description}".strip(": ")
        status = str(row.get("status") or "").lower()
        if status not in JobStatus.values or status in OPEN_JOB:
            status = JobStatus.CANCELLED
            job.error_message = job.error_message or NOT_CARRIED_OVER
            job.completed_at = job.completed_at or timezone.now()
        job.status = status
        names = {priority.label: priority for priority in JobPriority}
        job.priority = names.get(str(row.get("priority") or "").lower(), JobPriority.NORMAL)
        return job

    def _take_health_checks(self) -> None:
        def checks() -> Iterator[HealthCheck]:
            for row in self._rows("health_checks", HealthCheck):
                device = self.keys["devices"].get(row.get("device_id") or 0)
                if device is None or row.get("checked_at") is None:
                    self._leave_out("health_checks", "its device or its time is not there")
                    continue
                shared = self._shared("health_checks", HealthCheck, row, "device_id")
                # One at one time is one, however often it is imported.
                shared["reported_at"] = shared["checked_at"]
                check = HealthCheck(**shared, device_id=device)
                try:
                    check.full_clean(
                        exclude={"device"}, validate_unique=False, validate_constraints=False
                    )
                except ValidationError as error:
                    self._leave_out("health_checks", "; ".join(error.messages))
                else:
                    yield check

        self._add_new("health_checks", HealthCheck, checks())

    def _take_audit_logs(self) -> None:
        def told() -> Iterator[Row]:
            for row in self._rows("audit_logs", AuditLog):
                mapped = {
                    f"{name}_id": self.keys[f"{name}s"].get(row.get(f"{name}_id") or 0)
                    for name in ("user", "site", "device", "job")
                }
                original = {name: value for name, value in row.items() if value is not None}
                yield mapped | {"original": original, "created_at": row.get("created_at")}

        before = AuditLog.objects.count()
        count = 0
        rows = told()
        while some := list(islice(rows, ROWS_AT_ONCE)):
            audit.record_originals(some)
            count += len(some)
        self._count("audit_logs", count, AuditLog.objects.count() - before)

    def _add_new(self, table: str, model: Any, things: Iterator[models.Model]) -> None:
        before, count = model.objects.count(), 0
        while some := list(islice(things, ROWS_AT_ONCE)):
            model.objects.bulk_create(some, ignore_conflicts=True)
            count += len(some)
        self._count(table, count, model.objects.count() - before)

    def _count(self, table: str, seen: int, added: int) -> None:
        self.added[table] += added
        self.known[table] += seen - added
