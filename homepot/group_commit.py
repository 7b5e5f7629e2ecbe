"""Group commit: what several threads want done at the same moment is done in one transaction.

A transaction of its own for each would begin, end and wait for the disk as often as there are
callers. Here one thread does what it was asked for; those that come meanwhile gather, and one of
them does it for all. Nobody waits for others to come: alone, each is done at once.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

Task = TypeVar("Task")
Done = TypeVar("Done")


class GroupCommit(Generic[Task, Done]):
    """Does tasks together that several threads come with.

    `do_at_once` does all tasks that it is given, and waits for nobody else's locks: all that
    gather meanwhile wait for it. It answers in their order, None for each that it left undone;
    `do_alone` does those then, however long it takes.
    """

    def __init__(
        self,
        do_at_once: Callable[[Sequence[Task]], Sequence[Done | None]],
        do_alone: Callable[[Task], Done],
    ) -> None:
        self._do_at_once, self._do_alone = do_at_once, do_alone
        self._lock = threading.Lock()
        self._is_led = False
        self._gathered: list[_Place] = []

    def do(self, task: Task) -> Done:
        """What became of `task`; raises what doing it raised."""
        place = _Place(task)
        with self._lock:
            self._gathered.append(place)
            leads, self._is_led = not self._is_led, True
        if not leads:
            place.turn.acquire()
        if not place.is_over:
            self._lead(place)
        elif place.error is not None:
            # Each thread raises one of its own: to raise is to write into it.
            own = copy.copy(place.error).with_traceback(place.error.__traceback__)
            raise own from place.error.__cause__
        return self._do_alone(task) if place.done is None else place.done

    def _lead(self, own: _Place) -> None:
        """Do what has gathered, of which `own` is one, and let the next thread lead."""
        with self._lock:
            group, self._gathered = self._gathered, []
        try:
            done = self._do_at_once([place.task for place in group])
            for place, its in zip(group, done, strict=True):
                place.done = its
        except BaseException as error:
            for place in group:
                place.error = error
            raise
        finally:
            self._pass_on()
            for place in group:
                place.is_over = True
                if place is not own:
                    place.turn.release()

    def _pass_on(self) -> None:
        with self._lock:
            if self._gathered:
                self._gathered[0].turn.release()
            else:
                self._is_led = False


class _Place:
    """What one thread wants done, and what became of it."""

    __slots__ = ("done", "error", "is_over", "task", "turn")

    def __init__(self, task: object) -> None:
        self.task: Any = task
        self.done: Any = None
        self.error: BaseException | None = None
        self.is_over = False
        # Unlocked when it is over, or when its thread is to lead.
        self.turn = threading.Lock()
        self.turn.acquire()
