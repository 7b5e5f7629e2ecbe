"""What happens to a simulated device by chance: the same for the same seed.

Each device, and each thing that can happen to it, draws from a sequence of its own, so that the
order in which threads get their turn changes nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from devices.agent.client import Command, Outcome
from devices.agent.handlers import cancelled, failed, handle
from devices.agent.machine import Health, Machine
from devices.enums import Permission

Clock = Callable[[], float]

PROBLEMS = (
    "Printer out of paper",
    "Card reader does not answer",
    "Receipt printer cover is open",
    "Cash drawer is stuck",
    "Sensor reads out of range",
)
# Of the length of a run: for how long a device that falls silent speaks, and is silent.
SPEAKING_SHARE = (0.1, 0.4)
SILENT_SHARE = (0.1, 0.5)


@dataclass(frozen=True)
class Chances:
    """How often things go wrong, from 0 to 1; nothing does without."""

    seed: int
    failure_rate: float = 0.0
    offline_rate: float = 0.0

    def draw(self, device_id: str, topic: str) -> random.Random:
        """The sequence of one device for one topic."""
        return random.Random(f"{self.seed} {device_id} {topic}")  # noqa: S311

    def silences(self, device_id: str, seconds: float) -> list[tuple[float, float]]:
        """From when to when a device does not speak, in a run of `seconds`; empty for most."""
        chance = self.draw(device_id, "silence")
        if chance.random() >= self.offline_rate:
            return []
        silences = []
        # Some begin silent.
        at = seconds * chance.uniform(-SILENT_SHARE[1], SPEAKING_SHARE[1])
        while at < seconds:
            until = at + seconds * chance.uniform(*SILENT_SHARE)
            if until > 0:
                silences.append((max(at, 0.0), until))
            at = until + seconds * chance.uniform(*SPEAKING_SHARE)
        return silences


class SimulatedMachine(Machine):
    """Has loads and problems by chance, and grants what it is asked for."""

    def __init__(self, chances: Chances, device_id: str) -> None:
        super().__init__(grants=frozenset(Permission.values))
        self._chance = chances.draw(device_id, "health")
        self._failure_rate = chances.failure_rate
        self._usual = {
            name: self._chance.uniform(10, 70)
            for name in ("cpu_usage", "memory_usage", "disk_usage")
        }

    def read_health(self) -> Health:
        chance = self._chance
        loads = {
            name: round(min(100.0, max(0.0, chance.gauss(usual, 5))), 1)
            for name, usual in self._usual.items()
        }
        response_time_ms = round(chance.lognormvariate(3.5, 0.6))
        problem = chance.choice(PROBLEMS)
        is_broken = chance.random() < self._failure_rate
        return Health(loads, response_time_ms, problem if is_broken else "")


class SimulatedWork:
    """Knows at once what becomes of a command, and tells when its time is over.

    Without threads: thousands of devices share one process.
    """

    def __init__(self, chances: Chances, device_id: str, machine: Machine, clock: Clock) -> None:
        self.command: Command | None = None
        self._chance = chances.draw(device_id, "work")
        self._failure_rate = chances.failure_rate
        self._machine = machine
        self._clock = clock
        self._outcome: Outcome | None = None
        self._done_at = 0.0

    def begin(self, command: Command) -> None:
        self.command, self._done_at = command, self._clock()
        if self._chance.random() < self._failure_rate:
            self._outcome = failed("simulated_failure", "This device was to fail.")
        else:
            self._outcome = handle(command, self._machine, self._pause)

    def take_outcome(self) -> tuple[Command, Outcome] | None:
        if self.command is None or self._outcome is None or self._clock() < self._done_at:
            return None
        done = self.command, self._outcome
        self.command = self._outcome = None
        return done

    def cancel(self) -> None:
        self._outcome, self._done_at = cancelled(), self._clock()

    def look_again_in(self) -> float:
        return max(0.0, self._done_at - self._clock())

    def _pause(self, seconds: float) -> None:
        self._done_at += seconds
