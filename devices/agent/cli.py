"""The agent as a program: what it is given, and its life until it is told to end."""

from __future__ import annotations

import argparse
import logging
import random
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from devices.agent.client import Client
from devices.agent.enrolment import check_stored, first_credential
from devices.agent.errors import AgentError
from devices.agent.host import describe_host
from devices.agent.loop import Agent
from devices.agent.machine import Machine
from devices.agent.options import make_parser
from devices.agent.state import StateFolder
from devices.agent.transport import Transport
from devices.agent.work import ThreadedWork

# Machines that got their power back together do not check in together.
START_SPREAD_SECONDS = 3.0

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    options = make_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        with closing(StateFolder(options.state_dir)) as folder:
            transport = Transport(options.url, timeout=options.timeout, ca_file=options.ca_file)
            with closing(transport):
                run(options, folder, transport)
    except AgentError as error:
        sys.stderr.write(f"homepot agent: {error}\n")
        return 1
    return 0


def run(options: argparse.Namespace, folder: StateFolder, transport: Transport) -> None:
    """Enrol if need be, and work until told to end; raises AgentError."""
    stopping, wake = threading.Event(), threading.Event()

    def stop(number: int, frame: Any) -> None:
        stopping.set()
        wake.set()

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    stored = folder.read_credential()
    if stored is None:
        credential = first_credential(options, transport, stopping)
    else:
        credential = check_stored(stored, options)
    if credential is None:
        return
    if credential != stored:
        folder.write_credential(credential)
    logger.info("This is device %s at %s", credential.device_id, transport.url)
    machine = Machine(
        folder.read_machine(), grants=frozenset(options.grant), save=folder.write_machine
    )
    work = ThreadedWork(machine, wake)
    agent = Agent(
        Client(transport, credential),
        folder.open_journal(),
        machine,
        work,
        interval=options.interval_override,
        facts=describe_host(transport.host, transport.port),
    )
    if stored:
        agent.put_off(random.uniform(0, START_SPREAD_SECONDS))  # noqa: S311
    while not stopping.is_set():
        wake.wait(agent.step())
        wake.clear()
    logger.info("Ending")
    agent.end(work.stop())
    # Some tell a process twice. The second time must not find it half gone, and kill it.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
