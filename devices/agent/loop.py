"""The agent's round: check in, acknowledge, work, report; and later again what failed."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from devices.agent.backoff import Duty
from devices.agent.client import DEFAULT_INTERVAL_SECONDS, Client, Command, Outcome
from devices.agent.errors import RefusedError, RequestError
from devices.agent.handlers import cancelled, interrupted
from devices.agent.journal import Entry, Journal, Stage
from devices.agent.machine import Machine
from devices.agent.work import Work

logger = logging.getLogger(__name__)

# A device takes up to this share less than the interval it was told: those that began together
# drift apart, and none is late.
EARLY = 0.05
# While the server fails, a device waits up to twice its interval, which is as often as usual
# on average; but not longer than this when it checks in often.
SHORTEST_LONGEST_WAIT_SECONDS = 10.0
# After its disk failed it.
DISK_WAIT_SECONDS = 10.0
# The command is not this device's, or not any more: nothing is left to say about it.
OVER = frozenset({404, 409})


class Observer:
    """Hears what happens; this one writes it to the log."""

    def happened(self, event: str, about: str = "") -> None:
        logger.info("%s%s", event.capitalize(), f": {about}" if about else "")

    def failed(self, error: Exception, again_in: float) -> None:
        logger.warning("%s Trying again in %.0f s.", error, again_in)


class Agent:
    """One device. `step` is to be called again after the seconds it returns, or sooner."""

    def __init__(
        self,
        client: Client,
        journal: Journal,
        machine: Machine,
        work: Work,
        *,
        interval: float | None = None,
        facts: Mapping[str, Any] | None = None,
        observer: Observer | None = None,
        chance: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`interval`: seconds between check-ins, whatever the server tells. `facts`: of what
        make the device is, told once.
        """
        self.journal = journal
        self._client = client
        self._machine = machine
        self._work = work
        self._given_interval = interval
        self._interval = interval or DEFAULT_INTERVAL_SECONDS
        self._untold_facts = facts
        self._observer = observer or Observer()
        self._chance = chance or random.Random()  # noqa: S311
        self._clock = clock
        self._check_ins = Duty(self._chance)
        self._telling = Duty(self._chance)
        self._round_trip_ms: int | None = None
        for entry in journal.at(Stage.BEGUN):
            self._finish(entry.command, interrupted())

    def put_off(self, seconds: float) -> None:
        """Check in after `seconds` and not before."""
        self._check_ins.due_at = self._clock() + seconds

    def step(self, *, checks_in: bool = True) -> float:
        """Do what is due; return the seconds until something is.

        Without `checks_in` it brings to an end what it has, and takes on nothing new.
        """
        try:
            if done := self._work.take_outcome():
                self._finish(*done)
            if checks_in and self._check_ins.is_due(self._clock()):
                self._try(self._check_ins, self._check_in)
            if self._has_something_to_tell() and self._telling.is_due(self._clock()):
                self._try(self._telling, self._tell)
            self._begin_next()
        except OSError as error:
            self._observer.failed(error, DISK_WAIT_SECONDS)
            return DISK_WAIT_SECONDS
        return self._seconds_until_due(checks_in)

    def end(self, done: tuple[Command, Outcome] | None) -> None:
        """Keep the outcome of the work that was stopped, and report once what there is."""
        if done:
            self._finish(*done)
        self._try(self._telling, self._report_all)

    def _seconds_until_due(self, checks_in: bool) -> float:
        now = self._clock()
        waits = [self._check_ins.due_at - now] if checks_in else []
        if self._has_something_to_tell():
            waits.append(self._telling.due_at - now)
        if self._work.command:
            waits.append(self._work.look_again_in())
        return max(0.0, min(waits, default=self._interval))

    def _try(self, duty: Duty, do: Callable[[], None]) -> None:
        try:
            do()
            duty.failures = 0
        except (RequestError, OSError) as error:
            again_in = duty.fail(
                self._clock(),
                longest=max(2 * self._interval, SHORTEST_LONGEST_WAIT_SECONDS),
                retry_after=getattr(error, "retry_after", None),
            )
            self._observer.failed(error, again_in)

    # Checking in

    def _check_in(self) -> None:
        health = self._machine.read_health()
        response_time_ms = health.response_time_ms
        report = {
            "is_healthy": health.is_healthy,
            "error_message": health.error_message or None,
            "response_time_ms": self._round_trip_ms
            if response_time_ms is None
            else response_time_ms,
            "response_data": {"uptime_seconds": self._machine.uptime_seconds, **health.loads},
            "firmware_version": self._machine.firmware_version,
            "config_version": self._machine.config_version or None,
            # With it the same check-in counts once, however often it arrives.
            "reported_at": datetime.now(UTC).isoformat(),
        }
        started_at = self._clock()
        answer = self._client.check_in(report)
        now = self._clock()
        self._round_trip_ms = round(1000 * (now - started_at))
        self._interval = self._given_interval or answer.next_check_in_seconds
        self._check_ins.due_at = now + self._interval * self._chance.uniform(1 - EARLY, 1)
        # The server is there: what waited for it need not wait longer.
        self._telling.due_at = now
        self._observer.happened("checked in")
        for command in answer.commands:
            self.journal.offer(command)
            self._observer.happened("offered", _words(command))
        for command_id in answer.cancelled:
            self._cancel(command_id)

    def _cancel(self, command_id: str) -> None:
        entry = self.journal.get(command_id)
        if entry is not None and entry.stage == Stage.BEGUN:
            self._work.cancel()
        elif entry is not None and entry.stage in (Stage.FINISHED, Stage.REPORTED):
            # The server has not heard of its outcome.
            self.journal.finish(command_id, entry.outcome or cancelled())
        else:
            # Also one that is not known: its offer, or the answer to its end, was lost.
            self.journal.finish(command_id, cancelled())

    # Telling the server

    def _has_something_to_tell(self) -> bool:
        return bool(
            self._untold_facts
            or self._machine.has_untold_permissions
            or self.journal.unacknowledged()
            or self.journal.unreported()
        )

    def _tell(self) -> None:
        tellings: list[Callable[[], None]] = []
        if facts := self._untold_facts:
            tellings.append(lambda: self._tell_facts(facts))
        if self._machine.has_untold_permissions:
            tellings.append(self._tell_permissions)
        for entry in self.journal.unacknowledged():
            tellings.append(lambda entry=entry: self._acknowledge(entry))  # type: ignore[misc]
        _each(tellings)
        self._report_all()

    def _report_all(self) -> None:
        _each([lambda entry=entry: self._report(entry) for entry in self.journal.unreported()])  # type: ignore[misc]

    def _tell_facts(self, facts: Mapping[str, Any]) -> None:
        self._client.tell_facts(facts)
        self._untold_facts = None

    def _tell_permissions(self) -> None:
        self._client.tell_permissions(self._machine.permissions)
        self._machine.change(has_untold_permissions=False)

    def _acknowledge(self, entry: Entry) -> None:
        try:
            self._client.acknowledge(entry.command)
        except RefusedError as error:
            if error.status not in OVER:
                raise
            self._observer.happened("not wanted any more", _words(entry.command))
            if entry.stage == Stage.WAITING:
                self.journal.forget(entry)
                return
        else:
            self._observer.happened("acknowledged", _words(entry.command))
        self.journal.acknowledged(entry)

    def _report(self, entry: Entry) -> None:
        outcome = entry.outcome or interrupted()
        try:
            self._client.report(entry.command, outcome)
        except RefusedError as error:
            if error.status not in OVER:
                raise
            self._observer.happened("outcome not taken", f"{_words(entry.command)}: {error}")
        else:
            self._observer.happened(outcome.status, _words(entry.command))
        self.journal.reported(entry)
        if not self.journal.open_entries() and not self._check_ins.failures:
            # There may be more to do.
            self._check_ins.due_at = self._clock()

    # Work

    def _begin_next(self) -> None:
        if self._work.command:
            return
        for entry in self.journal.at(Stage.WAITING):
            if entry.is_acknowledged:
                self.journal.begin(entry)
                self._work.begin(entry.command)
                self._observer.happened("begun", _words(entry.command))
                return

    def _finish(self, command: Command, outcome: Outcome) -> None:
        self.journal.finish(command.command_id, outcome)


def _each(tellings: list[Callable[[], None]]) -> None:
    """Call all, also after one was refused for itself; raise the first error."""
    first: RequestError | None = None
    for tell in tellings:
        try:
            tell()
        except RequestError as error:
            first = first or error
            if error.is_general:
                break
    if first:
        raise first


def _words(command: Command) -> str:
    return f"{command.command_type} {command.command_id}".strip()
