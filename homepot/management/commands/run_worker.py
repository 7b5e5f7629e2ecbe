"""Run the sweeps."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
from datetime import UTC, datetime
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from homepot import pulse
from homepot.database import describe_database
from homepot.management.commands.serve import check_migrations_applied
from homepot.outages import database_outages
from homepot.read_only import is_read_only
from homepot.sweeps import run_sweep, stopping

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    help = (
        "Do the work that the service does by itself, such as telling which devices are silent, "
        "until SIGTERM or Ctrl-C. Any number of workers share it."
    )
    # Nothing here needs the URLs.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="run every sweep one time and end, as for cron"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        check_migrations_applied()
        if is_read_only():
            logger.warning("Read-only mode is on: the sweeps stand still")
        pulse.run_tasks()
        worker = Worker()
        if options["once"]:
            worker.run_once()
        else:
            worker.run_until_told_to_stop()


class Worker:
    def __init__(self) -> None:
        # Random too: containers may share the name of a host and the number of a process.
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._failures: dict[str, str] = {}

    def run_once(self) -> None:
        """Run every sweep that no other worker is at; raises CommandError when one fails."""
        for name in settings.SWEEPS:
            try:
                run_sweep(name, self.name, even_if_early=True)
            except Exception:
                logger.exception("The sweep %s failed", name)
                self._failures[name] = ""
        if self._failures:
            raise CommandError(f"Failed: {', '.join(self._failures)}.")

    def run_until_told_to_stop(self) -> None:
        # Threads inherit this: a signal waits for the line below that waits for it, whatever
        # else is going on.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        logger.info("Working on the %s", describe_database(connection.settings_dict))
        connection.close()
        pulse.start_pulse()
        scheduler = BackgroundScheduler(
            timezone=UTC,
            # A thread for each: one that waits for a lock holds up no other.
            executors={"default": ThreadPoolExecutor(max(1, len(settings.SWEEPS)))},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for name, seconds in settings.SWEEPS.items():
            scheduler.add_job(
                self.run,
                "interval",
                args=[name],
                seconds=seconds,
                next_run_time=datetime.now(UTC),
            )
        scheduler.start()
        signal.sigwait(STOP_SIGNALS)
        stopping.set()
        scheduler.shutdown()

    def run(self, name: str) -> None:
        """Run a sweep when it is its turn; what keeps failing is logged once."""
        try:
            with database_outages.tolerate():
                if run_sweep(name, self.name):
                    self._failures.pop(name, None)
        except Exception as error:
            failure = repr(error)
            if self._failures.get(name) != failure:
                logger.exception("The sweep %s failed", name)
            self._failures[name] = failure
        finally:
            # Between its runs a sweep needs none.
            connection.close()
