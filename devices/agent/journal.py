"""What a device remembers of its commands, so that it runs none twice and loses no result.

Each command passes these stages, in this order and never back:

    waiting     known, and not begun. It is acknowledged before it begins, and after a restart
                once more, which also tells whether it is still wanted
    begun       its work may have been done in part; after a restart it counts as interrupted
    finished    its outcome is kept until the server has it
    reported    remembered for a while, with its outcome: a server that was restored from a
                backup offers it again, and gets the outcome instead of a second run
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from devices.agent.client import Command, Outcome

# Of those reported, this many are remembered.
REMEMBERED = 200


class Stage(StrEnum):
    WAITING = "waiting"
    BEGUN = "begun"
    FINISHED = "finished"
    REPORTED = "reported"


@dataclass(frozen=True)
class Entry:
    """A command and where it is; `number` is its place in the order of arrival."""

    command: Command
    number: int
    stage: Stage = Stage.WAITING
    is_acknowledged: bool = False
    outcome: Outcome | None = None


class Journal:
    """Keeps entries in memory; `DurableJournal` on disk as well."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._next_number = 1

    def get(self, command_id: str) -> Entry | None:
        return self._entries.get(command_id)

    def at(self, *stages: Stage) -> list[Entry]:
        """The entries at `stages`, in order of arrival."""
        found = (entry for entry in self._entries.values() if entry.stage in stages)
        return sorted(found, key=lambda entry: entry.number)

    def unacknowledged(self) -> list[Entry]:
        return [entry for entry in self.open_entries() if not entry.is_acknowledged]

    def unreported(self) -> list[Entry]:
        return [entry for entry in self.at(Stage.FINISHED) if entry.is_acknowledged]

    def open_entries(self) -> list[Entry]:
        """What is left to be acknowledged, done or reported."""
        return self.at(Stage.WAITING, Stage.BEGUN, Stage.FINISHED)

    def offer(self, command: Command) -> None:
        """Keep a command that the server offers, for the first time or again."""
        known = self.get(command.command_id)
        if known is None:
            self._put(Entry(command, self._next_number))
            self._next_number += 1
            return
        stage = Stage.FINISHED if known.stage == Stage.REPORTED else known.stage
        self._put(replace(known, command=command, stage=stage, is_acknowledged=False))

    def acknowledged(self, entry: Entry) -> None:
        # In memory only: see `waiting` above.
        self._entries[entry.command.command_id] = replace(entry, is_acknowledged=True)

    def begin(self, entry: Entry) -> None:
        self._put(replace(entry, stage=Stage.BEGUN))

    def finish(self, command_id: str, outcome: Outcome) -> None:
        """Keep the outcome of a command; one that is not known counts as acknowledged."""
        known = self.get(command_id)
        if known is None:
            known = Entry(Command(command_id, ""), self._next_number, is_acknowledged=True)
            self._next_number += 1
        entry = replace(
            known,
            stage=Stage.FINISHED,
            outcome=outcome,
            # Nobody has to hear first that what is not wanted was received.
            is_acknowledged=known.is_acknowledged or outcome.status == "cancelled",
        )
        # In memory first: it is so, whatever the disk says.
        self._entries[command_id] = entry
        self._save(entry)

    def reported(self, entry: Entry) -> None:
        self._put(replace(entry, stage=Stage.REPORTED))
        for old in self.at(Stage.REPORTED)[:-REMEMBERED]:
            self.forget(old)

    def forget(self, entry: Entry) -> None:
        del self._entries[entry.command.command_id]
        self._remove(entry)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def _put(self, entry: Entry) -> None:
        # On disk first: what memory holds is acted upon.
        self._save(entry)
        self._entries[entry.command.command_id] = entry

    def _save(self, entry: Entry) -> None:
        """Keep `entry` for the next start."""

    def _remove(self, entry: Entry) -> None:
        """Keep `entry` no longer."""
