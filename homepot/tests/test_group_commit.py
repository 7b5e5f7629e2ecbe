"""What several threads want at once is done together, and each hears what became of its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from homepot.group_commit import GroupCommit
from homepot.testing.processes import WAIT_SECONDS, wait_until


class Doubling:
    """Doubles numbers, of which odd ones must be alone; the first group waits until it may go."""

    def __init__(self):
        self.groups = []
        self.may_go = threading.Event()
        self.error, self.cause = None, KeyError("cause")
        self.together = GroupCommit(self.double_all, self.double)

    def double_all(self, numbers):
        self.groups.append(list(numbers))
        if len(self.groups) == 1:
            assert self.may_go.wait(WAIT_SECONDS)
        elif self.error:
            raise self.error from self.cause
        return [None if number % 2 else 2 * number for number in numbers]

    def double(self, number):
        self.groups.append(number)
        return 2 * number


@pytest.fixture
def doubling():
    return Doubling()


def do_behind_one(doubling, numbers):
    """The outcome for 0, which is being done, and for `numbers`, which come meanwhile."""
    with ThreadPoolExecutor(1 + len(numbers)) as threads:
        first = threads.submit(doubling.together.do, 0)
        wait_until(lambda: doubling.groups)
        rest = []
        for number in numbers:
            rest.append(threads.submit(doubling.together.do, number))
            wait_until(lambda: len(doubling.together._gathered) == len(rest))
        doubling.may_go.set()
    return first, rest


def test_what_comes_meanwhile_is_done_together_in_order(doubling):
    first, rest = do_behind_one(doubling, [2, 4, 6])
    assert doubling.groups == [[0], [2, 4, 6]]
    assert [task.result() for task in (first, *rest)] == [0, 4, 8, 12]


def test_whoever_is_alone_does_not_wait(doubling):
    doubling.may_go.set()
    assert [doubling.together.do(number) for number in (2, 4)] == [4, 8]
    assert doubling.groups == [[2], [4]]


def test_what_is_left_undone_is_done_alone(doubling):
    _, rest = do_behind_one(doubling, [1, 2, 3])
    assert [task.result() for task in rest] == [2, 4, 6]
    assert doubling.groups[:2] == [[0], [1, 2, 3]]
    assert sorted(doubling.groups[2:]) == [1, 3]


def test_failure_is_everybodys_and_each_has_its_own(doubling):
    doubling.error = ValueError("away", 7)
    first, rest = do_behind_one(doubling, [2, 4, 6])
    errors = [task.exception() for task in rest]
    assert first.result() == 0
    assert [(type(error), error.args) for error in errors] == [(ValueError, ("away", 7))] * 3
    assert len(set(map(id, errors))) == 3
    assert [error.__cause__ for error in errors] == [doubling.cause] * 3
    doubling.error = None
    assert doubling.together.do(8) == 16


def test_many_threads_each_get_their_own_answer(doubling):
    doubling.may_go.set()
    numbers = range(2000)
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(doubling.together.do, numbers)) == [2 * n for n in numbers]
