"""Settings and the file they come from."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from homepot.doctor.findings import Finding, ok, problem, warning
from homepot.secret_key import check_production_secret

# A line that sets something; to set it to nothing changes nothing.
ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*\S", re.MULTILINE)
# What commands, scripts and compose.yaml read past the settings.
READ_ELSEWHERE = {
    *("DJANGO_SUPERUSER_PASSWORD", "HOMEPOT_DB_PASSWORD", "HOMEPOT_ENV_FILE", "HOST", "PORT"),
    "POSTGRES_PASSWORD",
}
# Alike enough to be a slip of the finger.
LIKENESS = 0.8


def look_at_env_file() -> Iterator[Finding]:
    """Whether the file with the secrets is its owner's alone."""
    path = Path(settings.ENV_FILE)
    if not path.is_file():
        yield ok("env file", f"There is no {path}: settings come from the environment.")
        return
    state = path.stat()
    mode = stat.S_IMODE(state.st_mode)
    if mode & 0o077:
        yield problem(
            "env file",
            f"{path} can be read by others than its owner (mode {mode:04o}), and holds secrets.",
            f"Run: chmod 600 {path}",
        )
    elif state.st_uid != os.geteuid():
        yield warning(
            "env file",
            f"{path} belongs to another user (number {state.st_uid}) than the one who runs this.",
            "Run this, and the service, as the user that the file belongs to.",
        )
    else:
        yield ok("env file", f"{path} is its owner's alone.")


def look_at_variables() -> Iterator[Finding]:
    """Names that are set and that nothing reads: mostly slips of the finger."""
    known = known_variables()
    path = Path(settings.ENV_FILE)
    in_file = set(ASSIGNMENT.findall(path.read_text())) if path.is_file() else set()
    prefixes = {name.partition("__")[0] for name in known if "__" in name}
    in_environment = {
        name for name in os.environ if name.partition("__")[0] in prefixes and "__" in name
    }
    unknown = sorted((in_file | in_environment) - known)
    for name in unknown:
        alike = difflib.get_close_matches(name.upper(), known, n=1, cutoff=LIKENESS)
        yield warning(
            "variables",
            f"{name} is set, and nothing reads it.",
            f"Write {alike[0]} instead."
            if alike
            else "Remove it; docs/configuration.md lists all.",
        )
    if not unknown:
        yield ok("variables", "Every variable that is set is known.")


def known_variables() -> set[str]:
    example = (settings.BASE_DIR / ".env.example").read_text()
    return {*re.findall(r"^# ([A-Z_]+)=", example, re.MULTILINE), *READ_ELSEWHERE}


def look_at_environment() -> Iterator[Finding]:
    """What production refuses by itself, and development does not."""
    if settings.IS_PRODUCTION:
        yield ok("environment", "production")
        return
    yield ok("environment", "development, which is for laptops: production sets ENVIRONMENT.")
    if settings.DEBUG:
        yield warning(
            "environment",
            "DEBUG is on: whoever causes an error sees the insides of the service.",
            "Remove DEBUG from the settings.",
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield warning(
            "environment",
            "ALLOWED_HOSTS is *: the service answers to every name.",
            "Name the hosts in ALLOWED_HOSTS.",
        )
    try:
        check_production_secret(settings.SECRET_KEY)
    except ImproperlyConfigured as error:
        yield warning("environment", f"{error}", "Set another; whoever is signed in has to again.")
