"""Look at everything that can be wrong, and say how to mend it."""

from __future__ import annotations

import json
import sys
import textwrap
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from homepot.doctor.examination import examine
from homepot.doctor.findings import Finding, Level

WIDTH = 100
INDENT = " " * 22


class Command(BaseCommand):
    help = (
        "Look at settings, database, tables, clock, disk, worker and backups; say what is wrong "
        "and how to mend it. Changes nothing. Ends with status 1 when there is a problem."
    )
    # They are among what it looks at.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="answer one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        for finding in examine():
            findings.append(finding)
            if not options["json"]:
                self.tell(finding)
        has_problem = any(finding.level == Level.PROBLEM for finding in findings)
        if options["json"]:
            answer = {"is_well": not has_problem, "findings": [asdict(each) for each in findings]}
            self.stdout.write(json.dumps(answer, indent=1))
        else:
            counts = [sum(each.level == level for each in findings) for level in Level]
            self.stdout.write("\n{} ok, {} warnings, {} problems".format(*counts))
        if has_problem:
            sys.exit(1)

    def tell(self, finding: Finding) -> None:
        """A line or more: how it is, what it is about, what was found, and how to mend it."""
        style = {
            Level.OK: self.style.SUCCESS,
            Level.WARNING: self.style.WARNING,
            Level.PROBLEM: self.style.ERROR,
        }[finding.level]
        # The words of commands stay in one piece: they are to be copied.
        wrap = textwrap.TextWrapper(
            WIDTH, subsequent_indent=INDENT, break_long_words=False, break_on_hyphens=False
        )
        first, *rest = wrap.wrap(f"{finding.level:8}{finding.about:13} {finding.detail}")
        self.stdout.write("\n".join([style(first[:7]) + first[7:], *rest]))
        if finding.mend:
            self.stdout.write(f"{INDENT}{finding.mend}")
