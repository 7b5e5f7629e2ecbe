"""`make check`: what tests cannot see, on both databases.

Migrations must match the models, Django's own checks must pass, and the API's schema must be
valid.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile

from homepot.testing.postgres import postgresql_server
from scripts.environment import ROOT


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, postgresql_server() as postgresql_url:
        environment = os.environ | {
            "HOMEPOT_ENV_FILE": os.devnull,
            "SECRET_KEY": secrets.token_urlsafe(48),
        }
        schema = ["spectacular", "--validate", "--fail-on-warn", "--file", f"{folder}/schema.yml"]
        for url in (f"sqlite:///{folder}/check.db", postgresql_url):
            environment["DATABASE__URL"] = url
            for command in (
                ["migrate", "--verbosity", "0"],
                ["makemigrations", "--check", "--dry-run"],
                ["check", "--database", "default", "--fail-level", "WARNING"],
                schema,
            ):
                manage(command, environment)
    return 0


def manage(command: list[str], environment: dict[str, str]) -> None:
    engine = environment["DATABASE__URL"].partition(":")[0]
    print(f"{engine}: manage.py {' '.join(command)}", flush=True)
    status = subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, env=environment
    ).returncode
    if status:
        sys.exit(status)


if __name__ == "__main__":
    sys.exit(main())
