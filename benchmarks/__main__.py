"""`make bench`: a PostgreSQL of its own, the product and a bare Django side by side.

    .venv/bin/python -m benchmarks [--quick] [--only check-in] [--json FILE] [--compare FILE]

What counts are ratios within one run: machines differ, and so does one machine over a day.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from benchmarks.wrk import WrkMissingError, find_wrk
from homepot.testing.postgres import postgresql_server

SECRET_KEY = "a-key-for-benchmarks-that-is-long-enough-and-kept-nowhere"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small fleet, in under 3 minutes")
    parser.add_argument("--sites", type=int, help="default: 1000; quick: 200")
    parser.add_argument("--devices", type=int, help="default: 20000; quick: 2000")
    parser.add_argument("--checks", type=int, help="health checks; default: 1000000; quick: 50000")
    parser.add_argument("--audit", type=int, help="audit rows; default: 200000; quick: 10000")
    parser.add_argument("--seconds", type=float, help="of each turn; default: 6; quick: 2")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each; default: 2")
    parser.add_argument("--connections", type=int, default=16, help="default: 16")
    parser.add_argument(
        "--only", action="append", default=[], help="scenarios whose names begin so"
    )
    parser.add_argument("--json", type=Path, help="write the results there")
    parser.add_argument("--compare", type=Path, help="results of an earlier run to stand beside")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    try:
        find_wrk()
    except WrkMissingError as error:
        print(f"homepot: {error}", file=sys.stderr)
        return 1
    from benchmarks.servers import POSTGRESQL_SETTINGS

    with postgresql_server(settings=POSTGRESQL_SETTINGS) as url:
        os.environ |= {
            "DATABASE__URL": url,
            "DJANGO_SETTINGS_MODULE": "homepot.settings",
            "SECRET_KEY": SECRET_KEY,
            "LOGGING__LEVEL": "WARNING",
        }
        import django

        django.setup()
        from benchmarks.run import run

        folder = parse_qs(urlsplit(url).query)["host"][0]
        return run(options, url, folder)


if __name__ == "__main__":
    sys.exit(main())
