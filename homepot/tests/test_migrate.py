"""From an empty database to one with the demo's rows."""

from __future__ import annotations

from functools import partial

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from devices.models import Device
from homepot.tests.conftest import assert_refused, execute, run_python
from sites.models import Site


@pytest.fixture
def manage(empty_database_url):
    """`manage("migrate")` runs a command on a database without tables."""
    return partial(run_python, "manage.py", DATABASE__URL=empty_database_url)


def demo():
    """Every column of the demo's rows."""
    sites = Site.objects.order_by("site_id").values()
    return [*sites, *Device.objects.order_by("device_id").values()]


@pytest.mark.django_db
def test_migrations_match_the_models():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db
def test_tables_are_named_as_in_the_original():
    tables = {"audit_logs", "devices", "health_checks", "jobs", "sites", "users"}
    assert tables <= set(connection.introspection.table_names())


def test_empty_database_is_filled_by_migrate_and_loaddata(manage, empty_database_url):
    assert manage("migrate").returncode == 0
    for _ in range(2):
        loaded = manage("loaddata", "seed")
        assert loaded.returncode == 0, loaded.stderr
    rows = execute(
        empty_database_url,
        "SELECT sites.site_id, count(*) FROM devices JOIN sites ON sites.id = devices.site_id"
        " GROUP BY sites.site_id ORDER BY sites.site_id",
    )
    assert rows == [("site-001", 5), ("site-002", 3), ("site-003", 4)]
    assert execute(empty_database_url, "SELECT count(*) FROM users") == [(0,)]
    assert execute(empty_database_url, "SELECT count(*) FROM audit_logs") == [(0,)]


@pytest.mark.django_db
def test_seed_restores_the_demo_and_leaves_the_rest():
    call_command("loaddata", "seed", verbosity=0)
    before = demo()
    Site.objects.create(site_id="site-004", name="Our own")
    Site.objects.filter(site_id="site-001").update(name="Renamed", description="")
    Device.objects.filter(device_id="pos-terminal-001").update(status="error", config={})
    Device.objects.filter(device_id="pos-terminal-002").delete()
    call_command("loaddata", "seed", verbosity=0)
    Site.objects.get(site_id="site-004").delete()
    # A row that was gone comes back under another number.
    assert [row | {"id": 0} for row in demo()] == [row | {"id": 0} for row in before]


@pytest.mark.django_db
def test_seed_is_the_demo_newest_first():
    call_command("loaddata", "seed", verbosity=0)
    newest = Site.objects.order_by("-created_at", "-id").values("site_id", "name", "description")
    assert newest[0] == {
        "site_id": "site-003",
        "name": "East Side Mall",
        "description": "Shopping mall location with 4 POS terminals",
    }
    assert [site["site_id"] for site in newest] == ["site-003", "site-002", "site-001"]
    terminals = Device.objects.order_by("device_id")
    assert [terminal.device_id for terminal in terminals] == [
        f"pos-terminal-{number:03}" for number in range(1, 13)
    ]
    assert {terminal.config["gateway_url"] for terminal in terminals} == {
        "https://payments.example.com"
    }


@pytest.mark.parametrize("table", ["users", "audit_logs"])
def test_tables_of_another_program_are_named_and_left_alone(manage, empty_database_url, table):
    execute(empty_database_url, f"CREATE TABLE {table} (id integer)")
    assert_refused(manage("migrate"), f"tables of another program: {table}", "DATABASE__URL")
    rows = execute(
        empty_database_url,
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if empty_database_url.startswith("sqlite")
        else "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
    )
    assert rows == [(table,)]


def test_tables_with_other_names_are_not_in_the_way(manage, empty_database_url):
    execute(empty_database_url, "CREATE TABLE notes (id integer)")
    assert manage("migrate").returncode == 0


def test_migrating_again_changes_nothing(manage):
    manage("migrate")
    assert "No migrations to apply." in manage("migrate").stdout


@pytest.fixture
def migrated(migrated_database_url):
    """`migrated("audit", "0003")` runs migrate on a database that has all its tables."""
    return partial(run_python, "manage.py", "migrate", DATABASE__URL=migrated_database_url)


def test_migrate_gets_out_of_the_way_and_tries_again(start, migrated_database_url):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no locks on tables")
    with psycopg.connect(migrated_database_url) as reader:
        reader.execute("SELECT count(*) FROM audit_logs")
        migrate = start(
            *("manage.py", "migrate", "audit", "0003", "--lock-seconds", "0.2"),
            DATABASE__URL=migrated_database_url,
        )
        migrate.wait_for("The table is in use (canceling statement due to lock timeout)")
        # Nobody waits behind it meanwhile.
        execute(migrated_database_url, "SET lock_timeout = '1s'", "SELECT 1 FROM audit_logs")
    assert migrate.process.wait(30) == 0, migrate.output
    assert "Unapplying audit.0004_add_target_index... OK" in migrate.output


def test_statement_that_takes_too_long_is_undone_and_told(migrated, migrated_database_url):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite does not limit statements")
    with psycopg.connect(migrated_database_url) as reader:
        reader.execute("SELECT count(*) FROM audit_logs")
        options = ("--lock-seconds", "0", "--statement-seconds", "0.2")
        refused = migrated("audit", "0003", *options)
    assert refused.returncode == 1
    assert "A statement took too long" in refused.stderr
    assert "Traceback" not in refused.stderr
    told = "SELECT count(*) FROM django_migrations WHERE name = '0004_add_target_index'"
    assert execute(migrated_database_url, told) == [(1,)]
