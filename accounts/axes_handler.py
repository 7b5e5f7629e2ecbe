"""What django-axes calls when somebody signed in or out through Django, or failed to."""

from __future__ import annotations

from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from accounts import lockout, sign_in
from accounts.models import User
from homepot.request_context import current_request


class SignInHandler(AxesDatabaseHandler):
    """Counts and audits by our services.

    axes' own would need five statements for a failure, and store what was posted.
    """

    def user_login_failed(
        self, sender: Any, credentials: dict, request: HttpRequest | None = None, **kwargs: Any
    ) -> None:
        # Code that asks about a password outside of requests is nobody at the door.
        if request is None:
            return
        tried = str(credentials.get("username") or "")
        sign_in.record_failure(
            tried=tried,
            user=User.objects.find_by_sign_in_name(tried),
            address=lockout.counted_address(request),
            path=request.path,
        )

    def user_logged_in(
        self, sender: Any, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any
    ) -> None:
        if current_request.get() and isinstance(user, User):
            sign_in.record_sign_in(user=user, address=lockout.counted_address(request))

    def user_logged_out(
        self, sender: Any, request: HttpRequest, user: AbstractBaseUser | None, **kwargs: Any
    ) -> None:
        if current_request.get() and isinstance(user, User):
            sign_in.record_sign_out(user=user)

    def reset_attempts(
        self,
        *,
        ip_address: str | None = None,
        username: str | None = None,
        ip_or_username: bool = False,
    ) -> int:
        """Release, for the commands axes_reset, axes_reset_ip and axes_reset_username."""
        return sign_in.release(actor=None, tried=username, address=ip_address)
