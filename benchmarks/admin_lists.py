"""How long the admin's lists take to open at a million rows, beside Django's own admin.

    .venv/bin/python -m benchmarks.admin_lists [--database sqlite] [--rows 1000000]

Both are asked in turns, in processes of their own, over one database that is made for it and
thrown away. The figures are medians of what a page takes within the process, without a network.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from homepot.testing.postgres import postgresql_server

TURNS = 3
PAGES_A_TURN = 15
WARM_UP = 3
PATHS = (
    "/admin/devices/healthcheck/",
    "/admin/audit/auditlog/",
    "/admin/devices/device/",
)
DEVICES = 40_000
SITES = 2_000
USERNAME = "bench"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--measure", choices=("ours", "stock"), help=argparse.SUPPRESS)
    parser.add_argument("--username", default=USERNAME, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        is_stock = arguments.measure == "stock"
        print(json.dumps(measure(arguments.username, is_stock=is_stock)))
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder}/bench.db"
        if arguments.database == "postgresql":
            url = stack.enter_context(postgresql_server())
        os.environ |= {
            "HOMEPOT_ENV_FILE": os.devnull,
            "SECRET_KEY": secrets.token_urlsafe(48),
            "DATABASE__URL": url,
            "LOGGING__LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "homepot.settings",
        }
        fill(arguments.rows)
        compare(arguments.rows, arguments.database)


def compare(rows: int, database: str) -> None:
    print(f"{database}, {rows:,} checks and audit rows, {DEVICES:,} devices")
    for path, (ours, stock) in times_of(os.environ["DATABASE__URL"], USERNAME, TURNS).items():
        own, other = statistics.median(ours), statistics.median(stock)
        print(
            f"{path:30} ours {1000 * own:6.1f} ms, stock {1000 * other:6.1f} ms, "
            f"ratio {own / other:.2f}"
        )


def times_of(
    database_url: str, username: str, turns: int
) -> dict[str, tuple[list[float], list[float]]]:
    """The times of our pages and of stock ones, in seconds, by path; `username` is an admin's."""
    found: dict[str, tuple[list[float], list[float]]] = {path: ([], []) for path in PATHS}
    for _ in range(turns):
        for number, whose in enumerate(("ours", "stock")):
            command = [*(sys.executable, "-m", "benchmarks.admin_lists"), "--measure", whose]
            ran = subprocess.run(
                [*command, "--username", username],
                check=True,
                env=os.environ | {"DATABASE__URL": database_url},
                stdout=subprocess.PIPE,
            )
            for path, times in json.loads(ran.stdout).items():
                found[path][number].extend(times)
    return found


def fill(rows: int) -> None:
    import django
    from django.core.management import call_command

    django.setup()
    from django.db import connection

    from accounts import services
    from accounts.enums import Role

    call_command("migrate", verbosity=0)
    services.create_user(
        username=USERNAME,
        email=f"{USERNAME}@example.com",
        password=None,
        actor=None,
        role=Role.ADMIN,
    )
    is_postgresql = connection.vendor == "postgresql"
    ago = (
        "now() - n * interval '1 second'" if is_postgresql else "datetime('now', -n || ' seconds')"
    )
    json_object = "'{}'::jsonb" if is_postgresql else "'{}'"
    yes, no = ("true", "false") if is_postgresql else ("1", "0")
    numbers = (
        "generate_series(1, {count}) AS numbers(n)"
        if is_postgresql
        else "(WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers "
        "WHERE n < {count}) SELECT n FROM numbers)"
    )
    statements = (
        f"""INSERT INTO sites (created_at, updated_at, site_id, name, description, location,
            timezone, is_active, enrolment_key_hint)
        SELECT {ago}, {ago}, 'bench-' || n, 'Store ' || n, '', '', 'UTC', {yes}, ''
        FROM {numbers.format(count=SITES)}""",
        f"""INSERT INTO devices (created_at, updated_at, site_id, device_id, name, device_type,
            status, status_reason, status_since, lifecycle_state, mac_address, firmware_version,
            config, config_version, desired_config_version, permissions, bad_checks, is_active,
            is_simulated, last_seen)
        SELECT {ago}, {ago}, (SELECT min(id) FROM sites) + n % {SITES}, 'bench-' || n,
            'Terminal ' || n, 'pos_terminal', 'online', 'Checks in, healthy.', {ago}, 'active', '',
            '1.0', {json_object}, '', '', {json_object}, 0, {yes}, {no}, {ago}
        FROM {numbers.format(count=DEVICES)}""",
        f"""INSERT INTO health_checks (device_id, is_healthy, response_time_ms, status_code,
            endpoint, error_message, checked_at)
        SELECT (SELECT min(id) FROM devices) + n % {DEVICES}, n % 50 <> 0, 20 + n % 100, 200,
            '/health', '', {ago}
        FROM {numbers.format(count=rows)}""",
        f"""INSERT INTO audit_logs (event_type, description, actor_kind, actor_label, target_type,
            target_label, request_id, ip_address, user_agent, outcome, severity, created_at,
            dedupe_key, device_id, site_id)
        SELECT 'device_updated', '', 'system', 'system', 'device', 'Terminal ' || n, '', '', '',
            'success', 'info', {ago}, '', (SELECT min(id) FROM devices) + n % {DEVICES},
            (SELECT min(id) FROM sites) + n % {SITES}
        FROM {numbers.format(count=rows)}""",
    )
    with connection.cursor() as cursor:
        if is_postgresql:
            cursor.execute("SET statement_timeout = 0")
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("VACUUM ANALYZE" if is_postgresql else "ANALYZE")
    connection.close()


def measure(username: str, *, is_stock: bool) -> dict[str, list[float]]:
    import django
    from django.conf import settings

    if is_stock:
        django.setup()
        from benchmarks.stock_admin import TEMPLATES_OF_DJANGO

        settings.TEMPLATES[0]["DIRS"] = [TEMPLATES_OF_DJANGO]
        settings.ROOT_URLCONF = "benchmarks.stock_admin"
    else:
        django.setup()
    settings.ALLOWED_HOSTS = ["testserver"]
    from django.test import Client

    from accounts.models import User

    browser = Client()
    browser.force_login(User.objects.get(username=username))
    taken: dict[str, list[float]] = {}
    for path in PATHS:
        for number in range(WARM_UP + PAGES_A_TURN):
            begun = time.perf_counter()
            answer = browser.get(path)
            if answer.status_code != 200:
                raise RuntimeError(f"{path} answered {answer.status_code}.")
            if number >= WARM_UP:
                taken.setdefault(path, []).append(time.perf_counter() - begun)
    return taken


if __name__ == "__main__":
    main()
