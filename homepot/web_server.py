"""The main process of the web server; `manage.py serve` becomes this one.

Not `granian` from its command line, whose log lines could not look like all others.
"""

from __future__ import annotations

import argparse
import os
import signal

from granian import Granian
from granian.constants import Interfaces

from homepot.logging import logging_options
from homepot.metrics.folder import shared_folder

# How long requests may take to end once the server is to stop.
STOP_SECONDS = 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--log-level", required=True)
    parser.add_argument("--log-format", required=True)
    arguments = parser.parse_args()
    os.register_at_fork(after_in_child=_prepare_worker)
    with shared_folder():
        serve(arguments)


def serve(arguments: argparse.Namespace) -> None:
    Granian(
        "homepot.wsgi:application",
        address=arguments.host,
        port=arguments.port,
        interface=Interfaces.WSGI,
        workers=arguments.workers,
        blocking_threads=arguments.threads,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        log_dictconfig=logging_options(
            level=arguments.log_level, format=arguments.log_format, echo_sql=False
        ),
    ).serve()


def _prepare_worker() -> None:
    # It begins with the main process's handler, which would swallow the word to end until
    # the worker has started and has one of its own.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Ctrl-C reaches all processes of a terminal at once. A worker that then gets the main
    # process's word too sometimes stops in the middle of stopping.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


if __name__ == "__main__":
    main()
