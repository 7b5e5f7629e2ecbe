"""What `manage.py doctor` finds, and that what it says mends it."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from audit import triggers
from homepot.doctor import configuration, database, running, schema
from homepot.doctor.examination import examine
from homepot.doctor.findings import Level
from homepot.models import ServicePulse, Sweep
from homepot.tests.conftest import execute as on_database
from homepot.tests.conftest import run_python
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db(transaction=True)

SWEEP = "homepot.tests.work.quick"


def execute(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def mends_of(check):
    """What `check` says to do, by what it found wrong."""
    return {found.detail: found.mend for found in check() if found.level != Level.OK}


def follow(mend):
    """Run the SQL that was advised."""
    statement = mend.removeprefix("Run: ")
    assert statement.endswith(";"), mend
    execute(*statement.rstrip(";").split("; "))


def test_service_that_is_well_has_no_problem(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "SLOW_MS", 10_000)  # the tests' machine may be busy
    settings.SWEEPS = {SWEEP: 60}
    Sweep.objects.create(name=SWEEP, last_finished_at=timezone.now())
    ServicePulse.objects.create(pk=1, beat_at=timezone.now())
    settings.BACKUP_FOLDER = tmp_path
    call_command("backup", to=tmp_path, verbosity=0, stdout=StringIO())
    found = [each for each in examine() if each.level != Level.OK]
    # The run's own server forgets what a power cut would take: found out.
    details = [each.detail for each in found if each.about != "durability"]
    assert details == []


def test_answer_for_programs_holds_what_is_wrong_and_the_status_says_so(settings, tmp_path):
    settings.BACKUP_FOLDER = tmp_path
    out = StringIO()
    with pytest.raises(SystemExit, match="1"):
        call_command("doctor", json=True, stdout=out)
    answer = json.loads(out.getvalue())
    assert answer["is_well"] is False
    assert {
        "about": "backups",
        "level": "warning",
        "detail": f"There is none in {tmp_path}.",
        "mend": "Run, every night by a timer: python manage.py backup --keep 14",
    } in answer["findings"]
    assert ("worker", "problem") in {(each["about"], each["level"]) for each in answer["findings"]}


def test_answer_for_people_says_how_to_mend_it(settings):
    settings.MIN_FREE_DISK_MB = 10**9
    out = StringIO()
    with pytest.raises(SystemExit, match="1"):
        call_command("doctor", stdout=out, no_color=True)
    lines = out.getvalue().splitlines()
    (number,) = [number for number, line in enumerate(lines) if line.startswith("problem disk")]
    told = " ".join(line.strip() for line in lines[number : number + 3])
    assert "MB are free; HEALTH__MIN_FREE_DISK_MB asks for 1,000,000,000." in told
    assert "Make room" in told
    assert lines[-1].endswith("problems")


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_database_that_is_not_there_is_one_problem_among_others(arguments, tmp_path):
    url = f"sqlite:///{tmp_path}/missing/homepot.db"
    result = run_python("manage.py", "doctor", *arguments, DATABASE__URL=url)
    assert result.returncode == 1
    assert result.stderr == ""
    told = " ".join(result.stdout.split())
    assert f"Cannot open the SQLite database {tmp_path}/missing/homepot.db" in told
    assert "docs/troubleshooting.md" in told


def test_others_may_not_read_the_secrets(settings, tmp_path):
    settings.ENV_FILE = tmp_path / ".env"
    settings.ENV_FILE.write_text("SECRET_KEY=x")
    settings.ENV_FILE.chmod(0o640)
    (mend,) = mends_of(configuration.look_at_env_file).values()
    assert mend == f"Run: chmod 600 {settings.ENV_FILE}"
    settings.ENV_FILE.chmod(0o600)
    assert mends_of(configuration.look_at_env_file) == {}


def test_file_of_the_database_is_its_owners_alone(tmp_path):
    path = tmp_path / "homepot.db"
    tmp_path.chmod(0o755)

    def rights():
        told = run_python("manage.py", "doctor", "--json", DATABASE__URL=f"sqlite:///{path}")
        found = json.loads(told.stdout)["findings"]
        (right,) = [each for each in found if each["about"] == "rights"]
        return right["level"], right["mend"]

    assert rights()[0] == "ok"
    assert oct(path.stat().st_mode)[-3:] == "600"
    path.chmod(0o644)
    assert rights() == ("warning", f"Run: chmod 600 {path}*")


def test_misspelt_variables_are_found(settings, tmp_path, monkeypatch):
    settings.ENV_FILE = tmp_path / ".env"
    settings.ENV_FILE.write_text(
        "DATABSE__URL=x\n# COMMENT=1\nexport SECRETKEY = y\nDEBUG=true\nEMPTY=\n"
    )
    monkeypatch.setenv("DEVICES__CHECKIN_SECONDS", "5")
    monkeypatch.setenv("SOMETHING__ELSE", "5")
    assert mends_of(configuration.look_at_variables) == {
        "DATABSE__URL is set, and nothing reads it.": "Write DATABASE__URL instead.",
        "DEVICES__CHECKIN_SECONDS is set, and nothing reads it.": (
            "Write DEVICES__CHECK_IN_SECONDS instead."
        ),
        "SECRETKEY is set, and nothing reads it.": "Write SECRET_KEY instead.",
    }


def test_what_production_would_refuse_is_found(settings):
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = ["*"]
    settings.SECRET_KEY = "change-me"
    assert len(mends_of(configuration.look_at_environment)) == 3


def test_missing_index_is_made_by_the_advice():
    execute("DROP INDEX audit_by_actor")
    (mend,) = mends_of(schema.look_at_indexes).values()
    follow(mend)
    assert mends_of(schema.look_at_indexes) == {}


def test_missing_constraint_is_made_by_the_advice(postgresql):
    execute("ALTER TABLE sites DROP CONSTRAINT site_latitude_in_range")
    (mend,) = mends_of(schema.look_at_indexes).values()
    follow(mend)
    assert mends_of(schema.look_at_indexes) == {}


def test_invalid_index_and_constraint_are_mended_by_the_advice(postgresql):
    execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'audit_by_actor'::regclass",
        "UPDATE pg_constraint SET convalidated = false WHERE conname = 'site_latitude_in_range'",
    )
    mends = mends_of(schema.look_at_indexes)
    assert len(mends) == 2
    for mend in mends.values():
        follow(mend)
    assert mends_of(schema.look_at_indexes) == {}


def test_missing_trigger_is_found():
    triggers.drop(connection)
    try:
        (mend,) = mends_of(schema.look_at_triggers).values()
        assert "manage.py migrate" in mend
    finally:
        triggers.create(connection)
    assert mends_of(schema.look_at_triggers) == {}


def test_sequence_behind_its_table_is_mended_by_the_advice(postgresql):
    # Beyond whatever number the tests before have come to: sequences are not rolled back.
    make_site(pk=1_000_000)
    (detail,), (mend,) = zip(*mends_of(schema.look_at_sequences).items(), strict=True)
    assert detail.startswith("The next row of sites would get the number ")
    follow(mend)
    assert mends_of(schema.look_at_sequences) == {}
    assert make_site().pk == 1_000_001


def test_missing_and_unknown_migrations_are_found():
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied("sites", "0001_initial")
    recorder.record_applied("sites", "9999_from_the_future")
    recorder.record_applied("somebody_else", "0001_initial")
    try:
        assert list(mends_of(schema.look_at_migrations)) == [
            "1 are to be applied, such as sites.0001_initial.",
            "The database is newer than this code: it has sites.9999_from_the_future.",
        ]
        # What follows from that is not told too.
        assert "indexes" not in {found.about for found in examine()}
    finally:
        recorder.record_applied("sites", "0001_initial")
        recorder.record_unapplied("sites", "9999_from_the_future")
        recorder.record_unapplied("somebody_else", "0001_initial")


def test_clock_that_is_wrong_is_found(postgresql, monkeypatch):
    late = timezone.now() - timedelta(seconds=90)
    monkeypatch.setattr(database.timezone, "now", lambda: late)
    (detail,) = mends_of(database.look_at_clock)
    assert detail.startswith("The database's clock is 90.")
    assert detail.endswith("s ahead.")


def test_role_that_may_not_use_a_table_is_found(postgresql):
    execute("CREATE ROLE test_doctor", "GRANT SELECT ON sites TO test_doctor")
    execute("SET ROLE test_doctor")
    try:
        (detail,) = mends_of(database.look_at_rights)
        assert "may not read and write accounts_" not in detail
        assert " devices," in detail
    finally:
        execute("RESET ROLE", "DROP OWNED BY test_doctor", "DROP ROLE test_doctor")
    assert mends_of(database.look_at_rights) == {}


def test_server_that_forgets_is_found(postgresql):
    if database.ask("SHOW fsync") == [("on",)]:
        pytest.skip("this server does not forget")
    found = list(database.look_at_server_settings())
    assert any("fsync is off" in each.detail for each in found)
    assert Level.OK not in {each.level for each in found}


def test_transaction_that_nobody_ends_is_found(postgresql, monkeypatch):
    monkeypatch.setattr(database, "LONG_TRANSACTION", timedelta(0))
    (mend, *_) = mends_of(database.look_at_sessions).values()
    assert mend.startswith("End it: SELECT pg_terminate_backend(")


def test_damaged_file_is_found(sqlite, migrated_database_url):
    path = Path(migrated_database_url.removeprefix("sqlite:///"))
    (page, size), *_ = on_database(
        migrated_database_url,
        "SELECT rootpage, page_size FROM sqlite_master, pragma_page_size "
        "WHERE name = 'audit_by_actor'",
    )
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes([255]) * size)
    result = run_python("manage.py", "doctor", DATABASE__URL=migrated_database_url)
    assert result.returncode == 1
    assert "The file is damaged" in result.stdout
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "quick has never run."),
        ({"last_finished_at": timedelta(hours=5)}, "quick last ran 5 hours ago."),
        ({"last_finished_at": timedelta(0), "last_error": "KeyError: 1\nat"}, "fails: KeyError: 1"),
    ],
)
def test_worker_that_does_not_work_is_found(settings, fields, words):
    settings.SWEEPS = {SWEEP: 60}
    if "last_finished_at" in fields:
        fields = fields | {"last_finished_at": timezone.now() - fields["last_finished_at"]}
    Sweep.objects.create(name=SWEEP, **fields)
    (detail,) = mends_of(running.look_at_worker)
    assert words in detail


def test_worker_that_is_not_there_is_found_once(settings):
    settings.SWEEPS = {SWEEP: 60, f"{SWEEP}_too": 60}
    assert list(mends_of(running.look_at_worker)) == ["No sweep has run yet: there is no worker."]
    Sweep.objects.create(name=SWEEP, last_finished_at=timezone.now() - timedelta(hours=5))
    assert list(mends_of(running.look_at_worker)) == [
        "No sweep has run for 5 hours: there is no worker."
    ]


def test_web_process_that_is_away_is_found():
    assert list(mends_of(running.look_at_web)) == ["No web process was ever here."]
    ServicePulse.objects.create(pk=1, beat_at=timezone.now() - timedelta(minutes=9))
    assert list(mends_of(running.look_at_web)) == [
        "The last sign of a web process is 9 minutes old."
    ]


def test_old_backup_is_found(settings, tmp_path):
    settings.BACKUP_FOLDER = tmp_path
    call_command("backup", to=tmp_path, stdout=StringIO())
    assert mends_of(running.look_at_backups) == {}
    for path in tmp_path.iterdir():
        os.utime(path, (0, path.stat().st_mtime - 5 * 86_400))
    assert list(mends_of(running.look_at_backups)) == [f"The newest in {tmp_path} is 5 days old."]
