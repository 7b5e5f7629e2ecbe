"""Whose turn it is, whoever came first."""

from __future__ import annotations

import threading

import pytest

from homepot.testing.processes import wait_until
from homepot.turns import Turns


class Queue:
    """Threads that take a turn, one after the other, and note when they have it."""

    def __init__(self, turns):
        self.turns = turns
        self.order = []
        self.threads = []

    def join(self, name, *, is_deferrable):
        thread = threading.Thread(target=self._work, args=[name, is_deferrable])
        self.threads.append(thread)
        before = self.waiting()
        thread.start()
        wait_until(lambda: self.waiting() > before)

    def waiting(self):
        return len(self.turns._first) + len(self.turns._deferrable)

    def _work(self, name, is_deferrable):
        assert self.turns.take(is_deferrable=is_deferrable)
        self.order.append(name)
        self.turns.give_back()


@pytest.fixture
def queue():
    """With one turn, which is taken, and room for two deferrable ones."""
    queue = Queue(Turns(1, 2))
    assert queue.turns.take(is_deferrable=True)
    yield queue
    for thread in queue.threads:
        thread.join()


def test_deferrable_ones_go_last_and_all_others_as_they_came(queue):
    queue.join("check-in", is_deferrable=True)
    queue.join("outcome", is_deferrable=False)
    queue.join("page", is_deferrable=False)
    queue.turns.give_back()
    for thread in queue.threads:
        thread.join()
    assert queue.order == ["outcome", "page", "check-in"]


def test_only_deferrable_ones_are_refused_when_many_wait(queue):
    queue.join("1", is_deferrable=True)
    queue.join("2", is_deferrable=True)
    assert not queue.turns.take(is_deferrable=True)
    queue.join("page", is_deferrable=False)
    queue.turns.give_back()
    for thread in queue.threads:
        thread.join()
    # The turn of the last is free again.
    assert queue.turns.take(is_deferrable=True)
