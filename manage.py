#!/usr/bin/env python
"""Run a management command: `python manage.py help` lists them."""

from __future__ import annotations

import os
import sys

from homepot.metrics.folder import shared_folder


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "homepot.settings")
    if sys.argv[1:2] == ["serve"]:
        # Both are asked for as soon as settings and apps are loaded.
        os.environ["HOMEPOT_PROCESS"] = "web"
        with shared_folder():
            run_command()
    else:
        run_command()


def run_command() -> None:
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db import DatabaseError, OperationalError
    except ImportError as error:
        sys.exit(f"homepot: {error}. Is the environment active? `make run` makes it in .venv.")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # Settings and databases are set by people: they get a sentence, not a stack trace.
        sys.exit(f"homepot: {error}")
    except DatabaseError as error:
        from homepot.read_only import is_refused_write

        if is_refused_write(error):
            sys.exit("homepot: Nothing can be changed while MAINTENANCE__READ_ONLY is on.")
        if not isinstance(error, OperationalError):
            raise
        sys.exit(f"homepot: {error}")


if __name__ == "__main__":
    main()
