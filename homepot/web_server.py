"""The web server: granian's main process, with the application loaded once for all its workers.

Workers are forks of it: they start at once and share the memory of what was loaded. What is a
process's own, connections and threads, each of them begins by itself.
"""

from __future__ import annotations

import gc
import os
import signal

from django.conf import settings
from django.urls import resolve
from granian import Granian
from granian.constants import Interfaces
from granian.log import logger as granian_logger

from homepot.admission import WSGI, Admission, waiting_threads
from homepot.handler import TolerantWSGIHandler
from homepot.warm_up import warm_up

# How long requests may take to end once the server is to stop.
STOP_SECONDS = 10
# Python's own 700 has it look for cycles at every other request.
OBJECTS_BEFORE_COLLECTION = 5_000


def serve(*, host: str, port: int, workers: int, threads: int) -> None:
    """Serve until told to stop; each worker works on as many requests at once as `threads`."""
    application = Admission(TolerantWSGIHandler(), working=threads)
    resolve("/")  # loads every URL

    def load() -> WSGI:
        warm_up()
        return application

    # Most of its threads only wait for their turn; they are made when that many requests are there.
    granian_logger.addFilter(lambda record: "Python threads" not in record.getMessage())
    os.register_at_fork(after_in_child=_prepare_worker)
    # What is there now stays: looking at it again and again would only copy it for each worker.
    gc.collect()
    gc.freeze()
    # Nearly all that a request makes is gone with it, without being looked for.
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION, 10, 10)
    Granian(
        settings.WSGI_APPLICATION,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads + waiting_threads(),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        log_dictconfig=settings.LOGGING,
    ).serve(target_loader=load, wrap_loader=False)


def _prepare_worker() -> None:
    # It begins with the main process's handler, which would swallow the word to end until
    # the worker has started and has one of its own.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Ctrl-C reaches all processes of a terminal at once. A worker that then gets the main
    # process's word too sometimes stops in the middle of stopping.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
