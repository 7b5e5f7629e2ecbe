"""How a name and password become an account."""

from __future__ import annotations

from typing import Any

from axes.backends import AxesBackend
from django.http import HttpRequest

from accounts import lockout, sign_in
from accounts.hashers import MAX_PASSWORD_LENGTH, hash_slot
from accounts.lockout import AccountLockedError
from accounts.models import User


class PasswordBackend(AxesBackend):
    """A username or e-mail address and a password, for the API and the admin alike.

    Every answer takes one hash, whether the account is there, active and has a password or
    not; only a password that is too long costs nothing. Raises AccountLockedError and Busy.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        if username is None or password is None:
            return None
        user = User.objects.find_by_sign_in_name(username)
        if request is None:  # code that asks, and nobody at the door
            return self._checked(user, password)
        name, address = lockout.counted_name(username, user), lockout.counted_address(request)
        try:
            lockout.refuse_if_locked(name, address)
            with hash_slot():
                # Again: parallel guesses, waiting for their turn, see the failures before them.
                lockout.refuse_if_locked(name, address)
                return self._checked(user, password)
        except AccountLockedError:
            # Out here, because it writes: others wait for the turn to hash.
            sign_in.record_locked_out(tried=username, user=user, address=address)
            raise

    def _checked(self, user: User | None, password: str) -> User | None:
        """`user`, if the password is right and the account active. Always takes one hash."""
        if len(password) > MAX_PASSWORD_LENGTH:
            return None
        if user is None:
            User().set_password(password)
            return None
        is_right = user.check_password(password)
        return user if is_right and self.user_can_authenticate(user) else None
