"""Child processes that end when this one does, and leave none of their own behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

# Longer than the web server gives its requests to end.
STOP_SECONDS = 15
POLL_SECONDS = 0.1


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop_on_signals() -> None:
    """Let Ctrl-C, SIGTERM and a closed terminal alike raise KeyboardInterrupt, the first alone."""
    # Even where a shell started this in the background, which ignores Ctrl-C.
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    # One more, as make sends, could come before the children are told, and they would be left.
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def run(command: Sequence[str], *, cwd: Path) -> int:
    """Run `command` to its end and return its status."""
    with Processes(cwd=cwd) as processes:
        processes.start(command[0], command)
        _, status = processes.wait_for_one()
        return status


class Processes:
    """Processes that run side by side; leaving the `with` block ends those that still do."""

    def __init__(self, *, cwd: Path, environment: Mapping[str, str] | None = None) -> None:
        self._cwd = cwd
        self._environment = environment
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str]) -> None:
        self._children[name] = subprocess.Popen(
            command,
            cwd=self._cwd,
            env=self._environment,
            # Ctrl-C reaches this process alone, which ends the others in its own way.
            start_new_session=True,
        )

    def find_ended(self) -> tuple[str, int] | None:
        """Name and status of one that has ended, if any has."""
        for name, child in self._children.items():
            if (status := child.poll()) is not None:
                return name, status
        return None

    def wait_for_one(self) -> tuple[str, int]:
        """Wait until one ends; return its name and status."""
        while (ended := self.find_ended()) is None:
            time.sleep(POLL_SECONDS)
        return ended

    def stop(self) -> None:
        """Ask all to end, wait, and kill what has not; a second Ctrl-C changes nothing."""
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
        for child in self._children.values():
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self._children.values():
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0, deadline - time.monotonic()))
            # What a child started is in its group, even when the child itself has ended.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        self._children.clear()
        for number, handler in handlers.items():
            signal.signal(number, handler)
