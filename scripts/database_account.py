"""The accounts that `.env` keeps, for scripts/init-postgresql.sh.

Passwords come from the environment, a file or a generator, and go to `.env` and to the server
as a verifier; none is ever an argument or on standard output, unless `show` is asked for it.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from django.core.exceptions import ImproperlyConfigured
from psycopg import pq

from homepot.database import POSTGRESQL_ENGINE, database_options, describe_database
from homepot.postgresql.base import connection_problem
from scripts.environment import ROOT

VARIABLES = ("DATABASE__URL", "DATABASE__OWNER_URL")
SAME_HOST = {"localhost": "127.0.0.1", "::1": "127.0.0.1"}


class AccountError(Exception):
    """What is asked cannot be done; the message says what would help."""


def main() -> int:
    env_file = Path(os.environ["HOMEPOT_ENV_FILE"])
    options = arguments()
    try:
        if options.task == "keep":
            print(keep(env_file, options))
        elif options.task == "check":
            check(env_file, options.variable)
        else:
            show(env_file, options)
    except (AccountError, ImproperlyConfigured, psycopg.Error) as error:
        print(f"homepot: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"homepot: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 1
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts.database_account")
    tasks = parser.add_subparsers(dest="task", required=True)
    keep_task = tasks.add_parser("keep", help="write a role's URL to .env, print its verifier")
    check_task = tasks.add_parser("check", help="sign in with a URL of .env")
    show_task = tasks.add_parser("show", help="print a URL of .env")
    for task in (keep_task, check_task, show_task):
        task.add_argument("variable", choices=VARIABLES)
    for name in ("--user", "--host", "--port", "--name", "--password-file"):
        keep_task.add_argument(name, required=True)
    for name in ("--role-exists", "--new-password", "--switch"):
        keep_task.add_argument(name, action="store_true")
    show_task.add_argument("--with-password", action="store_true")
    return parser.parse_args()


def keep(env_file: Path, account: argparse.Namespace) -> str:
    """Write the account's URL to `env_file` and return what PostgreSQL stores of its password."""
    present = read_urls(env_file)
    url = present.get("DATABASE__URL")
    if url and not account.switch and not is_same_database(options_of(url), account):
        raise AccountError(
            f"{env_file} already names the {describe_database(options_of(url))}. Add --switch to "
            "replace that line (it is kept as a comment), or --env-file to write elsewhere."
        )
    password = given_password(account) or ("" if account.new_password else known(present, account))
    if not password:
        if account.role_exists and not account.new_password:
            raise AccountError(
                f"The role {account.user} exists and its password is not in {env_file}: give it "
                "with --password-file or HOMEPOT_DB_PASSWORD, or make a new one with "
                "--new-password."
            )
        password = secrets.token_urlsafe(24)
    write(env_file, with_url(text_of(env_file), account, account_url(account, password)))
    return verifier(account.user, password)


def given_password(account: argparse.Namespace) -> str:
    if account.password_file:
        password = Path(account.password_file).read_text().removesuffix("\n")
    else:
        password = os.environ.get("HOMEPOT_DB_PASSWORD", "")
    if "\0" in password or "\n" in password:
        raise AccountError("The password has a line break or NUL in it.")
    return password


def known(present: dict[str, str], account: argparse.Namespace) -> str:
    """The account's password in `.env`, in whichever variable it stands; empty without one."""
    for url in present.values():
        options = options_of(url)
        if is_same_database(options, account) and options["USER"] == account.user:
            return str(options["PASSWORD"])
    return ""


def is_same_database(options: dict[str, Any], account: argparse.Namespace) -> bool:
    host, other = (SAME_HOST.get(name, name) for name in (options.get("HOST", ""), account.host))
    return (
        options["ENGINE"] == POSTGRESQL_ENGINE
        and (options["NAME"], host, int(options["PORT"] or 5432))
        == (account.name, other, int(account.port))
    )  # fmt: skip


def account_url(account: argparse.Namespace, password: str) -> str:
    user, secret, name = (quote(part, safe="") for part in (account.user, password, account.name))
    if account.host.startswith("/"):
        query = urlencode({"host": account.host})
        return f"postgresql://{user}:{secret}@:{account.port}/{name}?{query}"
    host = f"[{account.host}]" if ":" in account.host else account.host
    return f"postgresql://{user}:{secret}@{host}:{account.port}/{name}"


def verifier(user: str, password: str) -> str:
    """The SCRAM verifier, as the server would make it: no log of its can hold the password."""
    # libpq wants a connection, but no server, to do this.
    unconnected = pq.PGconn.connect_start(b"host=/nonexistent")
    return unconnected.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()


def check(env_file: Path, variable: str) -> None:
    options = options_of(read_urls(env_file)[variable])
    try:
        psycopg.connect(
            host=options["HOST"],
            port=options["PORT"] or None,
            user=options["USER"],
            password=options["PASSWORD"],
            dbname=options["NAME"],
            connect_timeout=10,
        ).close()
    except psycopg.Error as error:
        raise AccountError(connection_problem(error, options)) from None


def show(env_file: Path, options: argparse.Namespace) -> None:
    url = read_urls(env_file)[options.variable]
    if options.with_password:
        print(f"{options.variable}={url}")
        return
    hidden = re.sub(r"^(postgresql://[^:@/]*):[^@]*@", r"\1:***@", url)
    print(f"{options.variable}={hidden}\n(with its password in {env_file})")


def options_of(url: str) -> dict[str, Any]:
    return database_options(url, base_dir=ROOT, pool_size=1, max_overflow=0, is_web_process=False)


# The file


def line_of(variable: str) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]*(?:export[ \t]+)?{variable}[ \t]*=[ \t]*(.*?)[ \t]*$\n?", re.M)


def text_of(env_file: Path) -> str:
    return env_file.read_text() if env_file.exists() else ""


def read_urls(env_file: Path) -> dict[str, str]:
    """The variables that `env_file` sets; of two lines the first counts."""
    found = {}
    for variable in VARIABLES:
        if (line := line_of(variable).search(text_of(env_file))) and (url := line[1].strip("'\"")):
            found[variable] = url
    return found


def with_url(text: str, account: argparse.Namespace, url: str) -> str:
    """`text` of `.env` with the account's variable set.

    Lines of either variable that name another database stay as comments.
    """
    line = f"{account.variable}={url}\n"
    is_written = False
    for variable in VARIABLES:

        def replaced(match: re.Match[str], variable: str = variable) -> str:
            nonlocal is_written
            old = match[1].strip("'\"")
            if old and not is_same_database(options_of(old), account):
                kept = f"# before: {match[0].strip()}\n"
            else:
                kept = "" if variable == account.variable else match[0]
            if variable != account.variable or is_written:
                return kept
            is_written = True
            return kept + line

        text = line_of(variable).sub(replaced, text)
    if is_written:
        return text
    return text + ("\n" if text and not text.endswith("\n") else "") + line


def write(env_file: Path, text: str) -> None:
    """Replace `env_file`, readable by its owner only, whole or not at all."""
    env_file = env_file.resolve()
    owner = (env_file if env_file.exists() else env_file.parent).stat()
    descriptor, temporary = tempfile.mkstemp(dir=env_file.parent, prefix=".env-")
    try:
        with os.fdopen(descriptor, "w") as file:
            if os.geteuid() == 0:
                # The service, whose folder it is, has to read it.
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, env_file)
    except BaseException:
        os.unlink(temporary)
        raise


if __name__ == "__main__":
    sys.exit(main())
