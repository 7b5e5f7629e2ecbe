"""Changes of a table that others write to meanwhile."""

from __future__ import annotations

import threading
from contextlib import closing

import psycopg
import pytest
from django.db import IntegrityError, NotSupportedError, connection, migrations, models, transaction
from django.db.migrations.state import ProjectState

from homepot.migration_operations import AddCheckOnline, AddIndexOnline, ReplaceCheckOnline
from homepot.testing.processes import database_url, wait_until
from homepot.tests.conftest import execute

pytestmark = pytest.mark.django_db(transaction=True)

INDEX = models.Index(fields=["name"], name="note_name")
CHECK = models.CheckConstraint(condition=models.Q(name__in=["a", "b"]), name="note_name_known")
each_operation = pytest.mark.parametrize(
    ("operation", "name"),
    [(AddIndexOnline("note", INDEX), INDEX.name), (AddCheckOnline("note", CHECK), CHECK.name)],
)


@pytest.fixture
def notes():
    """The state before; the table has a row."""
    state = ProjectState()
    create = migrations.CreateModel(
        "Note",
        [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=9))],
        {"db_table": "test_notes"},
    )
    create.state_forwards("homepot", state)
    with connection.schema_editor() as editor:
        create.database_forwards("homepot", editor, ProjectState(), state)
    model = state.apps.get_model("homepot", "Note")
    model.objects.create(name="a")
    yield state
    with connection.schema_editor() as editor:
        editor.delete_model(model)


def run(operation, before, *, backwards=False, atomic=False):
    after = before.clone()
    operation.state_forwards("homepot", after)
    with connection.schema_editor(atomic=atomic) as editor:
        if backwards:
            operation.database_backwards("homepot", editor, after, before)
        else:
            operation.database_forwards("homepot", editor, before, after)


def constraints():
    with connection.cursor() as cursor:
        return set(connection.introspection.get_constraints(cursor, "test_notes"))


@each_operation
def test_operation_goes_forward_and_back_and_over_what_is_there(notes, operation, name):
    for _ in range(2):  # the second as after a kill before it was recorded
        run(operation, notes)
        assert name in constraints()
    run(operation, notes, backwards=True)
    assert name not in constraints()


@each_operation
def test_operation_refuses_to_be_part_of_a_transaction(notes, operation, name):
    with pytest.raises(NotSupportedError, match="atomic = False"):
        run(operation, notes, atomic=True)


def test_interrupted_index_is_built_again(notes):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite builds an index in one transaction")
    run(AddIndexOnline("note", INDEX), notes)
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'note_name'::regclass"
    execute(
        database_url(),
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'note_name'::regclass",
    )
    assert execute(database_url(), valid) == [(False,)]
    run(AddIndexOnline("note", INDEX), notes)
    assert execute(database_url(), valid) == [(True,)]


def test_others_write_while_an_index_waits_for_a_transaction(notes):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")

    def run_and_close():
        run(AddIndexOnline("note", INDEX), notes)
        connection.close()

    write = "INSERT INTO test_notes (name) VALUES ('b')"
    waiting = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX CONCURRENTLY%'"
    )
    thread = threading.Thread(target=run_and_close)
    with closing(psycopg.connect(database_url())) as slow:
        slow.execute(write)
        thread.start()
        wait_until(lambda: execute(database_url(), waiting) == [(1,)])
        execute(database_url(), "SET lock_timeout = '1s'", write)
        assert thread.is_alive()
        slow.commit()
    thread.join(10)
    assert "note_name" in constraints()


def test_check_that_rows_break_holds_once_they_are_mended(notes):
    note = notes.apps.get_model("homepot", "Note")
    note.objects.create(name="c")
    with pytest.raises(IntegrityError):
        run(AddCheckOnline("note", CHECK), notes)
    note.objects.filter(name="c").update(name="b")
    run(AddCheckOnline("note", CHECK), notes)
    with pytest.raises(IntegrityError), transaction.atomic():
        note.objects.create(name="c")
    if connection.vendor == "postgresql":
        told = "SELECT convalidated FROM pg_constraint WHERE conname = 'note_name_known'"
        assert execute(database_url(), told) == [(True,)]


def test_check_is_replaced_and_put_back(notes):
    run(AddCheckOnline("note", CHECK), notes)
    AddCheckOnline("note", CHECK).state_forwards("homepot", notes)
    note = notes.apps.get_model("homepot", "Note")
    words = ["a", "b,c", "it's", "{5%}", '"\\']
    replace = ReplaceCheckOnline(
        "note", models.CheckConstraint(condition=models.Q(name__one_of=words), name=CHECK.name)
    )
    for _ in range(2):  # the second as after a kill before it was recorded
        run(replace, notes)
        assert CHECK.name in constraints()
    for word in words:
        note.objects.create(name=word)
    assert note.objects.filter(name__one_of=words).count() == 1 + len(words)
    with pytest.raises(IntegrityError), transaction.atomic():
        note.objects.create(name="b")
    note.objects.exclude(name="a").delete()
    run(replace, notes, backwards=True)
    note.objects.create(name="b")
    with pytest.raises(IntegrityError), transaction.atomic():
        note.objects.create(name="it's")
