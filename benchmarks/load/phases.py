"""The parts of a run: a usual day, a morning on which all come at once, and too much."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from benchmarks.fleet import Fleet
from benchmarks.load.traffic import BUSY, Answer, Lines
from benchmarks.requests import Request
from benchmarks.scenarios import check_in

CHECK_INS, OUTCOMES, PAGES = "check-ins", "outcomes of work", "pages of staff"
KINDS = (CHECK_INS, OUTCOMES, PAGES)
# Beside the check-ins, each second.
OUTCOMES_PER_SECOND = 5
PAGES_PER_SECOND = 3
CHECK_IN_LINES = 400
OTHER_LINES = 20
TICK_SECONDS = 0.01
# How long the last answers of a phase may take.
SETTLE_SECONDS = 20
# Who is told to come again does so within half an interval: Retry-After of the server.
COME_AGAIN_SECONDS = (1, 30)
# How long the herd may take.
HERD_SECONDS = 120


@dataclass
class Phase:
    """What came of one part, by kind of request; times count from the begin of the run."""

    name: str
    began_at: float
    ended_at: float = 0.0
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    # Not answered when the time was over.
    unanswered: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Traffic:
    """All that is sent to one server in one run."""

    def __init__(self, url: str, host: str, fleet: Fleet, command_ids: list[Request]) -> None:
        self._url = url
        self._host = host
        self._fleet = fleet
        self._outcomes = itertools.cycle([each.spelled(host) for each in command_ids])
        page = Request("GET", "/api/v1/devices/devices?limit=50", {"X-API-Key": fleet.api_key})
        self._page = page.spelled(host)
        self.began = time.perf_counter()

    def now(self) -> float:
        return time.perf_counter() - self.began

    async def steady(self, rate: float, seconds: float, name: str = "steady") -> Phase:
        """Check-ins of the whole fleet, one device after the other, `rate` a second."""
        devices = itertools.cycle(range(self._fleet.devices))

        async def drive(lines: Lines) -> None:
            for count in _due(rate, seconds):
                for _ in range(count):
                    lines.send(check_in(next(devices)).spelled(self._host))
                await asyncio.sleep(TICK_SECONDS)

        return await self._phase(name, drive)

    async def herd(self) -> Phase:
        """Every device at once; who is refused comes again, as told, until all are in."""
        devices = list(range(self._fleet.devices))
        random.Random(7).shuffle(devices)
        are_in: set[int] = set()
        taken: list[float] = []

        async def drive(lines: Lines) -> None:
            loop = asyncio.get_running_loop()
            until = time.perf_counter() + HERD_SECONDS

            def send(device: int) -> None:
                lines.send(check_in(device).spelled(self._host), lambda told: hear(device, told))

            def hear(device: int, status: int | None) -> None:
                if status is not None and status < 400:
                    are_in.add(device)
                    taken.append(time.perf_counter())
                elif time.perf_counter() < until:
                    loop.call_later(random.uniform(*COME_AGAIN_SECONDS), send, device)

            for device in devices:
                send(device)
            while len(are_in) < len(devices) and time.perf_counter() < until:
                await asyncio.sleep(TICK_SECONDS)

        began = time.perf_counter()
        phase = await self._phase("herd", drive)
        phase.notes.append(
            f"{len(are_in):,} of {len(devices):,} devices were in after {taken[-1] - began:.0f} s, "
            f"half of them after {taken[len(taken) // 2] - began:.0f} s."
        )
        return phase

    async def _phase(self, name: str, drive: Callable[[Lines], Awaitable[None]]) -> Phase:
        phase = Phase(name, self.now())
        counts = (CHECK_IN_LINES, OTHER_LINES, OTHER_LINES)
        lines = {
            kind: Lines(self._url, most, self.began)
            for kind, most in zip(KINDS, counts, strict=True)
        }
        others = [
            asyncio.create_task(self._send_evenly(lines[OUTCOMES], OUTCOMES_PER_SECOND)),
            asyncio.create_task(self._send_evenly(lines[PAGES], PAGES_PER_SECOND)),
        ]
        await drive(lines[CHECK_INS])
        for task in others:
            task.cancel()
        until = time.perf_counter() + SETTLE_SECONDS
        while any(each.unanswered for each in lines.values()) and time.perf_counter() < until:
            await asyncio.sleep(TICK_SECONDS)
        phase.ended_at = self.now()
        phase.answers = {kind: list(each.answers) for kind, each in lines.items()}
        phase.unanswered = {kind: each.unanswered for kind, each in lines.items()}
        for each in lines.values():
            each.close()
        return phase

    async def _send_evenly(self, lines: Lines, rate: float) -> None:
        while True:
            lines.send(self._page if rate == PAGES_PER_SECOND else next(self._outcomes))
            await asyncio.sleep(1 / rate)


def _due(rate: float, seconds: float) -> Iterator[int]:
    """How many are due since the last look, until the time is over."""
    began, sent = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        due = int(rate * passed)
        yield due - sent
        sent = due


def refused(answers: list[Answer]) -> int:
    return sum(answer.status == BUSY for answer in answers)


def failed(answers: list[Answer]) -> int:
    """Answers that are no good and not "come again", and requests without one."""
    return sum(
        answer.status is None or (answer.status >= 400 and answer.status != BUSY)
        for answer in answers
    )
