"""Doing one command at a time beside the loop, so that the device keeps checking in."""

from __future__ import annotations

import threading
from typing import Protocol

from devices.agent.client import Command, Outcome
from devices.agent.handlers import Stopped, handle, interrupted
from devices.agent.machine import Machine

# How long work that is told to stop may take to do so.
STOP_SECONDS = 5.0
# Somebody looks that often whether it is done, if nobody wakes them.
LOOK_SECONDS = 1.0


class Work(Protocol):
    """Does commands, one at a time."""

    # The one under way, until its outcome is taken.
    command: Command | None

    def begin(self, command: Command) -> None: ...

    def take_outcome(self) -> tuple[Command, Outcome] | None:
        """The command under way with its outcome, once; None while it has none."""

    def cancel(self) -> None:
        """Ask for the command under way to be given up."""

    def look_again_in(self) -> float:
        """Seconds after which to ask for the outcome."""


class ThreadedWork:
    """Each command in a thread of its own; `wake` is set when it is done."""

    def __init__(self, machine: Machine, wake: threading.Event) -> None:
        self.command: Command | None = None
        self._machine = machine
        self._wake = wake
        self._outcome: Outcome | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._is_cancelled = False

    def begin(self, command: Command) -> None:
        self.command, self._is_cancelled = command, False
        self._stop.clear()
        # A handler that does not end cannot keep the agent from ending.
        self._thread = threading.Thread(target=self._run, args=[command], daemon=True)
        self._thread.start()

    def take_outcome(self) -> tuple[Command, Outcome] | None:
        if self.command is None or self._outcome is None:
            return None
        done = self.command, self._outcome
        self.command = self._outcome = None
        return done

    def cancel(self) -> None:
        self._is_cancelled = True
        self._stop.set()

    def look_again_in(self) -> float:
        return LOOK_SECONDS

    def stop(self) -> tuple[Command, Outcome] | None:
        """End the command under way, if there is one, and return it with its outcome."""
        if self.command is None or self._thread is None:
            return None
        self._stop.set()
        self._thread.join(STOP_SECONDS)
        return self.take_outcome() or (self.command, interrupted())

    def _run(self, command: Command) -> None:
        self._outcome = handle(command, self._machine, self._pause)
        self._wake.set()

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped(is_cancelled=self._is_cancelled)
