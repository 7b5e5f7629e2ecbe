"""Rows with values of every kind, the same in whichever database."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.contrib.sessions.models import Session

from accounts.models import User
from audit.enums import AuditEvent
from audit.models import AuditLog
from devices.models import Device, HealthCheck, HealthRollup
from jobs.models import Job, JobExecution
from sites.models import Site

MOMENT = datetime(2026, 2, 28, 12, tzinfo=UTC)
TIMES = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    MOMENT.replace(microsecond=500_000),
    MOMENT.replace(microsecond=10),
]
TEXTS = [
    "",
    "\\N",
    "tab\there, line\nbreak\r\n, \b\f\v and \\t, \\\\n as characters",
    "caf\u00e9, cafe\u0301, \u4e2d\u6587, \u05e9\u05dc\u05d5\u05dd, \U0001f600, \U0010ffff",
    "'quotes\" and %s, {} and \x7f",
]
JSON = [
    None,
    {},
    "\t\\N",
    {"b": [1, 1.0, -0.5, 0.1 + 0.2], "a": {"\u00e9 \U0001f600": None, "\\": "\n\b\x1f"}},
    [2**63 - 1, -(2**63), 2**64, 10**22, 1e22, 1e-7, 5e-324, 1.7976931348623157e308, -0.0],
    [True, False, "2026-01-05", "-0", "1e5", [[[[]]]]],
]


def fill(alias: str) -> None:
    """Store the same rows, with values of every kind, in whichever database."""
    times = {"created_at": MOMENT, "updated_at": MOMENT}
    site = Site(id=1, site_id="s", name="S", latitude=0.1 + 0.2, longitude=-1e-7, **times)
    Site.objects.using(alias).bulk_create([site])
    Device.objects.using(alias).bulk_create(
        Device(
            id=number,
            site=site,
            device_id=f"d-{number}",
            name=f"D {number}",
            ip_address=address,
            status_since=MOMENT,
            last_check_healthy=is_healthy,
            **times,
        )
        for number, (address, is_healthy) in enumerate(
            [(None, None), ("10.0.0.1", True), ("::ffff:10.0.0.1", False), ("::1.2.3.4", None)], 1
        )
    )
    HealthCheck.objects.using(alias).bulk_create(
        HealthCheck(
            id=number,
            device_id=1,
            is_healthy=number % 2 == 0,
            status_code=(number % 3 and 200) or None,
            error_message=text,
            response_data=data,
            checked_at=TIMES[number % 4],
        )
        for number, (text, data) in enumerate(
            [(text, None) for text in TEXTS] + [("", data) for data in JSON], 1
        )
    )
    sums = [field.name for field in HealthRollup._meta.local_fields][3:]
    HealthRollup.objects.using(alias).bulk_create(
        [HealthRollup(id=1, device_id=1, hour=MOMENT, **dict.fromkeys(sums, 7))]
    )
    User.objects.using(alias).bulk_create(
        [User(id=1, username="ann", email="ann@example.com", password="!", **times)]
    )
    Session.objects.using(alias).bulk_create(
        Session(session_key=key, session_data="e30:1", expire_date=MOMENT)
        for key in ("b", "a", "C")
    )
    Job.objects.using(alias).bulk_create(
        Job(id=number, job_id=f"job-{number}", site=site, action="ping", retry_of_id=first, **times)
        # The first one says that it repeats the second.
        for number, first in ((1, 2), (2, None))
    )
    JobExecution.objects.using(alias).bulk_create(
        [
            JobExecution(
                id=1,
                execution_id=UUID(int=2**127 + 1),
                job_id=1,
                device_id=1,
                priority=1,
                queued_at=MOMENT,
                expires_at=TIMES[1],
                due_at=TIMES[1],
                **times,
            )
        ]
    )
    AuditLog.objects.using(alias).bulk_create(
        AuditLog(
            id=number,
            event_type=AuditEvent.DEVICE_UPDATED,
            device_id=1,
            user_id=999,  # long gone
            description=text,
            new_values={"name": text},
            created_at=MOMENT,
        )
        for number, text in enumerate(TEXTS, 1)
    )
    # These keep themselves up to date.
    for model in (Site, Device, User, Job, JobExecution):
        model.objects.using(alias).update(updated_at=MOMENT)
