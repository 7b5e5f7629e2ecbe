"""The project's Python environment, `.venv`, with exactly what a requirements file names.

    python3 -m scripts.environment requirements-dev.txt

Needs nothing but Python's own library, because it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from scripts.processes import run, stop_on_signals

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"
PYTHON = FOLDER / "bin" / "python"
STAMP = FOLDER / "installed.json"
# Who installs the one has the other too.
INCLUDED = {"requirements-dev.txt": ["requirements.txt"]}


class SetupError(Exception):
    """The environment cannot be made; the message says what would help, in one sentence."""


def ensure_environment(requirements: str) -> Path:
    """Make `.venv` if there is none, install what `requirements` names, return its Python.

    What is there already is left alone, which takes no time. Raises SetupError.
    """
    wanted = {name: _digest(name) for name in [requirements, *INCLUDED.get(requirements, [])]}
    if wanted.items() <= _installed().items():
        return PYTHON
    if not os.access(ROOT, os.W_OK):
        raise SetupError(
            f"The folder {ROOT} cannot be written to, and .venv has to be made in it: make it "
            "writable or copy the project to a folder of your own."
        )
    if not _is_whole():
        _make_environment()
    STAMP.unlink(missing_ok=True)
    print(f"Installing what {requirements} names into .venv", flush=True)
    pip = [str(PYTHON), "-m", "pip", "install", "--require-hashes", "--no-input"]
    if run([*pip, "--disable-pip-version-check", "-r", requirements], cwd=ROOT):
        raise SetupError(f"Installing what {requirements} names failed; pip says why above.")
    STAMP.write_text(json.dumps(wanted))
    return PYTHON


def _make_environment() -> None:
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        raise SetupError(
            f"This Python ({sys.executable}) cannot make environments: install the package that "
            f"Debian and Ubuntu keep apart, with `apt install {package}`."
        )
    print(f"Making .venv with Python {sys.version.split()[0]}", flush=True)
    if run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], cwd=ROOT):
        raise SetupError(f"{sys.executable} could not make .venv; it says why above.")


def _is_whole() -> bool:
    """Whether `.venv` is an environment with pip; an interrupted run may have left half of one."""
    if not PYTHON.exists():
        return False
    # Without its configuration, its Python is the system's, and would install there.
    code = "import pip, sys; sys.exit(sys.prefix == sys.base_prefix)"
    return subprocess.run([str(PYTHON), "-c", code], capture_output=True).returncode == 0


def _installed() -> dict[str, str]:
    """The digests of the files last installed from."""
    if not (STAMP.exists() and PYTHON.exists()):
        return {}
    installed: dict[str, str] = json.loads(STAMP.read_text())
    return installed


def _digest(requirements: str) -> str:
    return hashlib.sha256((ROOT / requirements).read_bytes()).hexdigest()


def main() -> int:
    stop_on_signals()
    try:
        ensure_environment(sys.argv[1])
    except SetupError as error:
        print(f"homepot: {error}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(
            f"homepot: This account may not use {error.filename}, which another one made: remove "
            "the folder .venv, or let that account do this.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
