"""`make configuration`: docs/configuration.md, from the settings and from .env.example.

    .venv/bin/python -m scripts.configuration

What a variable is called, what kind of value it takes and its default come from
homepot/settings.py; what it means comes from .env.example, where people look first.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass

from scripts.environment import ROOT

PAGE = ROOT / "docs" / "configuration.md"
KINDS = {
    "str": "text",
    "int": "a number",
    "bool": "`true` or `false`",
    "list": "a list, separated by commas",
    "networks": "addresses or networks, separated by commas",
    "rate": "a rate, such as `5/hour`",
}
INTRODUCTION = """\
# Configuration

Every setting is an environment variable, or a line `NAME=value` of the file `.env` beside
`manage.py`; the environment wins. [`.env.example`](../.env.example) is the same list as a file to
copy from, and [`deploy/.env.production.example`](../deploy/.env.production.example) is where a
server begins. A value that cannot be used ends the command that meets it, with one line that
names the variable. Server and worker read settings when they start.

`python manage.py doctor` tells which variables are set that nothing reads, and which values are
unsafe. Made by `make configuration`; a test fails when this page is not what that makes.
"""
ELSEWHERE = """\
## Read by commands

| variable | what |
| --- | --- |
| `HOMEPOT_ENV_FILE` | the file that is read instead of `.env` |
| `HOST`, `PORT` | where `make run` listens: `127.0.0.1` and `8000` |
| `DJANGO_SUPERUSER_PASSWORD` | the first admin's password; without it `make run` makes one |
| `HOMEPOT_DB_PASSWORD` | the password that `scripts/init-postgresql.sh` gives the role |
| `POSTGRES_PASSWORD` | the password of the database that `deploy/compose.yaml` makes |
"""


@dataclass(frozen=True)
class Variable:
    name: str
    kind: str
    default: str


def read_settings() -> dict[str, Variable]:
    """What homepot/settings.py reads from the environment, by name."""
    tree = ast.parse((ROOT / "homepot" / "settings.py").read_text())
    found = {}
    for node in ast.walk(tree):
        # env.int("NAME", default=1)
        if isinstance(node, ast.Call) and (
            match := re.fullmatch(r"env\.(?!read_env)(\w+)", ast.unparse(node.func))
        ):
            name = ast.literal_eval(node.args[0])
            defaults = [ast.literal_eval(word.value) for word in node.keywords]
            found[name] = Variable(name, match[1], spell(*defaults) if defaults else "")
    return found


def spell(default: object) -> str:
    """A default as one would write it in `.env`."""
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(default) if isinstance(default, list) else str(default)


def read_example() -> list[str | tuple[str, list[str]]]:
    """Headings of .env.example, and what it says of which variables, in its order."""
    found: list[str | tuple[str, list[str]]] = []
    _, *paragraphs = (ROOT / ".env.example").read_text().split("\n\n")
    for paragraph in paragraphs:
        lines = [line.removeprefix("# ").strip() for line in paragraph.strip().splitlines()]
        names = [match[1] for line in lines if (match := re.match(r"([A-Z_]+)=", line))]
        if names:
            found.append((" ".join(lines[: -len(names)]), names))
        else:
            (heading,) = lines
            found.append(heading)
    return found


def make_page() -> str:
    settings = read_settings()
    parts = [INTRODUCTION]
    for entry in read_example():
        if isinstance(entry, str):
            parts.append(f"## {entry}\n")
            continue
        description, names = entry
        parts.append(f"### {', '.join(f'`{name}`' for name in names)}\n")
        kinds = sorted({KINDS[settings[name].kind] for name in names})
        defaults = [settings[name].default for name in names]
        told = ", ".join(f"`{default}`" if default else "empty" for default in defaults)
        by_default = "Default" if len(names) == 1 else "Defaults"
        kind = kinds[0][:1].upper() + kinds[0][1:]
        parts.append(f"{kind}. {by_default}: {told}.\n\n{description}\n")
    return "\n".join([*parts, ELSEWHERE])


def main() -> int:
    PAGE.write_text(make_page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
