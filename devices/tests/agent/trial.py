"""An agent that steps when a test says so, on a clock of its own."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from devices.agent.client import Client, Credential
from devices.agent.journal import Journal
from devices.agent.loop import Agent, Observer
from devices.agent.machine import Machine
from devices.agent.transport import Transport
from devices.models import Device
from devices.simulation.chance import Chances, SimulatedWork
from devices.tests.factories import make_credential


@dataclass
class Heard(Observer):
    """Remembers what an agent tells."""

    events: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def happened(self, event: str, about: str = "") -> None:
        self.events.append(event)

    def failed(self, error: Exception, again_in: float) -> None:
        self.errors.append(error)
        self.waits.append(again_in)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Trial:
    """An agent of `device`, and what happened to it."""

    def __init__(
        self,
        transport: Transport,
        device: Device,
        *,
        key: str = "",
        journal: Journal | None = None,
        machine: Machine | None = None,
        **options: Any,
    ) -> None:
        self.device, self.clock, self.heard = device, Clock(), Heard()
        self.journal, self.machine = journal or Journal(), machine or Machine()
        credential = Credential(device.device_id, key or make_credential(device))
        self.agent = Agent(
            Client(transport, credential),
            self.journal,
            self.machine,
            SimulatedWork(Chances(seed=1), device.device_id, self.machine, self.clock),
            observer=self.heard,
            chance=random.Random(1),
            clock=self.clock,
            **options,
        )

    def step(self) -> float:
        return self.agent.step()

    def pass_time(self, seconds: float) -> None:
        """Step whenever the agent asks for it, for `seconds` of its clock."""
        end = self.clock.now + seconds
        while self.clock.now <= end:
            self.clock.now += max(self.agent.step(), 0.001)
