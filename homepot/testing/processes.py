"""Processes of the service for tests: real ones, on the database of the test.

Such a test is marked `django_db(transaction=True)`: what it does not commit, they do not see.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import connection

HOST = "127.0.0.1"
# Reached when something is wrong only, however busy the machine is.
WAIT_SECONDS = 120
POLL_SECONDS = 0.05
ROOM_FOR_WORDS = 1024**2


def database_url() -> str:
    """The URL of the database that this test uses."""
    options = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{quote(str(options['NAME']))}"
    account = quote(options["USER"], safe="")
    if options["PASSWORD"]:
        account += f":{quote(options['PASSWORD'], safe='')}"
    where, query = f"{options['HOST']}:{options['PORT'] or 5432}", ""
    if options["HOST"].startswith("/"):
        where, query = "", "?" + urlencode({"host": options["HOST"]})
    return f"postgresql://{account}@{where}/{quote(options['NAME'])}{query}"


@contextmanager
def python(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run Python with `arguments` beside the test.

    It and what it started are killed when the block ends. What it says is in `stderr`.
    """
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=settings.BASE_DIR,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # Most tests read it at the end, if at all: a program whose words find no room stands still.
        pipesize=ROOM_FOR_WORDS,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def manage(*arguments: str, **environment: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """Run `manage.py` with `arguments` beside the test, as `python` does."""
    environment = {"DATABASE__URL": database_url()} | environment
    return python("manage.py", *arguments, **environment)


@contextmanager
def serve(port: int, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run the web server beside the test, from when it listens on `port` of 127.0.0.1."""
    with manage("serve", "--port", str(port), *arguments, **environment) as process:
        wait_until(lambda: is_listening(port), process)
        yield process


def remember_commits() -> None:
    """Let those who connect from now on wait for what they commit to be written.

    The PostgreSQL of a test run forgets what it has not written yet when it is killed.
    """
    if connection.vendor == "postgresql":
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} SET synchronous_commit = on")


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    """Whether a program accepts connections on `port` of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def wait_until(
    is_so: Callable[[], object],
    process: subprocess.Popen[str] | None = None,
    *,
    seconds: float = WAIT_SECONDS,
) -> None:
    """Wait until `is_so()` is true.

    Raises TimeoutError when that takes longer than `seconds`, and RuntimeError with the last
    words of `process` when it ends before.
    """
    deadline = time.monotonic() + seconds
    while not is_so():
        if process and process.poll() is not None:
            assert process.stderr
            raise RuntimeError(f"It ended with {process.returncode}: {process.stderr.read()}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"It was not so within {seconds} s.")
        time.sleep(POLL_SECONDS)
