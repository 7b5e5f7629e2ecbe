"""How fast `manage.py copy_database` is, beside what it could be compared with.

    python -m benchmarks.copy_database [--health-checks 1000000] [--audit-logs 200000] [--rounds 3]

SQLite to PostgreSQL, once in one go and once killed at 40 % and resumed, and back to SQLite;
beside psycopg's plain COPY of the same rows into the same tables, and beside dumpdata and
loaddata of a sample. These are measured by turns, and the best of each counts: what else the
machine does only makes them slower. PostgreSQL runs with the settings of a real one. Ends with 1
when anything is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
import psycopg

from homepot.testing.postgres import postgresql_server

SAMPLE = {"health_checks": 10_000, "audit_logs": 2_000}
# A server that keeps its promises, with memory as on a small machine.
SERVER_SETTINGS = ("shared_buffers=512MB", "max_wal_size=4GB")
KILLED_AT = 0.4
LEAST_SHARE_OF_COPY = 0.6
LEAST_TIMES_FIXTURES = 80
MOST_MEMORY_MB = 120


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--health-checks", type=int, default=1_000_000)
    parser.add_argument("--audit-logs", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = vars(parser.parse_args())
    rounds = arguments.pop("rounds")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "homepot.settings")
    with (
        tempfile.TemporaryDirectory(prefix="homepot-benchmark-") as folder,
        postgresql_server(settings=SERVER_SETTINGS) as server,
    ):
        os.environ["DATABASE__URL"] = server
        django.setup()
        return Benchmark(Path(folder), server).run(arguments, rounds)


class Benchmark:
    def __init__(self, folder: Path, server: str) -> None:
        self.folder = folder
        self.server = server
        self.failures = 0

    def run(self, sizes: dict[str, int], rounds: int) -> int:
        source = self.filled_file("source", sizes)
        sample = self.filled_file("sample", SAMPLE)
        rows, sample_rows = self.count(source), self.count(sample)
        copied = self.measure(source, sample, rows, sample_rows, rounds)

        resumed = self.new_database("resumed")
        self.kill_copy(source, resumed, sizes["health_checks"])
        self.copy("The rest after a kill", source, resumed, "--resume")
        back = f"sqlite:///{self.folder / 'back.db'}"
        self.copy("PostgreSQL to SQLite", resumed, back)
        self.expect("source and what came back are equal", self.differences(source, back) == [])
        with psycopg.connect(copied) as connection:
            connection.execute("UPDATE health_checks SET error_message = '-' WHERE id = 77")
        self.expect(
            "a changed byte is found", self.differences(source, copied) == ["health_checks"]
        )
        return min(self.failures, 1)

    def measure(self, source: str, sample: str, rows: int, sample_rows: int, rounds: int) -> str:
        """Compare the rates of the three ways; returns the URL of a copy."""
        plain, copy, fixtures = [], [], []
        for number in range(rounds):
            names = [f"{way}_{number}" for way in ("plain", "copied", "fixtures")]
            databases = [self.new_database(name) for name in names]
            plain.append(rows / self.copy_plainly(source, databases[0]))
            print(f"psycopg's COPY: {plain[-1]:,.0f} rows/s", flush=True)
            copy.append(rows / self.copy("SQLite to PostgreSQL", source, databases[1]))
            fixtures.append(sample_rows / self.dump_and_load(sample, databases[2]))
            print(f"dumpdata and loaddata: {fixtures[-1]:,.0f} rows/s", flush=True)
            copied, unused = databases[1], [names[0], names[2]]
            if number < rounds - 1:
                unused.append(names[1])
            for name in unused:
                self.remove_database(name)
        share, times = max(copy) / max(plain), max(copy) / max(fixtures)
        self.expect(
            f"{share:.2f} of the rate of psycopg's COPY, with checks and proof",
            share >= LEAST_SHARE_OF_COPY,
        )
        self.expect(
            f"{times:.0f} times the rate of dumpdata and loaddata", times >= LEAST_TIMES_FIXTURES
        )
        return copied

    def expect(self, what: str, is_so: bool) -> None:
        print(f"{'yes' if is_so else 'NO'}: {what}", flush=True)
        self.failures += not is_so

    # Databases

    def new_database(self, name: str) -> str:
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return urlsplit(self.server)._replace(path=f"/{name}").geturl()

    def remove_database(self, name: str) -> None:
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name}")

    def filled_file(self, name: str, sizes: dict[str, int]) -> str:
        from homepot.testing.many_rows import fill_sqlite

        path = self.folder / f"{name}.db"
        url = f"sqlite:///{path}"
        self.manage(url, "migrate", "--verbosity", "0")
        fill_sqlite(path, **sizes)
        return url

    def count(self, url: str) -> int:
        from homepot.transfer.databases import database
        from homepot.transfer.plans import row_counts
        from homepot.transfer.tables import tables

        with database(url) as connection:
            return sum(row_counts(connection, tables()).values())

    # What is measured

    def copy_plainly(self, source: str, target: str) -> float:
        """Seconds for the same rows, read with sqlite3 and written with psycopg."""
        from homepot.transfer.databases import database
        from homepot.transfer.tables import Kind, tables
        from homepot.transfer.targets import empty

        self.manage(target, "migrate", "--verbosity", "0")
        with database(target) as connection:
            empty(connection, tables())
        began = time.monotonic()
        file = sqlite3.connect(source.removeprefix("sqlite:///"))
        with psycopg.connect(target, options="-c timezone=UTC") as connection:
            for table in tables():
                names = ", ".join(f'"{column.name}"' for column in table.columns)
                booleans = [n for n, c in enumerate(table.columns) if c.kind is Kind.BOOLEAN]
                rows = file.execute(f"SELECT {names} FROM {table.name}")
                sql = f"COPY {table.name} ({names}) FROM STDIN"
                with connection.cursor() as cursor, cursor.copy(sql) as copy:
                    for row in rows:
                        values = list(row)
                        for index in booleans:
                            values[index] = None if row[index] is None else bool(row[index])
                        copy.write_row(values)
        file.close()
        return time.monotonic() - began

    def copy(self, name: str, source: str, target: str, *options: str) -> float:
        """Seconds of the whole command, with its checks and its proof."""
        report = self.folder / "report.json"
        began = time.monotonic()
        self.manage(source, "copy_database", "--to", target, "--report", str(report), *options)
        seconds = time.monotonic() - began
        told = json.loads(report.read_text())
        rows, memory = told["plan"]["rows"], told["peak_memory_mb"]
        parts = ", ".join(f"{part} {spent:.1f} s" for part, spent in told["seconds"].items())
        print(f"{name}: {seconds:.1f} s ({parts}), {rows / seconds:,.0f} rows/s, {memory} MB")
        self.expect("the digests are equal", told["is_equal"])
        self.expect(f"at most {MOST_MEMORY_MB} MB", memory <= MOST_MEMORY_MB)
        return seconds

    def kill_copy(self, source: str, target: str, health_checks: int) -> None:
        """Begin a copy and kill it when so many of the health checks are there."""
        command = self.command("copy_database", "--to", target)
        with subprocess.Popen(command, env=self.environment(source)) as process:
            with psycopg.connect(target, autocommit=True) as connection:
                while self.copied_up_to(connection) < KILLED_AT * health_checks:
                    if process.poll() is not None:
                        raise RuntimeError("The copy ended before it could be killed.")
                    time.sleep(0.1)
            process.kill()

    def copied_up_to(self, connection: Any) -> int:
        try:
            row = connection.execute(
                "SELECT note::json->>'last_key' FROM homepot_unfinished_copy "
                "WHERE name = 'health_checks'"
            ).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
        return int((row and row[0]) or 0)

    def dump_and_load(self, source: str, target: str) -> float:
        self.manage(target, "migrate", "--verbosity", "0")
        fixture = str(self.folder / "fixture.json")
        began = time.monotonic()
        self.manage(source, "dumpdata", "sites", "devices", "audit", "--output", fixture)
        self.manage(target, "loaddata", "--verbosity", "0", fixture, is_read_only=False)
        return time.monotonic() - began

    def differences(self, source: str, target: str) -> list[str]:
        """The tables in which the two differ, as --verify-only says it."""
        report = self.folder / "verified.json"
        command = self.command(
            *("copy_database", "--to", target, "--verify-only", "--report", str(report)),
            *("--verbosity", "0"),
        )
        subprocess.run(command, env=self.environment(source), stdout=subprocess.DEVNULL)
        told = json.loads(report.read_text())
        return [table["table"] for table in told["tables"] if not table["is_equal"]]

    # manage.py

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "manage.py", *arguments]

    def environment(self, database_url: str, *, is_read_only: bool = True) -> dict[str, str]:
        mode = {"MAINTENANCE__READ_ONLY": str(is_read_only)}
        return os.environ | {"DATABASE__URL": database_url} | mode

    def manage(self, database_url: str, *arguments: str, is_read_only: bool = True) -> None:
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment(database_url, is_read_only=is_read_only),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{arguments[0]} ended with {done.returncode}: {done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
