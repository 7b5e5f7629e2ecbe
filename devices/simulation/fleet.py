"""Letting many agents take their turns in a few threads."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from devices.agent.client import Client, Credential
from devices.agent.journal import Journal
from devices.agent.loop import Agent
from devices.simulation.chance import Chances, SimulatedMachine, SimulatedWork
from devices.simulation.tally import Tally, TimedTransport

# How long the end of a run waits for what has begun.
SETTLE_SECONDS = 15.0
SETTLE_LOOK_SECONDS = 0.05
TICK_SECONDS = 1.0
# As many devices a second begin to speak, or more where time is short.
STARTS_PER_SECOND = 50.0


class Place(Enum):
    """Where a member is; it is never at two places, and one thread at most drives it."""

    QUEUED = auto()
    UNDER_WAY = auto()
    # Nobody drives it until somebody puts it in the queue again.
    PARKED = auto()


@dataclass(eq=False)
class Member:
    """A device of the fleet, and when it is silent, in seconds from the start of the run."""

    device_id: str
    agent: Agent
    silences: Sequence[tuple[float, float]] = ()
    # Silent until it is switched on.
    is_off: bool = False
    place: Place = Place.PARKED

    def silent_until(self, at: float) -> float:
        """`at` itself when the device speaks then."""
        if self.is_off:
            return math.inf
        return next((end for start, end in self.silences if start <= at < end), at)


class Fleet:
    """Members, and threads that drive them; each thread has one connection to the server."""

    def __init__(self, members: Sequence[Member], tally: Tally, connection_count: int) -> None:
        self.members = members
        self._tally = tally
        self._threads = [
            threading.Thread(target=self._drive, daemon=True) for _ in range(connection_count)
        ]
        # Guards all below, and the places of the members.
        self._changed = threading.Condition()
        self._turns: list[tuple[float, int, Member]] = []
        self._numbers = itertools.count()
        self._is_settling = False
        self._is_over = False
        self._started_at = 0.0

    def start(self, within: float = math.inf) -> None:
        """Begin, one member after the other, but all `within` so many seconds."""
        self._started_at = time.monotonic()
        pause = min(1 / STARTS_PER_SECOND, within / len(self.members))
        for number, member in enumerate(self.members):
            self._enqueue(member, self._started_at + number * pause)
        for thread in self._threads:
            thread.start()

    def run(self, seconds: float, on_tick: Callable[[float], None]) -> None:
        """Start, wait for `seconds`, settle and stop; `on_tick` hears how many have passed.

        What `on_tick` raises, and Ctrl-C, ends the wait.
        """
        self.start(within=seconds / 2)
        try:
            while (passed := time.monotonic() - self._started_at) < seconds:
                on_tick(passed)
                time.sleep(min(TICK_SECONDS, seconds - passed))
        finally:
            self.settle()
            self.stop()

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Let all members, silent ones too, finish and report what they have begun."""
        with self._changed:
            self._is_settling = True
            self._turns.clear()
            for member in self.members:
                if member.place != Place.UNDER_WAY:
                    member.place = Place.PARKED
                    self._enqueue_if_open(member, time.monotonic())
            self._changed.notify_all()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._is_settled():
            time.sleep(SETTLE_LOOK_SECONDS)

    def stop(self) -> None:
        """End the threads, once each has its answer."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def switch_off(self, members: Iterable[Member]) -> None:
        """Let `members` speak no more until they are switched on."""
        for member in members:
            member.is_off = True

    def switch_on(self, members: Iterable[Member]) -> None:
        with self._changed:
            for member in members:
                member.is_off = False
                if member.place == Place.PARKED:
                    self._enqueue(member, time.monotonic())
            self._changed.notify_all()

    def unfinished(self) -> int:
        """How many commands the members have not brought to their end."""
        return sum(len(member.agent.journal.open_entries()) for member in self.members)

    def _is_settled(self) -> bool:
        with self._changed:
            return all(member.place == Place.PARKED for member in self.members)

    def _enqueue(self, member: Member, at: float) -> None:
        member.place = Place.QUEUED
        heapq.heappush(self._turns, (at, next(self._numbers), member))

    def _enqueue_if_open(self, member: Member, at: float) -> None:
        if member.agent.journal.open_entries():
            self._enqueue(member, at)

    def _drive(self) -> None:
        while member := self._next_member():
            try:
                seconds = member.agent.step(checks_in=not self._is_settling)
            except Exception as error:
                # A fault of the simulation: this device is lost to it, the others go on.
                self._tally.add_error(f"crash: {type(error).__name__}", str(error))
                seconds = math.inf
            with self._changed:
                member.place = Place.PARKED
                if seconds == math.inf:
                    continue
                # No need to wake the others: this thread looks at the queue next.
                put = self._enqueue_if_open if self._is_settling else self._enqueue
                put(member, time.monotonic() + seconds)

    def _next_member(self) -> Member | None:
        """Wait for a member whose turn it is; None when the run is over."""
        with self._changed:
            while not self._is_over:
                now = time.monotonic()
                wait = self._turns[0][0] - now if self._turns else TICK_SECONDS
                if wait > 0:
                    self._changed.wait(min(wait, TICK_SECONDS))
                    continue
                _, _, member = heapq.heappop(self._turns)
                passed = now - self._started_at
                until = passed if self._is_settling else member.silent_until(passed)
                if until <= passed:
                    member.place = Place.UNDER_WAY
                    return member
                if until == math.inf:
                    member.place = Place.PARKED
                else:
                    self._enqueue(member, self._started_at + until)
        return None


def make_member(
    credential: Credential,
    *,
    transport: TimedTransport,
    tally: Tally,
    chances: Chances,
    run_seconds: float,
    interval: float | None = None,
) -> Member:
    """A device with the same protocol code as a real one, on a simulated machine."""
    device_id = credential.device_id
    machine = SimulatedMachine(chances, device_id)
    agent = Agent(
        Client(transport, credential),
        Journal(),
        machine,
        SimulatedWork(chances, device_id, machine, time.monotonic),
        interval=interval,
        observer=tally,
        chance=chances.draw(device_id, "pace"),
    )
    return Member(device_id, agent, chances.silences(device_id, run_seconds))
