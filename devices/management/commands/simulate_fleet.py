"""Let many simulated devices speak to a running server."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from devices.agent.client import Credential
from devices.agent.errors import AgentError, RefusedError, RequestError
from devices.agent.transport import Transport
from devices.simulation.chance import Chances
from devices.simulation.fleet import Fleet, make_member
from devices.simulation.progress import Progress
from devices.simulation.registration import count_left_out, prepare_fleet
from devices.simulation.tally import Tally, TimedTransport
from homepot.database import describe_database
from homepot.errors import DomainError
from homepot.management.commands.serve import check_migrations_applied

MOST_DEVICES = 20_000


class Command(BaseCommand):
    help = (
        "Let many simulated devices check in with a running server and do their work, through "
        "HTTP as real ones do. They are registered in this command's database, which must be "
        "the server's, and used again by the next run. Fails when anything went wrong that was "
        "not simulated."
    )
    # Nothing here needs the URLs.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--devices", type=number(1, MOST_DEVICES), default=100, help="default: %(default)s")
        add("--sites", type=number(1, 1000), default=10, help="default: %(default)s")
        add(
            *("--seconds",),
            type=number(1, 86_400),
            default=60,
            help="for how long (default: %(default)s)",
        )
        add(
            *("--failure-rate",),
            type=rate,
            default=0.0,
            metavar="RATE",
            help="share of unhealthy checks and of failed commands, 0 to 1 (default: 0)",
        )
        add(
            *("--offline-rate",),
            type=rate,
            default=0.0,
            metavar="RATE",
            help="share of devices that are silent for random times, 0 to 1 (default: 0)",
        )
        add(
            *("--url",),
            default="http://127.0.0.1:8000",
            help="where the server is (default: %(default)s)",
        )
        add(
            *("--seed",),
            type=int,
            default=1,
            help="the same seed, the same silences, problems and failures (default: 1)",
        )
        add(
            *("--interval",),
            type=number(1, 3600),
            metavar="SECONDS",
            help="check in that often, instead of as the server tells",
        )
        add(
            *("--connections",),
            type=number(1, 64),
            default=16,
            help="requests at the same time at most (default: %(default)s)",
        )
        add(
            *("--in-production",),
            action="store_true",
            help="register simulated devices in a production database too",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.IS_PRODUCTION and not options["in_production"]:
            raise CommandError(
                "This is a production database: simulated devices would count among the real "
                "ones. Give --in-production if that is what you want."
            )
        if options["sites"] > options["devices"]:
            raise CommandError("--sites is more than --devices: some sites would have none.")
        check_migrations_applied()
        tally = Tally()
        try:
            transport = TimedTransport(options["url"], tally)
        except AgentError as error:
            raise CommandError(str(error)) from None
        check_server(options["url"])
        credentials = self.prepare(options)
        check_same_database(options["url"], credentials[0])
        self.tell_beforehand(credentials, options["interval"])
        connection.close()
        chances = Chances(options["seed"], options["failure_rate"], options["offline_rate"])
        members = [
            make_member(
                credential,
                transport=transport,
                tally=tally,
                chances=chances,
                run_seconds=options["seconds"],
                interval=options["interval"],
            )
            for credential in credentials
        ]
        self.run(Fleet(members, tally, options["connections"]), tally, options)
        transport.close()

    def prepare(self, options: dict[str, Any]) -> list[Credential]:
        progress = Progress(self.stdout)
        try:
            return prepare_fleet(
                device_count=options["devices"],
                site_count=options["sites"],
                on_progress=lambda ready: progress.show(f"{ready} devices are ready"),
            )
        except DomainError as error:
            raise CommandError(str(error)) from None
        finally:
            progress.clear()

    def tell_beforehand(self, credentials: list[Credential], interval: int | None) -> None:
        if left_out := count_left_out(credentials):
            self.stdout.write(
                f"{left_out} simulated devices of earlier runs are not driven: they go offline, "
                "and what is ordered for them is not fetched. Give more --devices to drive them, "
                "or retire them."
            )
        seconds = interval or settings.CHECK_IN_SECONDS
        self.stdout.write(f"Each device checks in every {seconds} s, and fetches its work then.")

    def run(self, fleet: Fleet, tally: Tally, options: dict[str, Any]) -> None:
        """Run the fleet and tell how it went; raises CommandError when something went wrong."""
        progress = Progress(self.stdout)
        seconds = options["seconds"]

        def show(passed: float) -> None:
            progress.show(
                f"{passed:.0f} of {seconds} s, {tally.events['checked in']} check-ins, "
                f"{tally.events['offered']} commands, {tally.error_count} errors"
            )

        try:
            fleet.run(seconds, show)
        except KeyboardInterrupt:
            pass  # whoever has seen enough sees the table
        finally:
            progress.clear()
        devices, sites = options["devices"], options["sites"]
        self.stdout.write(f"{devices} simulated devices at {sites} sites\n\n{tally.table()}")
        if unfinished := fleet.unfinished():
            raise CommandError(f"Commands that could not be brought to their end: {unfinished}.")
        if tally.error_count:
            raise CommandError(f"Errors that were not simulated: {tally.error_count}.")


def check_server(url: str) -> None:
    """Raise CommandError unless a server of ours answers at `url`."""
    # A probe, which every server of ours answers without a word in its log.
    try:
        with closing(Transport(url)) as transport:
            answer = transport.send("GET", "/health/health", None, {})
    except RefusedError as error:
        raise CommandError(f"{url} is not ready: {error}") from None
    except RequestError as error:
        raise CommandError(f"{error} Start it with `make run`, or give its --url.") from None
    if "checks" not in answer:
        raise CommandError(f"{url} does not answer like a HOMEPOT server.")


def check_same_database(url: str, credential: Credential) -> None:
    """Raise CommandError unless the server knows the device."""
    headers = {"X-Device-ID": credential.device_id, "X-API-Key": credential.api_key}
    try:
        with closing(Transport(url)) as transport:
            transport.send("POST", "/agent/heartbeat", {}, headers)
    except RefusedError as error:
        raise CommandError(
            f"{url} does not know the devices registered in the "
            f"{describe_database(connection.settings_dict)}: {error} Give this command the "
            "DATABASE__URL of the server."
        ) from None
    except RequestError as error:
        raise CommandError(str(error)) from None


def number(least: int, most: int) -> Callable[[str], int]:
    """A type for argparse: a whole number from `least` to `most`."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
        return int(text)

    return parse


def rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return value
