"""Random keys: shown once, stored as a digest, told apart by a hint."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

USER_KEY_PREFIX = "hpk_"
DEVICE_KEY_PREFIX = "hpd_"
# A site's, with which devices let themselves in.
ENROLMENT_KEY_PREFIX = "hpe_"
HINT_LENGTH = 8
# More often would make a write of every request.
KEY_USE_NOTED_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class NewKey:
    """`key` is for its owner and kept nowhere; `digest` and `hint` go to the database."""

    key: str
    digest: str
    hint: str


def make_key(prefix: str) -> NewKey:
    """A key of 256 random bits: `prefix` and 43 characters."""
    key = prefix + secrets.token_urlsafe(32)
    return NewKey(key=key, digest=digest_of(key), hint=key[:HINT_LENGTH])


def digest_of(key: str) -> str:
    """SHA-256 in hex. The key is random, so a slow hash would add nothing but its slowness."""
    return hashlib.sha256(key.encode()).hexdigest()
