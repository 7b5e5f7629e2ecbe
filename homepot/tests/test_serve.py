"""`manage.py serve`, run for real."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import psycopg
import pytest
from django.conf import settings
from django.db import connection

from homepot.database import database_options, describe_database
from homepot.testing.processes import wait_until
from homepot.tests.conftest import assert_refused, run_python


def description_of(url):
    return describe_database(
        database_options(
            url, base_dir=settings.BASE_DIR, pool_size=1, max_overflow=0, is_web_process=False
        )
    )


def status_of(port, path="/admin/login/"):
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


@pytest.fixture
def serve(start, migrated_database_url, free_port):
    """Start a server and wait until all its workers answer."""

    def start_server(*, workers=1, **environment):
        program = start(
            *("manage.py", "serve", "--port", free_port, "--workers", str(workers)),
            **{"DATABASE__URL": migrated_database_url} | environment,
        )
        program.wait_for_workers(workers, free_port)
        return program

    return start_server


def test_server_answers_and_says_once_what_it_serves_from(serve, migrated_database_url, free_port):
    program = serve(workers=2)
    with ThreadPoolExecutor(8) as threads:
        statuses = set(threads.map(status_of, [free_port] * 16))
    assert statuses == {200}
    program.end(signal.SIGTERM)
    described = description_of(migrated_database_url)
    assert program.output.count(f"Serving from the {described}\n") == 1
    assert program.output.count("Serving from") == 1
    # A line for each request would cost more than many requests do.
    assert "/admin/login/" not in program.output


def test_json_log_has_one_object_a_line_and_no_secrets(serve, free_port):
    program = serve(LOGGING__FORMAT="json", LOGGING__LEVEL="DEBUG")
    key = "hpk_0123456789abcdefghijklmnopqrstuvwxyz0123456"
    request = Request(
        f"http://127.0.0.1:{free_port}/api/v1/nope?api_key={key}&password=s3cretword",
        headers={"X-API-Key": key, "X-Request-ID": "order-77777"},
    )
    with pytest.raises(HTTPError):
        urlopen(request, timeout=20)
    program.end(signal.SIGTERM)
    lines = [json.loads(line) for line in program.output.splitlines()]
    assert lines[0]["message"].startswith("Serving from the ")
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert "order-77777" in [line.get("request_id") for line in lines]
    assert key not in program.output
    assert "s3cretword" not in program.output


@pytest.mark.parametrize(
    ("number", "group"),
    [
        (signal.SIGINT, True),
        (signal.SIGINT, False),
        (signal.SIGTERM, True),
        (signal.SIGTERM, False),
    ],
)
def test_signal_ends_all_of_it(serve, free_port, number, group):
    program = serve(workers=2)
    status_of(free_port)
    assert program.end(number, group=group) == 0
    assert "Traceback" not in program.output


def test_open_connections_do_not_keep_it_from_ending(serve, free_port):
    program = serve()
    with closing(socket.create_connection(("127.0.0.1", int(free_port)))) as idle:
        idle.sendall(b"GET /admin/login/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(12) == b"HTTP/1.1 200"
        assert program.end(signal.SIGTERM) == 0


def test_killed_worker_is_replaced(serve, free_port):
    program = serve()
    (worker,) = program.process.children()
    worker.kill()
    program.wait_for("Respawning worker-1")
    psutil.wait_procs([worker])
    deadline = time.monotonic() + 20
    while program.output.count("Started worker-1") < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert status_of(free_port) == 200


def test_web_processes_keep_their_pools(serve, migrated_database_url):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no pool")
    program = serve(workers=2, DATABASE__POOL_SIZE="2", DATABASE__MAX_OVERFLOW="2")
    deadline = time.monotonic() + 20
    count = 0
    with psycopg.connect(migrated_database_url, autocommit=True) as database:
        while count < 4 and time.monotonic() < deadline:
            (count,) = database.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'homepot'"
            ).fetchone()
    # Two for each worker, and what warming up needed while a pool was being filled.
    assert 4 <= count <= 8, program.output


def test_database_without_migrations_ends_in_one_line(empty_database_url):
    assert_refused(
        run_python("manage.py", "serve", DATABASE__URL=empty_database_url),
        f"The {description_of(empty_database_url)} is not up to date",
        "python manage.py migrate",
    )


@pytest.fixture
def run_serve(migrated_database_url):
    """Run a server that refuses to start."""
    return partial(run_python, "manage.py", "serve", DATABASE__URL=migrated_database_url)


def test_taken_port_ends_in_one_line(run_serve):
    with closing(socket.create_server(("127.0.0.1", 0), reuse_port=True)) as other:
        port = str(other.getsockname()[1])
        assert_refused(run_serve("--port", port), f"Port {port} on 127.0.0.1 is taken")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "0"], "0 is no port"),
        (["--port", "65536"], "65536 is no port"),
        (["--host", "192.0.2.1"], "192.0.2.1 is no address of this machine"),
        (["--host", "no-such-host.invalid"], "no-such-host.invalid is no address of this machine"),
        (["--workers", "0"], "--workers"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_wrong_arguments_end_in_one_line(run_serve, arguments, words):
    assert_refused(run_serve(*arguments), words)


def test_more_threads_than_connections_end_in_one_line(run_serve):
    if connection.vendor != "postgresql":
        pytest.skip("threads do not share connections to SQLite")
    assert_refused(
        run_serve("--threads", "4", DATABASE__POOL_SIZE="1", DATABASE__MAX_OVERFLOW="2"),
        "4 threads share 3 database connections",
    )


def test_worker_that_cannot_reach_the_database_says_so_and_waits(
    sqlite, serve, migrated_database_url, tmp_path, free_port
):
    """What `serve` has seen to be there may be gone when a worker that died is replaced."""
    here = tmp_path / "here"
    here.mkdir()
    shutil.copy(migrated_database_url.removeprefix("sqlite:///"), here / "homepot.db")
    program = serve(workers=2, DATABASE__URL=f"sqlite:///{here}/homepot.db")
    workers = program.process.children()
    for worker in workers:
        worker.suspend()  # or it might notice too
    here.rename(tmp_path / "gone")
    for worker in workers:
        worker.kill()
    for number in (1, 2):
        wait_until(lambda: program.output.count(f"Started worker-{number}") == 2)  # noqa: B023
    assert status_of(free_port, "/readyz") == 503
    assert status_of(free_port, "/livez") == 200
    told = f"trying again until it does: Cannot open the SQLite database {here}"
    # By each of the workers, and not for each request.
    assert program.output.count(told) == 2
    assert "Traceback" not in program.output
    assert not here.exists()
