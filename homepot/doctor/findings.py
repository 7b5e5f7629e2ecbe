"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    # Works, and should be looked after.
    WARNING = "warning"
    # Does not work, or loses data one day.
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """`mend` says what to do about it: a sentence, or a command after a colon."""

    about: str
    level: Level
    detail: str
    mend: str = ""


def ok(about: str, detail: str) -> Finding:
    return Finding(about, Level.OK, detail)


def warning(about: str, detail: str, mend: str) -> Finding:
    return Finding(about, Level.WARNING, detail, mend)


def problem(about: str, detail: str, mend: str) -> Finding:
    return Finding(about, Level.PROBLEM, detail, mend)
