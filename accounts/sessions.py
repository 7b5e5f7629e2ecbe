"""Sessions in the database, under a digest of the key that the browser holds.

Django stores the key itself: whoever reads a dump could be anyone who is signed in.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib.sessions.backends import db
from django.utils import timezone

from homepot.read_only import is_read_only

COLUMN_LENGTH = 40  # of Django's table; 160 bits, as many as the key has


def stored_key(session_key: str) -> str:
    return hashlib.sha256(session_key.encode()).hexdigest()[:COLUMN_LENGTH]


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Any:
        session = self.model.objects.filter(
            session_key=stored_key(self.session_key or ""), expire_date__gt=timezone.now()
        ).first()
        if session is None:
            self._session_key = None
        return session

    def exists(self, session_key: str) -> bool:
        return super().exists(stored_key(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        session: Any = super().create_model_instance(data)
        session.session_key = stored_key(session.session_key)
        return session

    def save(self, must_create: bool = False) -> None:
        """Does nothing in read-only mode: what a page noted in passing is noted another time."""
        if not is_read_only():
            super().save(must_create)

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            super().delete(stored_key(key))
