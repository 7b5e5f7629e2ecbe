"""Fixtures of several tests of accounts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from accounts import hashers


@pytest.fixture
def all_slots_taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The turns to hash are somebody else's, who does not give them back in time."""
    monkeypatch.setattr(hashers, "SLOT_WAIT_SECONDS", 0.05)
    for _ in range(hashers.MAX_PARALLEL_HASHES):
        hashers._slots.acquire()
    yield
    for _ in range(hashers.MAX_PARALLEL_HASHES):
        hashers._slots.release()
