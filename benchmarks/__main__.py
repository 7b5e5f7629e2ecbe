"""`make bench`: a PostgreSQL of its own, the product and a bare Django side by side.

    make bench [OPTIONS="--only check-in --json FILE --compare FILE"]

What counts are ratios within one run: machines differ, and so does one machine over a day.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from homepot.testing.postgres import postgresql_server

SECRET_KEY = "a-key-for-benchmarks-that-is-long-enough-and-kept-nowhere"


def arguments() -> argparse.Namespace:
    from benchmarks import peers

    parser = argparse.ArgumentParser(
        prog="benchmarks",
        description=f"{__doc__}\n{peers.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
    parser.add_argument(
        "--beside", action="append", default=[], metavar="NAME=URL", help="another server"
    )
    parser.add_argument(
        "--scenario", action="append", default=[], type=Path, help="what to send to it"
    )
    parser.add_argument(
        "--growth",
        type=int,
        nargs="+",
        metavar="DEVICES",
        help="instead of the table: how cost grows with the fleet, such as 1000 20000 1000000",
    )
    return parser.parse_args()


def main() -> int:
    options = arguments()
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "homepot.settings",
        "SECRET_KEY": SECRET_KEY,
        "LOGGING__LEVEL": "WARNING",
    }
    import django

    django.setup()
    from benchmarks.growth import run_growth
    from benchmarks.peers import PeerError, read_peers
    from benchmarks.report import EarlierRunError, ratios_of
    from benchmarks.run import run
    from benchmarks.scenarios import SCENARIOS
    from benchmarks.servers import POSTGRESQL_SETTINGS

    try:
        names = [scenario.name for scenario in SCENARIOS]
        peers = read_peers(options.beside, options.scenario, names)
        before = ratios_of(options.compare) if options.compare else None
    except (PeerError, EarlierRunError) as error:
        print(f"homepot: {error}", file=sys.stderr)
        return 2
    with postgresql_server(settings=POSTGRESQL_SETTINGS) as url:
        if options.growth:
            return run_growth(options, url)
        return run(options, url, peers, before)


if __name__ == "__main__":
    sys.exit(main())
