"""Everything that changes accounts."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from knox.models import AuthToken

from accounts.enums import Role
from accounts.errors import (
    CredentialsChangedError,
    LastAdminError,
    NoApiKeyError,
    WrongPasswordError,
)
from accounts.hashers import hash_slot
from accounts.keys import USER_KEY_PREFIX, make_key
from accounts.models import SiteMembership, User
from accounts.presumed import noted_after
from audit import services as audit
from audit.enums import AuditEvent
from homepot.changes import Changes, refuse_duplicates, update_row
from homepot.read_only import is_read_only
from homepot.transactions import write_unless_locked

KEY_FIELDS_TOLD = ("api_key_hint", "api_key_expires_at")


def create_user(
    *,
    username: str,
    email: str,
    password: str | None,
    actor: User | None,
    site_pks: Collection[int] | None = None,
    **fields: Any,
) -> User:
    """Open an account; without `password` it cannot sign in with one.

    Raises IdentifierTakenError for a taken username or e-mail address, and ValidationError
    by field for what else is wrong.
    """
    user = prepare_user(username=username, email=email, password=password, **fields)
    with transaction.atomic():
        insert_user(user, actor=actor)
        if site_pks is not None:
            _set_sites(user, set(site_pks))
    return user


def prepare_user(*, username: str, email: str, password: str | None, **fields: Any) -> User:
    """A checked account that is not yet stored; raises ValidationError by field.

    Apart from `insert_user`, because hashing takes long and no transaction may wait for it.
    """
    user = User(username=username, email=email, **fields)
    user.set_password(password)
    user.full_clean(exclude=["password"], validate_unique=False)
    return user


@transaction.atomic
def insert_user(user: User, *, actor: User | None) -> None:
    """Store what `prepare_user` made; raises IdentifierTakenError."""
    with refuse_duplicates(
        username=f"The username {user.username} is taken.",
        email=f"The e-mail address {user.email} is taken.",
    ):
        user.save(force_insert=True)
    audit.record(
        event=AuditEvent.USER_CREATED,
        actor=actor,
        target=user,
        changes={"username": (None, user.username), "role": (None, user.role)},
    )


@transaction.atomic
def create_api_key(*, user: User, actor: User | None, expires_at: datetime | None = None) -> str:
    """Give `user` a new API key, which ends the one before, and return it.

    This is the only time it can be seen: the database keeps its digest.
    """
    locked = _lock_user(user)
    new = make_key(USER_KEY_PREFIX)
    changes = update_row(
        locked,
        {
            "api_key": new.digest,
            "api_key_hint": new.hint,
            "api_key_created_at": timezone.now(),
            "api_key_last_used_at": None,
            "api_key_expires_at": expires_at,
        },
    )
    audit.record(
        event=AuditEvent.API_KEY_CREATED, actor=actor, target=locked, changes=_told(changes)
    )
    return new.key


@transaction.atomic
def revoke_api_key(*, user: User, actor: User | None) -> None:
    """End the API key of `user`; raises NoApiKeyError when there is none."""
    locked = _lock_user(user)
    if locked.api_key is None:
        raise NoApiKeyError(f"{locked.username} has no API key.")
    changes = update_row(
        locked,
        {
            "api_key": None,
            "api_key_hint": "",
            "api_key_created_at": None,
            "api_key_last_used_at": None,
            "api_key_expires_at": None,
        },
    )
    audit.record(
        event=AuditEvent.API_KEY_REVOKED, actor=actor, target=locked, changes=_told(changes)
    )


def _told(changes: Changes) -> Changes:
    """Of what changed about a key, what the log tells: the hint says which it is."""
    return {name: changes[name] for name in KEY_FIELDS_TOLD if name in changes}


def note_api_key_use(user: User, now: datetime) -> None:
    """Note that the key of `user` was used, unless that was noted lately, or has to wait."""
    used_at = user.api_key_last_used_at
    if is_read_only() or (used_at is not None and used_at > noted_after(now)):
        return
    free = User.objects.filter(pk=user.pk, api_key=user.api_key).select_for_update(skip_locked=True)
    noted = User.objects.filter(pk__in=free.values("pk"))
    write_unless_locked(lambda: noted.update(api_key_last_used_at=now))


@transaction.atomic
def update_user(
    *,
    user: User,
    actor: User | None,
    site_pks: Collection[int] | None = None,
    **fields: Any,
) -> User:
    """Change those of `fields` that differ, and, unless None, the sites of `user`.

    The password is `set_password`'s to change. Raises IdentifierTakenError and LastAdminError.
    """
    role = fields.get("role", Role.ADMIN)
    if fields.get("is_active") is False or role != Role.ADMIN:
        _keep_an_admin_besides(user)
    if "role" in fields:
        fields["is_admin"] = role == Role.ADMIN
    locked = _lock_user(user)
    with refuse_duplicates(email=f"The e-mail address {fields.get('email')} is taken."):
        changes = update_row(locked, fields)
    if site_pks is not None and (moved := _set_sites(locked, set(site_pks))):
        changes["sites"] = moved
    if changes:
        audit.record(event=_event_of(changes.keys()), actor=actor, target=locked, changes=changes)
    return locked


def change_role(*, user: User, role: Role, actor: User | None) -> User:
    """Give `user` the role; raises LastAdminError."""
    return update_user(user=user, actor=actor, role=role)


def _event_of(changed: Collection[str]) -> AuditEvent:
    """The most telling event for a change of these fields: one change has one row."""
    if set(changed) <= {"role", "is_admin"}:
        return AuditEvent.USER_ROLE_CHANGED
    if set(changed) <= {"sites", "site_access"}:
        return AuditEvent.USER_SITES_CHANGED
    return AuditEvent.USER_UPDATED


def set_password(
    *,
    user: User,
    password: str | None,
    actor: User | None,
    kept_token: AuthToken | None = None,
) -> None:
    """Give `user` a new password; None: it cannot sign in with one.

    Ends its sessions and its tokens, except `kept_token`. A password that somebody else chose
    is good for one sign-in, to choose another. Raises ValidationError when it is too long.
    """
    # Before the transaction: hashing takes long, and others would wait for it.
    user.set_password(password)
    user.must_change_password = password is not None and actor is not None and actor != user
    with transaction.atomic():
        _store_password(user, actor=actor, kept_token=kept_token)


def change_own_password(
    *, user: User, current_password: str, new_password: str, kept_token: AuthToken | None = None
) -> None:
    """Let `user` choose a new password, who shows that the current one is known.

    Ends its sessions and its other tokens. Raises WrongPasswordError, and
    CredentialsChangedError when somebody else changed it meanwhile.
    """
    with hash_slot():
        if not user.check_password(current_password):
            raise WrongPasswordError("This is not the current password.")
        stored = user.password
        user.set_password(new_password)
    user.must_change_password = False
    with transaction.atomic():
        _store_password(user, actor=user, kept_token=kept_token, replaced=stored)


def _store_password(
    user: User, *, actor: User | None, kept_token: AuthToken | None, replaced: str | None = None
) -> None:
    rows = User.objects.filter(pk=user.pk)
    if replaced is not None:
        rows = rows.filter(password=replaced)
    stored = rows.update(
        password=user.password,
        must_change_password=user.must_change_password,
        updated_at=timezone.now(),
    )
    if replaced is not None and not stored:
        raise CredentialsChangedError("The password was changed meanwhile; try again.")
    tokens = AuthToken.objects.filter(user=user)
    if kept_token is not None:
        tokens = tokens.exclude(pk=kept_token.pk)
    tokens.delete()
    audit.record(event=AuditEvent.PASSWORD_CHANGED, actor=actor, target=user)


@transaction.atomic
def delete_user(*, user: User, actor: User | None) -> None:
    """Remove an account; what it did stays in the audit log. Raises LastAdminError."""
    _keep_an_admin_besides(user)
    locked = _lock_user(user)
    audit.record(
        event=AuditEvent.USER_DELETED,
        actor=actor,
        target=locked,
        changes={"username": (locked.username, None), "email": (locked.email, None)},
    )
    locked.delete()


def _lock_user(user: User) -> User:
    # SQLite has no row locks and needs none: its write transactions take turns.
    return User.objects.select_for_update(no_key=True).get(pk=user.pk)


def _keep_an_admin_besides(user: User) -> None:
    """Raise LastAdminError when `user` is the only active admin.

    Locks every active admin, in one order and before the account itself: of two who take
    each other's role, the second has to wait, and then finds itself the last.
    """
    admins = User.objects.filter(role=Role.ADMIN, is_active=True).order_by("pk")
    locked = {admin.pk for admin in admins.select_for_update(no_key=True)}
    if locked == {user.pk}:
        raise LastAdminError(
            f"{user.username} is the last active admin; make somebody else an admin first."
        )


def _set_sites(user: User, site_pks: set[int]) -> tuple[list[str], list[str]] | None:
    """Make `site_pks` the sites of `user`; returns their text ids before and after, if changed."""
    before = _site_ids(user)
    SiteMembership.objects.filter(user=user).exclude(site__in=site_pks).delete()
    SiteMembership.objects.bulk_create(
        (SiteMembership(user=user, site_id=pk) for pk in sorted(site_pks)),
        ignore_conflicts=True,
    )
    after = _site_ids(user)
    return (before, after) if before != after else None


def _site_ids(user: User) -> list[str]:
    memberships = SiteMembership.objects.filter(user=user).order_by("site__site_id")
    return list(memberships.values_list("site__site_id", flat=True))
