from __future__ import annotations

import io
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError
from django.utils import timezone

from accounts.enums import Role
from accounts.models import User
from accounts.tests.factories import make_user
from audit.models import AuditLog
from devices.models import Device
from devices.tests.factories import make_device
from homepot.models import DataImport, ImportLine
from homepot.request_context import RequestContext
from homepot.spreadsheets import imports
from homepot.spreadsheets.errors import ImportNotReadyError
from homepot.spreadsheets.exports import SheetFormat
from homepot.spreadsheets.imports import apply_steps, confirm_import, read_import
from homepot.spreadsheets.reading import UnreadableFileError
from homepot.spreadsheets.sheet import sheet_named
from homepot.spreadsheets.sweeps import apply_imports, forget_old_imports
from homepot.testing.imports import apply, lines_of, read_text
from homepot.testing.threads import run_together
from sites.models import Site
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> User:
    return make_user(role=Role.OPERATOR)


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "READ_AT_ONCE", 3)
    monkeypatch.setattr(imports, "APPLIED_AT_ONCE", 2)


def new_sites(number: int) -> str:
    return "site_id,name\n" + "".join(f"new-{i},New {i}\n" for i in range(number))


def odd_sites() -> None:
    """Sites and devices whose values files and spreadsheets like to change."""
    first = make_site(name=" =1+1", description="one\r\ntwo\r", location="'=x", latitude=0.1 + 0.2)
    make_site(name="'", description="\x1b[0m\x0b", location="@me\ttab", longitude=-1e-7)
    make_site(name="東 🥐 'ü'", description='=a\nb;c,d"e', timezone="Europe/Berlin", latitude=-0.0)
    make_site(name="#N/A", location="2026-01-31", is_active=False)
    make_device(site=first, name="007", config={"b": [1, 1.0, True, None], "a": {"=": "\u2028'"}})
    make_device(site=first, name="TRUE", ip_address="2001:db8::1", mac_address="00:1a:2b:3c:4d:5e")


@pytest.mark.parametrize("format", SheetFormat)
@pytest.mark.parametrize("name", ["sites", "devices"])
def test_exported_file_imports_as_no_change(staff, operator, name, format):
    odd_sites()
    answer = staff(Role.VIEWER).get(f"/admin/{name}/{name[:-1]}/export-{format}/?use=any")
    content = io.BytesIO(b"".join(answer.streaming_content))

    data_import = read_import(
        sheet=sheet_named(name), file=content, filename=f"list.{format}", user=operator
    )

    changed = [
        (line.message, line.changes)
        for line in lines_of(data_import)
        if line.verdict != "unchanged"
    ]
    assert changed == []
    assert data_import.unchanged == sheet_named(name).model.objects.count() > 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "The first line must name columns"),
        ("site_id,nmae\n", "a column 'nmae', which is not known. It may name: site_id, name"),
        ("name,Name\n", "names the column name twice"),
        ("created_at\n", "must name columns"),
        ("site_id,name\n", "no lines below"),
        ('site_id,name\na,b\nc,"d\n', "Line 3 cannot be read"),
    ],
)
def test_file_that_cannot_be_taken_leaves_nothing(operator, short_steps, text, told):
    with pytest.raises(UnreadableFileError, match=told):
        read_text("sites", text, operator)
    assert not DataImport.objects.exists()
    assert not ImportLine.objects.exists()


def test_upload_takes_the_place_of_the_preview_before(operator):
    waiting = read_text("sites", new_sites(2), operator)
    applied = apply(read_text("sites", "site_id,name\nx,X\n", operator))
    others = read_text("sites", new_sites(1), make_user(role=Role.OPERATOR))
    newest = read_text("sites", new_sites(1), operator)

    assert set(DataImport.objects.all()) == {applied, others, newest}
    with pytest.raises(ImportNotReadyError):
        confirm_import(data_import=waiting, context=None)


def test_steps_are_short_and_tell_of_one_request(operator, short_steps):
    data_import = read_text("sites", new_sites(5), operator)
    context = RequestContext("request-1", "10.1.2.3", "Browser")
    confirm_import(data_import=data_import, context=context)

    assert list(apply_steps(data_import.pk)) == [2, 2, 1]

    data_import.refresh_from_db()
    assert (data_import.state, data_import.created) == ("applied", 5)
    rows = AuditLog.objects.order_by("pk")
    assert [row.event_type for row in rows] == ["site_created"] * 5 + ["data_imported"]
    told = {(row.request_id, row.ip_address, row.user_agent) for row in rows}
    assert told == {("request-1", "10.1.2.3", "Browser")}
    assert rows[5].description == (
        "Sites from list.csv: 5 created, 0 changed, 0 unchanged, 0 left out"
    )
    assert list(apply_steps(data_import.pk)) == []


@pytest.mark.parametrize("lines", [2, 20])
def test_statements_of_a_step_do_not_grow(operator, count_statements, lines):
    site = make_site(site_id="s-1")
    till = make_device(site=site, device_id="d-1", name="Till")
    text = "device_id,site_id,name\nd-1,s-1,Till 1\n" + "".join(
        f"n-{i},s-1,New {i}\n" for i in range(lines)
    )
    data_import = read_text("devices", text, operator)
    confirm_import(data_import=data_import, context=None)
    # 1. the import, locked, 2. who began it, 3. the lines, 4. ids that are taken, 5. sites and
    # 6. devices, locked, 7. names, 8. the changed and 9. the new, 10.-11. audit rows, 12. the
    # lines' outcomes, 13. the import moves on
    with count_statements(13):
        assert imports._step(data_import.pk, 500) == lines + 1
    till.refresh_from_db()
    assert till.name == "Till 1"


@pytest.mark.parametrize("lines", [2, 20])
def test_statements_of_reading_do_not_grow(operator, count_statements, lines):
    text = "site_id,name\n" + "".join(f"n-{i},New {i}\n" for i in range(lines))
    # 1. the preview before, 2. the import, 3. sites of these ids, 4. ids that are taken, 5. the
    # lines, 6. their counts
    with count_statements(6):
        read_text("sites", text, operator)


def test_clash_with_others_costs_one_line(operator, short_steps, monkeypatch):
    data_import = read_text("sites", new_sites(5), operator)
    # Neither the preview nor the look under locks sees it: it is only just being inserted.
    make_site(site_id="new-1")
    monkeypatch.setattr(type(sheet_named("sites")), "all_keys", lambda sheet, keys: set())

    apply(data_import)

    assert (data_import.state, data_import.created, data_import.failed) == ("applied", 4, 1)
    refused = lines_of(data_import)[1]
    assert (refused.outcome, "somebody was faster" in refused.message) == ("refused", True)
    assert AuditLog.objects.filter(event_type="site_created").count() == 4


def test_fault_stops_it_and_says_what_is_in(operator, short_steps, monkeypatch):
    data_import = read_text("sites", new_sites(5), operator)
    confirm_import(data_import=data_import, context=None)
    steps = apply_steps(data_import.pk)
    assert next(steps) == 2

    def fail(*args: Any) -> None:
        raise IntegrityError("CHECK constraint failed")

    monkeypatch.setattr(imports, "apply_lines", fail)
    assert list(steps) == []

    data_import.refresh_from_db()
    assert (data_import.state, data_import.created) == ("stopped", 2)
    assert [line.outcome for line in lines_of(data_import)] == ["created"] * 2 + [""] * 3
    assert Site.objects.filter(site_id__startswith="new-").count() == 2
    told = AuditLog.objects.get(event_type="data_imported")
    assert (told.outcome, told.event_metadata["not_done"]) == ("failure", 3)


def test_it_goes_on_when_the_database_is_back(operator, short_steps, monkeypatch):
    data_import = read_text("sites", new_sites(3), operator)
    confirm_import(data_import=data_import, context=None)

    def fail(*args: Any) -> None:
        raise OperationalError("the connection was lost")

    with monkeypatch.context() as patch:
        patch.setattr(imports, "apply_lines", fail)
        with pytest.raises(OperationalError):
            list(apply_steps(data_import.pk))

    assert apply_imports(timezone.now()) == 3
    data_import.refresh_from_db()
    assert (data_import.state, data_import.created) == ("applied", 3)


def test_account_that_may_no_longer_is_stopped(operator, short_steps):
    data_import = read_text("sites", new_sites(3), operator)
    User.objects.filter(pk=operator.pk).update(role=Role.VIEWER)

    apply(data_import)

    assert (data_import.state, data_import.created) == ("stopped", 0)
    assert "may not do this any more" in data_import.reason


def test_old_preview_cannot_be_confirmed(operator):
    data_import = read_text("sites", new_sites(1), operator)
    DataImport.objects.update(created_at=timezone.now() - timedelta(hours=25))
    with pytest.raises(ImportNotReadyError):
        confirm_import(data_import=data_import, context=None)


def test_old_imports_are_forgotten_unless_they_run(operator):
    kept = read_text("sites", new_sites(1), make_user(role=Role.OPERATOR))
    running = read_text("sites", new_sites(2), operator)
    confirm_import(data_import=running, context=None)
    apply(read_text("sites", "name\nOther\n", operator))
    old = timezone.now() - timedelta(days=8)
    DataImport.objects.exclude(pk=kept.pk).update(created_at=old)

    assert forget_old_imports(timezone.now()) == 1

    assert set(DataImport.objects.all()) == {kept, running}
    assert ImportLine.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_two_at_once_do_each_line_once(operator, short_steps):
    data_import = read_text("sites", new_sites(9), operator)

    def confirm_and_apply() -> None:
        with suppress(ImportNotReadyError):
            confirm_import(data_import=data_import, context=None)
        list(apply_steps(data_import.pk))

    run_together(confirm_and_apply, confirm_and_apply)

    data_import.refresh_from_db()
    assert (data_import.state, data_import.created, data_import.failed) == ("applied", 9, 0)
    assert AuditLog.objects.filter(event_type="site_created").count() == 9
    assert AuditLog.objects.filter(event_type="data_imported").count() == 1


def test_devices_are_read_in_parts_that_know_of_each_other(operator, short_steps):
    make_site(site_id="s-1")
    text = "device_id,site_id,name\n" + "".join(f"d-{i % 5},s-1,Till {i % 4}\n" for i in range(8))

    data_import = read_text("devices", text, operator)

    assert [line.message for line in lines_of(data_import)] == [
        "",
        "",
        "",
        "",
        "Line 2 gives the name 'Till 0' at the same site.",
        *[f"Line {i} is about d-{i - 2} too." for i in (2, 3, 4)],
    ]
    apply(data_import)
    assert Device.objects.count() == 4
