"""Move the installation into another database, and prove it."""

from __future__ import annotations

import io
import json
import resource
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from homepot.database import SQLITE_ENGINE
from homepot.transfer import targets
from homepot.transfer.databases import connected, options_of
from homepot.transfer.errors import TransferError
from homepot.transfer.moving import Outcome, carry_out, find_all_problems, verify
from homepot.transfer.plans import Plan, make_plan, megabytes
from homepot.transfer.proof import as_text
from homepot.transfer.schemas import describe
from homepot.transfer.snapshots import snapshot

DIFFERENT, NOT_DONE = 1, 2


class Command(BaseCommand):
    help = (
        "Copy the whole installation from the database of DATABASE__URL into another one, or from "
        "another one into it, between SQLite and PostgreSQL or within either, and prove that both "
        "hold the same. Ends with 0 when they do, 1 when they do not, and 2 when nothing was "
        "copied. docs/moving-to-postgresql.md walks through a move."
    )
    # Its databases are checked by itself, and one of them may have no tables yet.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        direction = parser.add_mutually_exclusive_group(required=True)
        direction.add_argument("--to", metavar="URL", help="copy into this database")
        direction.add_argument("--from", dest="from_url", metavar="URL", help="copy from this one")
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--dry-run", action="store_true", help="make all checks and change nothing"
        )
        what.add_argument(
            "--verify-only", action="store_true", help="compare the two and change nothing"
        )
        what.add_argument(
            "--resume",
            action="store_true",
            help="go on with a copy that was broken off while read-only mode was on; without the "
            "mode, it starts over",
        )
        what.add_argument(
            "--replace", action="store_true", help="first remove every row that the target holds"
        )
        parser.add_argument(
            "--no-input", action="store_true", help="do not ask before removing rows"
        )
        parser.add_argument(
            "--report", metavar="FILE", type=Path, help="write what was found and done, as JSON"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.report: dict[str, Any] = {"begun_at": _now()}
        try:
            with ExitStack() as opened:
                is_well = self.run(opened, options)
        except (TransferError, Error) as error:
            self.report["refused"] = str(error).strip()
            raise CommandError(self.report["refused"], returncode=NOT_DONE) from error
        except KeyboardInterrupt:
            self.report["refused"] = "interrupted"
            raise CommandError(
                "Interrupted. With read-only mode on, --resume goes on from here.",
                returncode=NOT_DONE,
            ) from None
        finally:
            self.report["ended_at"] = _now()
            self.report["peak_memory_mb"] = _peak_memory_mb()
            if options["report"]:
                options["report"].write_text(json.dumps(self.report, indent=2) + "\n")
        if not is_well:
            sys.exit(DIFFERENT)

    def run(self, opened: ExitStack, options: dict[str, Any]) -> bool:
        """Do what was asked for; returns whether all is well."""
        output: TextIO = sys.stderr if options["verbosity"] else io.StringIO()
        given = options["to"] or options["from_url"]
        try:
            other = options_of(given)
        except ImproperlyConfigured as error:
            name = "--to" if options["to"] else "--from"
            raise TransferError(str(error).replace("DATABASE__URL", name)) from None
        # Whoever may make tables and lift triggers, where the service itself may not.
        here = settings.OWNER_DATABASE
        source_options, target_options = (here, other) if options["to"] else (other, here)
        _check_file_exists(source_options)
        if options["verify_only"]:
            _check_file_exists(target_options)
        if options["dry_run"]:
            opened.callback(_remove_file_if_new(target_options))
        source = opened.enter_context(connected(source_options))
        target = opened.enter_context(connected(target_options))
        if targets.are_same(source, target):
            raise TransferError(f"Both are the {describe(source)}.")
        self.tell("source", describe(source))
        self.tell("target", describe(target))
        if options["verify_only"]:
            return self.show(verify(source, target, output))
        targets.take(target)
        opened.enter_context(snapshot(source))
        plan = make_plan(
            source,
            target,
            resume=options["resume"],
            replace=options["replace"],
            is_read_only=settings.MAINTENANCE_READ_ONLY,
        )
        self.show_plan(plan)
        self.check_values(source, target, plan, output)
        if options["dry_run"]:
            self.stdout.write("All of it can be copied. Nothing was changed.")
            return True
        if plan.replaced and not options["no_input"]:
            self.confirm(plan, target)
        return self.show(carry_out(plan, source, target, output))

    def tell(self, name: str, value: str) -> None:
        self.report[name] = value
        self.stdout.write(f"{name.capitalize()}: {value}")

    def show_plan(self, plan: Plan) -> None:
        self.report["plan"] = {
            "rows": plan.rows,
            "is_resumed": plan.is_resumed,
            "is_source_read_only": plan.beginning.is_resumable,
            "migrates_target": plan.must_migrate,
            "replaced_tables": [table.name for table in plan.replaced],
            "left_out_tables": plan.left_out,
            "needed_bytes": plan.needed_bytes,
            "free_bytes": plan.free_bytes,
        }
        if not plan.beginning.is_resumable:
            self.stdout.write(
                "Read-only mode is off: what is written to the source from now on is not copied."
            )
        if plan.is_resumed:
            self.stdout.write("Going on with the copy that was broken off.")
        if plan.must_migrate:
            self.stdout.write("The tables of the target are made by its migrations first.")
        if plan.left_out:
            self.stdout.write(f"Left out, as no tables of HOMEPOT: {', '.join(plan.left_out)}")
        if plan.free_bytes is None:
            self.stdout.write(
                f"See to {megabytes(plan.needed_bytes)} of free disk for the target: it cannot be "
                "seen from here."
            )

    def check_values(self, source: Any, target: Any, plan: Plan, output: TextIO) -> None:
        """Raise TransferError when the target cannot hold what the source does."""
        problems, seconds = find_all_problems(source, target.vendor, plan, output)
        self.report["seconds"] = {"checking": round(seconds, 2)}
        self.report["problems"] = [asdict(problem) for problem in problems]
        if problems:
            listed = "".join(f"\n  {problem}" for problem in problems)
            raise TransferError(
                f"Nothing was copied. The target has no place for these rows:{listed}\n"
                "Correct them in the source, then start again."
            )

    def confirm(self, plan: Plan, target: Any) -> None:
        name = Path(target.settings_dict["NAME"]).name
        answer = input(
            f"This removes all rows of {', '.join(map(str, plan.replaced))} from the "
            f"{describe(target)}. Type {name} to go on: "
        )
        if answer.strip() != name:
            raise TransferError("Nothing was changed.")

    def show(self, outcome: Outcome) -> bool:
        self.report |= {
            "is_equal": outcome.is_equal,
            "tables": [asdict(proof) | {"is_equal": proof.is_equal} for proof in outcome.proofs],
            "faults": outcome.faults,
        }
        seconds = self.report.setdefault("seconds", {})
        seconds |= {name: round(spent, 2) for name, spent in outcome.seconds.items()}
        self.stdout.write(as_text(outcome.proofs))
        for fault in outcome.faults:
            self.stdout.write(f"  {fault}")
        different = [proof.table for proof in outcome.proofs if not proof.is_equal]
        if outcome.is_equal:
            self.stdout.write("Both hold the same.")
        else:
            self.stdout.write(f"They differ: {', '.join(different) or 'see above'}.")
        return outcome.is_equal


def _check_file_exists(options: dict[str, Any]) -> None:
    """SQLite would make an empty one."""
    if options["ENGINE"] == SQLITE_ENGINE and not Path(options["NAME"]).is_file():
        raise TransferError(f"There is no file {options['NAME']}.")


def _remove_file_if_new(options: dict[str, Any]) -> Callable[[], None]:
    """What to do at the end to leave no file that was not there before."""
    path = Path(options["NAME"])
    if options["ENGINE"] != SQLITE_ENGINE or path.exists():
        return lambda: None

    def remove() -> None:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    return remove


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _peak_memory_mb() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # In kilobytes, and on macOS in bytes.
    return peak // (1_000_000 if sys.platform == "darwin" else 1024)
