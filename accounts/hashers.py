"""How passwords are stored."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher

MAX_PASSWORD_LENGTH = 4096


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with the second set of parameters OWASP recommends: 19 MiB, two passes.

    Django's default takes 100 MiB for each sign-in. Longer passwords than
    MAX_PASSWORD_LENGTH never match and are never hashed.
    """

    time_cost = 2
    memory_cost = 19_456  # KiB
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        if len(password) > MAX_PASSWORD_LENGTH:
            raise ValueError(f"A password has at most {MAX_PASSWORD_LENGTH} characters.")
        return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        return len(password) <= MAX_PASSWORD_LENGTH and super().verify(password, encoded)
