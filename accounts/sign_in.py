"""Signing up, in and out, and what refuses it for now.

Every function writes its audit row in the transaction of the change.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from knox.models import AuthToken

from accounts import lockout, throttles
from accounts.errors import CredentialsChangedError, NothingToReleaseError
from accounts.models import User
from accounts.services import insert_user, prepare_user
from audit import services as audit
from audit.enums import AuditEvent, Outcome, Severity
from homepot.rates import Rate

# Of those who go on trying while they are locked out, the audit log takes one a minute.
REFUSALS_RECORDED = Rate(limit=1, seconds=60)


def sign_up(**fields: Any) -> tuple[User, str]:
    """Open an account without a role, for somebody who is not yet anybody; returns its token.

    Raises IdentifierTakenError and ValidationError as `create_user` does.
    """
    user = prepare_user(**fields)
    with transaction.atomic():
        insert_user(user, actor=user)
        token = _issue_token(user)
    return user, token


@transaction.atomic
def sign_in(*, user: User, address: str) -> str:
    """Give `user`, whose password was right a moment ago, a new token and return it.

    Its expired ones go, and so do the failures as `user` from `address`. Raises
    CredentialsChangedError when that password no longer opens the account.
    """
    # Also the lock under which two sign-ins of one account take turns.
    admitted = User.objects.filter(pk=user.pk, password=user.password, is_active=True).update(
        last_login=timezone.now()
    )
    if not admitted:
        raise CredentialsChangedError("The password was changed meanwhile; sign in again.")
    AuthToken.objects.filter(user=user, expiry__lte=timezone.now()).delete()
    token = _issue_token(user)
    record_sign_in(user=user, address=address)
    return token


@transaction.atomic
def record_sign_in(*, user: User, address: str) -> None:
    """Tell of a sign-in, and forget the failures before it."""
    lockout.forget_failures(name=user.username, address=address)
    audit.record(event=AuditEvent.USER_SIGNED_IN, actor=user, target=user)


@transaction.atomic
def sign_out(*, user: User, token: AuthToken) -> None:
    """End one token."""
    ended, _ = AuthToken.objects.filter(pk=token.pk).delete()
    if ended:
        record_sign_out(user=user)


def record_sign_out(*, user: User) -> None:
    audit.record(event=AuditEvent.USER_SIGNED_OUT, actor=user, target=user)


@transaction.atomic
def sign_out_everywhere(*, user: User, actor: User | None) -> None:
    """End every token and every session of `user`; its API key stays."""
    User.objects.filter(pk=user.pk).update(session_version=F("session_version") + 1)
    AuthToken.objects.filter(user=user).delete()
    audit.record(
        event=AuditEvent.USER_SIGNED_OUT,
        actor=actor,
        target=user,
        description="Ended all sessions and tokens.",
    )


def record_locked_out(*, tried: str, user: User | None, address: str) -> None:
    """Tell of an attempt that the lock refused, unless the log has one of this minute."""
    name = lockout.counted_name(tried, user)
    if throttles.take("locked_sign_in", f"{name} {address}", REFUSALS_RECORDED) == 0:
        _record_refusal(tried, user, reason="locked out")


def record_failure(*, tried: str, user: User | None, address: str, path: str) -> None:
    """Count a sign-in with a wrong name or password, which may lock the name out."""
    lockout.remove_old_failures()
    with transaction.atomic():
        failures = lockout.count_failure(lockout.counted_name(tried, user), address, path)
        _record_refusal(tried, user, reason="wrong name or password")
        if failures == settings.AXES_FAILURE_LIMIT:
            minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
            audit.record(
                event=AuditEvent.ACCOUNT_LOCKED,
                actor=None,
                target=user,
                description=(
                    f'Locked out "{lockout.shown_name(tried)}" from {address} for {minutes} '
                    f"minutes after {failures} failed sign-ins."
                ),
                outcome=Outcome.DENIED,
                severity=Severity.WARNING,
            )


@transaction.atomic
def release(*, actor: User | None, tried: str | None = None, address: str | None = None) -> int:
    """Forget failed sign-ins as `tried` and from `address`, so that nobody is locked out by them.

    None stands for all names, all addresses. Returns how many counts there were.
    """
    user = User.objects.find_by_sign_in_name(tried) if tried is not None else None
    name = lockout.counted_name(tried, user) if tried is not None else None
    count = lockout.forget_failures(name=name, address=address)
    if count:
        whom = f'"{name}"' if name is not None else "everybody"
        audit.record(
            event=AuditEvent.ACCOUNT_UNLOCKED,
            actor=actor,
            target=user,
            description=f"Released {whom} from {address or 'every address'}.",
        )
    return count


@transaction.atomic
def release_user(*, user: User, actor: User | None) -> None:
    """Forget the failed sign-ins as `user` from every address.

    Raises NothingToReleaseError when there are none.
    """
    if not lockout.forget_failures(name=user.username):
        raise NothingToReleaseError(f"Nobody has failed to sign in as {user.username} lately.")
    audit.record(
        event=AuditEvent.ACCOUNT_UNLOCKED,
        actor=actor,
        target=user,
        description=f'Released "{user.username}" from every address.',
    )


def _issue_token(user: User) -> str:
    _, token = AuthToken.objects.create(user=user)
    return str(token)


def _record_refusal(tried: str, user: User | None, *, reason: str) -> None:
    audit.record(
        event=AuditEvent.SIGN_IN_REFUSED,
        actor=None,
        target=user,
        description=f'Refused to sign in "{lockout.shown_name(tried)}": {reason}.',
        outcome=Outcome.DENIED,
        severity=Severity.WARNING,
    )
