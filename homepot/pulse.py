"""Signs of life: what every process of the service does every few seconds.

While no web process is there to be spoken to, devices cannot check in, and their silence says
nothing about them. `ServicePulse` tells when that was so; `devices/status.py` reads it.
"""

from __future__ import annotations

import atexit
import logging
import threading
from contextlib import closing
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Greatest
from django.utils.module_loading import import_string

from homepot.models import ServicePulse
from homepot.outages import database_outages
from homepot.read_only import is_read_only

logger = logging.getLogger(__name__)

# How long the end of a process waits for a round that is under way.
STOP_SECONDS = 2


def beat(now: datetime, interval: timedelta, patience: timedelta) -> None:
    """Note that the service is alive at `now`.

    When nothing was heard of it for an `interval`, devices get `patience` to come back. The
    first beat of all counts as one after an absence: the rows may come from elsewhere.
    """
    # Further ahead than clocks differ that are a little off: a clock was wrong, and nobody knows
    # how long the service was away since.
    wrong_from = now + 2 * patience
    if is_read_only():
        # The first beat after it finds that the service was away, which for devices it was.
        return
    # One conditional UPDATE: of two processes that come back at once one grants the grace, and
    # the other finds the service alive and leaves it alone.
    beaten = ServicePulse.objects.filter(pk=1).update(
        # Of two clocks the one ahead counts, or each beat of the other would look like a return.
        beat_at=Case(
            When(beat_at__gte=wrong_from, then=Value(now)),
            default=Greatest(F("beat_at"), Value(now)),
        ),
        grace_until=Case(
            When(
                Q(beat_at__lt=now - interval)
                | Q(beat_at__gte=wrong_from)
                | Q(grace_until__gte=wrong_from),
                then=Value(now + patience),
            ),
            default=F("grace_until"),
        ),
    )
    if not beaten:
        first = ServicePulse(pk=1, beat_at=now, grace_until=now + patience)
        ServicePulse.objects.bulk_create([first], ignore_conflicts=True)


def run_tasks() -> None:
    """Run the tasks of `settings.PULSE_TASKS` once."""
    for path in settings.PULSE_TASKS:
        import_string(path)()


class Pulse(threading.Thread):
    """Runs the tasks every `settings.PULSE_SECONDS`, on a connection of its own, until stopped.

    It outlives a database that is away, and never keeps the process from ending.
    """

    def __init__(self) -> None:
        super().__init__(name="pulse", daemon=True)
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.is_set():
            # A thread that died unseen would leave every device without a verdict.
            try:
                with closing(connection), database_outages.tolerate():
                    connection.ensure_connection()
                    run_tasks()
            except Exception:
                logger.exception("The pulse missed a beat")
            self._stopping.wait(settings.PULSE_SECONDS)

    def stop(self) -> None:
        """End the thread, after the round that is under way."""
        self._stopping.set()
        self.join(STOP_SECONDS)


def start_pulse() -> Pulse:
    """Start the pulse of this process; its end stops it."""
    pulse = Pulse()
    pulse.start()
    atexit.register(pulse.stop)
    return pulse
