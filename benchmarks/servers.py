"""The servers that are measured, and the CPU that they use."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
WORKERS = 2
# Of the bare view, which never waits.
THREADS = 4
START_SECONDS = 60
STOP_SECONDS = 30
# Real ones: what is acknowledged is on disk. Memory as on the small server that is meant.
POSTGRESQL_SETTINGS = (
    "shared_buffers=512MB",
    "effective_cache_size=2GB",
    "max_wal_size=4GB",
    "random_page_cost=1.1",
    "jit=off",
)


@dataclass(frozen=True)
class Server:
    """A web server: its address, its process, and how long it took to answer."""

    name: str
    url: str
    process: psutil.Process
    start_seconds: float

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process)

    def memory_bytes(self) -> int:
        """Of all its processes, what they share counted once."""
        return sum(_memory_share(process) for process in _tree(self.process))


@contextmanager
def product(database_url: str) -> Iterator[Server]:
    port = _free_port()
    command = [
        *(sys.executable, "manage.py", "serve", "--host", HOST, "--port", str(port)),
        *("--workers", str(WORKERS)),
    ]
    environment = {
        "DATABASE__URL": database_url,
        "LOGGING__LEVEL": "WARNING",
        "SECRET_KEY": "a-key-for-benchmarks-that-is-long-enough-and-kept-nowhere",
    }
    with _served("HOMEPOT", command, port, "/livez", environment) as server:
        yield server


@contextmanager
def bare() -> Iterator[Server]:
    port = _free_port()
    command = [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", HOST),
        *("--port", str(port), "--workers", str(WORKERS), "--blocking-threads", str(THREADS)),
        *("--log-level", "warning", "benchmarks.bare:application"),
    ]
    with _served("bare", command, port, "/", {}) as server:
        yield server


@contextmanager
def _served(
    name: str, command: list[str], port: int, path: str, environment: dict[str, str]
) -> Iterator[Server]:
    started = time.monotonic()
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, stdout=words, stderr=words
        )
        try:
            url = f"http://{HOST}:{port}"
            _wait_for_answer(url + path, process)
            yield Server(name, url, psutil.Process(process.pid), time.monotonic() - started)
        except RuntimeError:
            words.seek(0)
            print(words.read().decode(errors="replace"), file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def _wait_for_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The server ended with {process.returncode}.")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"No answer from {url} in {START_SECONDS} s.")


def database_clock(database_url: str) -> Callable[[], float]:
    """Tells the CPU that the PostgreSQL of this URL has used so far; raises RuntimeError.

    It must run here, on a socket in the folder that also holds its data.
    """
    folder = parse_qs(urlsplit(database_url).query)["host"][0]
    for process in psutil.process_iter(["cmdline"]):
        if f"{folder}/data" in (process.info["cmdline"] or []):
            return partial(cpu_seconds, process)
    raise RuntimeError(f"No PostgreSQL runs in {folder}.")


def cpu_seconds(process: psutil.Process) -> float:
    """What a process, those it started and those that ended have used so far."""
    total = 0.0
    for member in _tree(process):
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _tree(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _memory_share(process: psutil.Process) -> int:
    """What it holds for itself, and its share of what it has together with others."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port
