"""How passwords are stored, and how many are hashed at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.hashers import Argon2PasswordHasher

from homepot.errors import Busy

MAX_PASSWORD_LENGTH = 4096
# Each takes 19 MiB and a processor: more at a time would only make all of them slower.
MAX_PARALLEL_HASHES = 2
SLOT_WAIT_SECONDS = 5.0

_slots = threading.BoundedSemaphore(MAX_PARALLEL_HASHES)
_mine = threading.local()


@contextmanager
def hash_slot() -> Iterator[None]:
    """Wait for one of this process's turns to hash; raises Busy when none comes in time.

    A thread that has a turn keeps it in blocks inside: two hashes need not wait twice.
    """
    if getattr(_mine, "has_slot", False):
        yield
        return
    if not _slots.acquire(timeout=SLOT_WAIT_SECONDS):
        raise Busy
    _mine.has_slot = True
    try:
        yield
    finally:
        _mine.has_slot = False
        _slots.release()


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with the second set of parameters OWASP recommends: 19 MiB, two passes.

    Django's default takes 100 MiB for each sign-in. Longer passwords than
    MAX_PASSWORD_LENGTH never match and are never hashed. Raises Busy.
    """

    time_cost = 2
    memory_cost = 19_456  # KiB
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        if len(password) > MAX_PASSWORD_LENGTH:
            raise ValueError(f"A password has at most {MAX_PASSWORD_LENGTH} characters.")
        with hash_slot():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        if len(password) > MAX_PASSWORD_LENGTH:
            return False
        with hash_slot():
            return super().verify(password, encoded)
