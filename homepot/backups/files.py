"""What lies in the folder of backups.

A backup is three files: the data (`.sqlite3` or `.dump`), a manifest that says what the data
must hold, and the checksums of both, in the form that `sha256sum --check` reads. The checksums
come last and go first: a backup that has them is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from homepot.backups.errors import BackupError
from homepot.transfer.digest import TableDigest

DATA_SUFFIXES = {"sqlite": ".sqlite3", "postgresql": ".dump"}
PARTIAL = ".partial"
FORMAT = 1
# What a killed run left behind is taken for rubbish after this time.
PARTIAL_IS_RUBBISH_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class Manifest:
    """What the data of a backup must hold."""

    engine: str
    server_version: str
    database: str
    made_at: datetime
    migrations: tuple[str, ...]
    tables: dict[str, TableDigest]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


@dataclass(frozen=True)
class Backup:
    """A backup whose checksums are right."""

    data: Path
    manifest: Manifest


def write_backup(
    folder: Path, *, prefix: str, engine: str, fill: Callable[[Path], Manifest]
) -> Backup:
    """Let `fill` write the data and say what it holds; all files appear whole or not at all.

    Raises what `fill` raises, and OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = _reserve(folder, prefix, DATA_SUFFIXES[engine])
    manifest_file, sums_file = data.with_suffix(".json"), data.with_suffix(".sha256")
    try:
        manifest = fill(_partial(data))
        _sync(_partial(data))
        _write(_partial(manifest_file), _to_json(manifest))
        sums = {path.name: _digest(_partial(path)) for path in (data, manifest_file)}
        lines = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
        _write(_partial(sums_file), lines)
        for path in (data, manifest_file, sums_file):
            os.replace(_partial(path), path)
        _sync(folder)
    except BaseException:
        for path in (sums_file, manifest_file, data):
            _partial(path).unlink(missing_ok=True)
        raise
    return Backup(data, manifest)


def read_backup(data: Path) -> Backup:
    """The backup whose data is in the file `data`, once every byte of it was checked.

    Raises BackupError.
    """
    manifest_file, sums_file = data.with_suffix(".json"), data.with_suffix(".sha256")
    for path in (data, manifest_file, sums_file):
        if not path.is_file():
            raise BackupError(
                f"There is no {path}. A backup is {data.name} with {manifest_file.name} and "
                f"{sums_file.name} beside it."
            )
    sums = _read_sums(sums_file)
    for path in (data, manifest_file):
        if sums.get(path.name) != _digest(path):
            raise BackupError(
                f"{path} is not what was backed up: its checksum is not the one in "
                f"{sums_file.name}. It was cut off or altered since; use another backup."
            )
    try:
        return Backup(data, _from_json(manifest_file.read_text()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackupError(f"{manifest_file} is no manifest of this version of HOMEPOT.") from None


def list_backups(folder: Path, *, prefix: str) -> list[Path]:
    """The data files of the complete backups in `folder`, the oldest first."""
    found = [
        sums.with_suffix(suffix)
        for sums in folder.glob(f"{prefix}-*.sha256")
        for suffix in DATA_SUFFIXES.values()
    ]
    return sorted(data for data in found if data.is_file())


def prune(folder: Path, *, prefix: str, keep: int) -> list[Path]:
    """Delete all but the newest `keep` complete backups, and what killed runs left; name them."""
    superfluous = list_backups(folder, prefix=prefix)[:-keep]
    for data in superfluous:
        for suffix in (".sha256", ".json", data.suffix):
            data.with_suffix(suffix).unlink(missing_ok=True)
    for left in folder.glob(f"{prefix}-*{PARTIAL}*"):
        if time.time() - left.stat().st_mtime > PARTIAL_IS_RUBBISH_AFTER.total_seconds():
            left.unlink(missing_ok=True)
    return superfluous


def _reserve(folder: Path, prefix: str, suffix: str) -> Path:
    """A file name of this moment that nobody else has; its partial file exists from now on."""
    while True:
        data = folder / f"{prefix}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{suffix}"
        taken = any(data.with_suffix(other).exists() for other in DATA_SUFFIXES.values())
        try:
            if not taken:
                os.close(os.open(_partial(data), os.O_CREAT | os.O_EXCL, 0o600))
                return data
        except FileExistsError:
            pass
        time.sleep(0.1)  # of one second there is one


def _partial(path: Path) -> Path:
    return path.with_name(path.name + PARTIAL)


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_sums(path: Path) -> dict[str, str]:
    """The digests by name of file."""
    lines = [line.partition("  ") for line in path.read_text(errors="replace").splitlines()]
    return {name: digest for digest, _, name in lines}


def _to_json(manifest: Manifest) -> str:
    fields = asdict(manifest) | {"made_at": manifest.made_at.isoformat(), "format": FORMAT}
    return json.dumps(fields, indent=1) + "\n"


def _from_json(text: str) -> Manifest:
    fields: dict[str, Any] = json.loads(text)
    if fields.pop("format") != FORMAT:
        raise ValueError
    return Manifest(
        **fields
        | {
            "made_at": datetime.fromisoformat(fields["made_at"]),
            "migrations": tuple(fields["migrations"]),
            "tables": {name: TableDigest(**table) for name, table in fields["tables"].items()},
        }
    )
