"""`make test`: the suite on SQLite and on PostgreSQL, side by side.

What the first says is shown as it comes; what the second says, once the first has ended.
Arguments go to both, such as `-m slow`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from typing import BinaryIO

from scripts.environment import ROOT
from scripts.processes import stop_on_signals

STOP_SECONDS = 30


def main(arguments: list[str]) -> int:
    stop_on_signals()
    with tempfile.TemporaryFile() as told:
        second = start("postgresql", arguments, told)
        first = start("sqlite", arguments, None)
        try:
            statuses = [first.wait()]
            if second.poll() is None:
                print("homepot: PostgreSQL is still at it.", flush=True)
            statuses.append(second.wait())
        finally:
            for process in (first, second):
                if process.poll() is None:
                    process.terminate()
                    process.wait(STOP_SECONDS)
            told.seek(0)
            sys.stdout.flush()
            shutil.copyfileobj(told, sys.stdout.buffer)
            sys.stdout.flush()
    return max(statuses)


def start(engine: str, arguments: list[str], told: BinaryIO | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", "--database", engine, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=told, stderr=told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
