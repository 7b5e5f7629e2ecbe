"""What an agent's disk holds, whenever its process ends."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from uuid import uuid4

import pytest

from devices.agent.client import Command, Credential, Outcome
from devices.agent.errors import AgentError
from devices.agent.journal import Entry, Journal, Stage
from devices.agent.state import StateFolder

DONE = Outcome("completed", "2026-01-31T08:00:00+00:00", {"answer": "pong"})


@pytest.fixture
def folder(tmp_path):
    folder = StateFolder(tmp_path / "state")
    yield folder
    folder.close()


def make_command(attempt: int = 1) -> Command:
    return Command(str(uuid4()), "ping", {"size": 1}, attempt)


def bring_to(stage: Stage, journal: Journal, command: Command) -> Entry:
    """Offer `command` and take it through all that comes before `stage`."""

    def entry() -> Entry:
        found = journal.get(command.command_id)
        assert found
        return found

    journal.offer(command)
    steps = [
        lambda: (journal.acknowledged(entry()), journal.begin(entry())),
        lambda: journal.finish(command.command_id, DONE),
        lambda: journal.reported(entry()),
    ]
    for step in steps[: list(Stage).index(stage)]:
        step()
    return entry()


@pytest.mark.parametrize("stage", Stage)
def test_entry_is_as_it_was_after_a_restart(folder, stage):
    before = bring_to(stage, folder.open_journal(), make_command())
    assert before.stage == stage
    (after,) = folder.open_journal()
    # What only waited is acknowledged once more: it may not be wanted any longer.
    assert after == replace(before, is_acknowledged=stage != Stage.WAITING)


@pytest.mark.parametrize(
    ("stage", "then"),
    [
        (Stage.WAITING, Stage.WAITING),
        (Stage.BEGUN, Stage.BEGUN),
        (Stage.FINISHED, Stage.FINISHED),
        # A server restored from a backup gets the outcome again.
        (Stage.REPORTED, Stage.FINISHED),
    ],
)
def test_command_offered_again_is_acknowledged_again_and_never_runs_twice(folder, stage, then):
    journal, command = folder.open_journal(), make_command()
    before = bring_to(stage, journal, command)
    journal.offer(replace(command, attempt=2))

    (entry,) = journal
    assert (entry.stage, entry.outcome, entry.command.attempt) == (then, before.outcome, 2)
    assert journal.unacknowledged() == [entry]
    assert journal.unreported() == []
    assert [each.stage for each in folder.open_journal()] == [then]


def test_entries_keep_their_order_over_restarts(folder):
    commands = [make_command() for _ in range(12)]
    for command in commands:
        folder.open_journal().offer(command)
    waiting = folder.open_journal().at(Stage.WAITING)
    assert [entry.command for entry in waiting] == commands


def test_unknown_command_that_is_cancelled_is_reported(folder):
    command_id = str(uuid4())
    folder.open_journal().finish(command_id, Outcome("cancelled", "2026-01-31T08:00:00+00:00"))
    (entry,) = folder.open_journal().unreported()
    assert entry.command.command_id == command_id


def test_what_was_reported_is_forgotten_in_the_end(folder, monkeypatch):
    monkeypatch.setattr("devices.agent.journal.REMEMBERED", 5)
    journal = folder.open_journal()
    entries = [bring_to(Stage.REPORTED, journal, make_command()) for _ in range(7)]
    assert list(folder.open_journal().at(Stage.REPORTED)) == entries[2:]
    assert len(list((folder.path / "commands").iterdir())) == 5


def test_file_that_cannot_be_read_harms_nobody_else(folder, caplog):
    good = bring_to(Stage.FINISHED, folder.open_journal(), make_command())
    bad = folder.path / "commands" / f"{uuid4()}.json"
    for text in ("", "[]", "{}", '{"number": 1, "stage": "new", "command": {}, "outcome": null}'):
        bad.write_text(text)
        assert list(folder.open_journal()) == [good]
    assert str(bad) in caplog.text


def test_disk_that_fails_keeps_a_command_from_beginning_and_no_outcome_from_the_server(
    folder, monkeypatch
):
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    journal, known, new = folder.open_journal(), make_command(), make_command()
    waiting = bring_to(Stage.WAITING, journal, known)
    begun = bring_to(Stage.BEGUN, journal, make_command())
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        journal.offer(new)
    with pytest.raises(OSError, match="No space"):
        journal.begin(waiting)
    with pytest.raises(OSError, match="No space"):
        journal.finish(begun.command.command_id, DONE)

    assert journal.at(Stage.WAITING) == [waiting]
    assert [entry.outcome for entry in journal.unreported()] == [DONE]


def test_credential_is_for_its_owner_only(folder):
    credential = Credential("till-1", "hpd_secret", "site-1")
    assert folder.read_credential() is None
    folder.write_credential(credential)
    assert folder.read_credential() == credential
    path = folder.path / "credential.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert "hpd_secret" not in repr(credential)


def test_state_that_cannot_be_used_is_told_in_one_sentence(folder, tmp_path):
    with pytest.raises(AgentError, match="Another agent runs"):
        StateFolder(folder.path)
    (folder.path / "credential.json").write_text("{")
    with pytest.raises(AgentError, match=r"Cannot read .*credential.json"):
        folder.read_credential()
    (tmp_path / "file").write_text("")
    with pytest.raises(AgentError, match="Cannot keep state"):
        StateFolder(tmp_path / "file")
