from __future__ import annotations

import threading
import time

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher

from accounts import hashers
from accounts.tests.factories import make_user
from homepot.errors import Busy

PASSWORD = "correct horse battery"


def hash_one() -> None:
    hashers.Argon2Hasher().encode(PASSWORD, "saltsalt")


def test_two_passwords_are_hashed_at_a_time(monkeypatch):
    at_work, most = 0, 0
    lock = threading.Lock()

    def slow_encode(self, password, salt):
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.02)
        with lock:
            at_work -= 1

    monkeypatch.setattr(Argon2PasswordHasher, "encode", slow_encode)
    threads = [threading.Thread(target=hash_one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == hashers.MAX_PARALLEL_HASHES == 2


def test_waiting_for_a_slot_ends(all_slots_taken):
    with pytest.raises(Busy):
        hash_one()


def test_a_slot_is_kept_for_a_second_hash(monkeypatch):
    monkeypatch.setattr(hashers, "_slots", threading.BoundedSemaphore(1))
    monkeypatch.setattr(hashers, "SLOT_WAIT_SECONDS", 0.05)
    with hashers.hash_slot():
        hash_one()
        hash_one()
    hash_one()


@pytest.mark.django_db
def test_passwords_of_any_script_and_length_are_bytes_to_us():
    composed, decomposed = "Pass\u00e9Wort", "Passe\u0301Wort"
    user = make_user(password=f" {composed} ")
    assert user.check_password(f" {composed} ")
    assert not user.check_password(composed)
    assert not user.check_password(f" {decomposed} ")
