"""Which changes of a busy table `manage.py check` warns of."""

from __future__ import annotations

import pytest
from django.core import checks
from django.db import migrations, models
from django.db.migrations.state import ProjectState
from django.db.models.functions import Now, Random
from django.utils import timezone

from homepot import migration_checks
from homepot.migration_checks import problems_of
from homepot.migration_operations import AddCheckOnline, AddIndexOnline

INDEX = models.Index(fields=["name"], name="device_name")
POSITIVE = models.CheckConstraint(condition=models.Q(size__gte=0), name="size_positive")
UNIQUE = models.UniqueConstraint(fields=["name"], name="name_unique")


def make_migration(*operations, **attributes):
    migration = type("Migration", (migrations.Migration,), attributes)("0009_change", "devices")
    migration.operations = list(operations)
    return migration


@pytest.fixture
def state():
    """Devices, which are busy, and notes, which are not."""
    state = ProjectState()
    for name in ("Device", "Note"):
        migrations.CreateModel(
            name,
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.CharField(max_length=50)),
                ("size", models.IntegerField(null=True)),
                ("site", models.ForeignKey("self", models.CASCADE, null=True)),
            ],
            {"db_table": f"{name.lower()}s"},
        ).state_forwards("devices", state)
    return state


def add(field, *, model="device"):
    return migrations.AddField(model, "extra", field)


def alter(name, field):
    return migrations.AlterField("device", name, field)


def sql(statement):
    return migrations.RunSQL(statement, migrations.RunSQL.noop)


def python(apps, schema_editor):
    pass


@pytest.mark.parametrize(
    ("operations", "words"),
    [
        ([migrations.AddIndex("device", INDEX)], "use AddIndexOnline"),
        ([migrations.AddIndex("note", INDEX)], None),
        ([AddIndexOnline("device", INDEX)], None),
        ([migrations.RemoveIndex("device", "device_name")], None),
        ([migrations.AddConstraint("device", POSITIVE)], "use AddCheckOnline"),
        ([AddCheckOnline("device", POSITIVE)], None),
        ([migrations.AddConstraint("device", UNIQUE)], "until its index is built"),
        ([migrations.AlterUniqueTogether("device", {("name", "size")})], "all rows"),
        ([add(models.IntegerField(null=True))], None),
        ([add(models.IntegerField(db_default=0))], None),
        ([add(models.DateTimeField(db_default=Now()))], None),
        ([add(models.FloatField(db_default=Random()))], "writes a value into all rows"),
        ([add(models.IntegerField(default=0))], "let it be null or give it a db_default"),
        ([add(models.DateTimeField(default=timezone.now))], "db_default"),
        ([add(models.IntegerField(default=0), model="note")], None),
        ([add(models.IntegerField(null=True, db_index=True))], "AddIndexOnline"),
        ([add(models.CharField(null=True, unique=True, max_length=9))], "AddIndexOnline"),
        (
            [
                add(
                    models.GeneratedField(
                        expression=models.F("size") + 1,
                        output_field=models.IntegerField(),
                        db_persist=True,
                    )
                )
            ],
            "writes a value",
        ),
        (
            [add(models.ForeignKey("devices.Note", models.CASCADE, null=True, db_index=False))],
            "db_constraint=False",
        ),
        (
            [
                add(
                    models.ForeignKey(
                        "devices.Note",
                        models.CASCADE,
                        null=True,
                        db_index=False,
                        db_constraint=False,
                    )
                )
            ],
            None,
        ),
        ([alter("name", models.CharField(max_length=60))], None),
        ([alter("name", models.TextField())], None),
        ([alter("name", models.CharField(max_length=50, help_text="for people"))], None),
        ([alter("name", models.CharField(max_length=40))], "varchar(50) varchar(40)"),
        ([alter("name", models.CharField(max_length=50, db_index=True))], "AddIndexOnline"),
        ([alter("name", models.CharField(max_length=50, db_column="label"))], "takes a name away"),
        ([alter("name", models.CharField(max_length=50, db_collation="C"))], "all its indexes"),
        ([alter("size", models.BigIntegerField(null=True))], "integer bigint"),
        ([alter("size", models.PositiveIntegerField(null=True))], "AddCheckOnline"),
        ([alter("size", models.IntegerField())], "looks for nulls"),
        (
            [alter("site", models.ForeignKey("devices.Note", models.CASCADE, null=True))],
            "all references",
        ),
        ([migrations.RenameField("device", "name", "label")], "takes a name away"),
        ([migrations.RemoveField("device", "name")], "takes a name away"),
        ([migrations.RenameModel("Device", "Till")], "takes a name away"),
        ([migrations.DeleteModel("Note")], None),
        (
            [
                migrations.SeparateDatabaseAndState(
                    state_operations=[migrations.RemoveField("device", "name")]
                )
            ],
            None,
        ),
        (
            [
                migrations.SeparateDatabaseAndState(
                    database_operations=[migrations.AddIndex("device", INDEX)]
                )
            ],
            "use AddIndexOnline",
        ),
        ([sql("ALTER TABLE devices ALTER COLUMN name TYPE text")], "RunSQL on devices"),
        ([sql([("SELECT 1", []), ("CREATE INDEX x ON jobs (id)", [])])], "RunSQL on jobs"),
        ([sql("UPDATE audit_logs SET outcome = 'success'")], "RunSQL on audit_logs"),
        ([sql("CREATE INDEX CONCURRENTLY x ON jobs (id)")], None),
        ([sql("ALTER TABLE devices DROP COLUMN name")], None),
        ([sql("UPDATE notes SET size = 1")], None),
        ([migrations.RunPython(python)], None),
        (
            [add(models.IntegerField(null=True)), migrations.RunPython(python)],
            "RunPython keeps the locks",
        ),
        (
            [
                migrations.CreateModel(
                    "Job", [("id", models.BigAutoField(primary_key=True))], {"db_table": "jobs"}
                ),
                migrations.AddConstraint(
                    "job", models.CheckConstraint(condition=models.Q(id__gt=0), name="x")
                ),
            ],
            None,
        ),
    ],
)
def test_change_is_judged(state, operations, words):
    problems = problems_of(make_migration(*operations), state)
    assert len(problems) == (words is not None), problems
    assert words is None or words in problems[0]


def test_change_with_a_reason_is_let_through(state):
    operation = migrations.AddIndex("device", INDEX)
    reason = {"locks_tables_because": "The table is emptied before."}
    assert problems_of(make_migration(operation), state)
    assert not problems_of(make_migration(operation, **reason), state)


def test_migrations_of_the_project_pass():
    assert [found for found in checks.run_checks() if found.id == "homepot.W002"] == []


def test_check_reads_what_came_after_the_first_release(monkeypatch):
    """With the mark set back, migrations that were made for empty tables are not good enough."""
    early = migration_checks.FIRST_RELEASE | {"audit": "0002_add_dedupe_key"}
    monkeypatch.setattr(migration_checks, "FIRST_RELEASE", early)
    found = {message.msg for message in checks.run_checks() if message.id == "homepot.W002"}
    assert (
        "The migration audit.0004_add_target_index: AddIndex on audit_logs lets nobody write "
        "until the index is built; use AddIndexOnline." in found
    )
    assert len(found) == 2
