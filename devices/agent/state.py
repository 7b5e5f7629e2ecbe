"""What an agent keeps on disk: its credential, its commands, and the state of the machine.

    credential.json         readable by its owner only
    machine.json            versions and permissions
    commands/<id>.json      one file for each entry of the journal
    lock                    held while an agent runs

Each file is replaced as a whole and synced, so that a power cut leaves the old one or the new.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from devices.agent.client import Command, Credential, Outcome
from devices.agent.errors import AgentError
from devices.agent.journal import Entry, Journal, Stage

logger = logging.getLogger(__name__)


class StateFolder:
    """The folder of one agent, locked until `close`."""

    def __init__(self, path: Path) -> None:
        """Make the folder if there is none. Raises AgentError when another agent uses it."""
        self.path = path
        try:
            (path / "commands").mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
            self._lock: IO[str] = (path / "lock").open("w")
        except OSError as error:
            raise AgentError(f"Cannot keep state in {path}: {error.strerror}.") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise AgentError(
                f"Another agent runs with its state in {path}; give this one its own --state-dir."
            ) from None

    def close(self) -> None:
        self._lock.close()

    def read_credential(self) -> Credential | None:
        """None before the first start. Raises AgentError when it cannot be read."""
        path = self.path / "credential.json"
        try:
            return Credential(**read_json(path)) if path.exists() else None
        except (OSError, ValueError, TypeError) as error:
            raise AgentError(f"Cannot read {path}: {error}.") from None

    def write_credential(self, credential: Credential) -> None:
        """Raises AgentError: without it the device could not speak after its next start."""
        path = self.path / "credential.json"
        try:
            write_json(path, asdict(credential))
        except OSError as error:
            raise AgentError(f"Cannot keep the credential in {path}: {error.strerror}.") from None

    def read_machine(self) -> dict[str, Any]:
        path = self.path / "machine.json"
        try:
            return dict(read_json(path)) if path.exists() else {}
        except (OSError, ValueError, TypeError) as error:
            logger.warning("Began anew without %s: %s", path, error)
            return {}

    def write_machine(self, data: dict[str, Any]) -> None:
        write_json(self.path / "machine.json", data)

    def open_journal(self) -> DurableJournal:
        return DurableJournal(self.path / "commands")


class DurableJournal(Journal):
    """A journal that survives the end of the process, whenever that comes."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        for path in folder.glob("*.json"):
            try:
                entry = _read_entry(read_json(path))
            except (OSError, ValueError, TypeError, KeyError) as error:
                # Its command times out on the server, which others need not wait for.
                logger.warning("Left out %s, which cannot be read: %s", path, error)
                continue
            self._entries[entry.command.command_id] = entry
        self._next_number = 1 + max((entry.number for entry in self), default=0)

    def _save(self, entry: Entry) -> None:
        data = {
            "number": entry.number,
            "stage": entry.stage,
            "command": asdict(entry.command),
            "outcome": entry.outcome and asdict(entry.outcome),
        }
        write_json(self._path_of(entry), data)

    def _remove(self, entry: Entry) -> None:
        self._path_of(entry).unlink(missing_ok=True)

    def _path_of(self, entry: Entry) -> Path:
        return self._folder / f"{entry.command.command_id}.json"


def _read_entry(data: dict[str, Any]) -> Entry:
    stage = Stage(data["stage"])
    return Entry(
        command=Command(**data["command"]),
        number=data["number"],
        stage=stage,
        # What has begun was acknowledged before.
        is_acknowledged=stage != Stage.WAITING,
        outcome=Outcome(**data["outcome"]) if data["outcome"] else None,
    )


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def write_json(path: Path, data: Any) -> None:
    """Replace `path` by `data` for good: after a crash it holds the old or the new, whole."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, 0o600)
        json.dump(data, file)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
