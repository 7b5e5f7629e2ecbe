"""People and programs with an account."""

from __future__ import annotations

import unicodedata
from typing import Any, Self

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.crypto import salted_hmac

from accounts import policy
from accounts.enums import Role, SiteAccess
from accounts.hashers import MAX_PASSWORD_LENGTH
from accounts.querysets import UserQuerySet
from homepot.models import TimestampedModel

# Of what is typed to sign in; no username or address is longer in any Unicode form.
MAX_SIGN_IN_NAME_LENGTH = 254

validate_username = RegexValidator(
    r"^[a-z0-9][a-z0-9@.+_-]*\Z",
    "Use ASCII letters, digits and @ . + - _, beginning with a letter or digit.",
)


def canonical(name: str) -> str:
    """The one spelling under which a username or e-mail address is stored and looked up.

    In Python and not in SQL: `lower()` leaves non-ASCII letters alone on SQLite.
    """
    return unicodedata.normalize("NFKC", name.strip()).casefold()


class CanonicalMixin:
    """A text column that is canonical wherever it is written, compared or cleaned."""

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)  # type: ignore[misc]
        return canonical(value) if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        return self.to_python(super().get_prep_value(value))  # type: ignore[misc]

    def pre_save(self, instance: models.Model, add: bool) -> Any:
        value = self.to_python(super().pre_save(instance, add))  # type: ignore[misc]
        setattr(instance, self.attname, value)  # type: ignore[attr-defined]
        return value


class CanonicalCharField(CanonicalMixin, models.CharField):
    pass


class CanonicalEmailField(CanonicalMixin, models.EmailField):
    pass


class UserManager(BaseUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    def create_user(
        self, username: str, email: str, password: str | None = None, **fields: Any
    ) -> User:
        """Open an audited account, as `accounts.services.create_user` does."""
        from accounts import services  # services stand above models

        return services.create_user(
            username=username, email=email, password=password, actor=None, **fields
        )

    def create_superuser(
        self, username: str, email: str, password: str | None = None, **fields: Any
    ) -> User:
        """Open an audited admin account, for Django's createsuperuser."""
        return self.create_user(username, email, password, **{"role": Role.ADMIN, **fields})

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(username=username)

    def find_by_sign_in_name(self, name: str) -> User | None:
        """The account with this username or e-mail address; None when there is none."""
        if len(name) > MAX_SIGN_IN_NAME_LENGTH:
            return None
        name = canonical(name)
        # A username may look like somebody else's address: the address wins.
        found = self.filter(Q(username=name) | Q(email=name))
        return max(found, key=lambda user: user.email == name, default=None)


class User(AbstractBaseUser, TimestampedModel):
    """An account. Its role says what it may do; `is_admin` is true exactly for admins."""

    username = CanonicalCharField(max_length=50, unique=True, validators=[validate_username])
    email = CanonicalEmailField(max_length=100, unique=True)
    password = models.CharField(max_length=128, db_column="hashed_password")
    full_name = models.CharField(max_length=100, blank=True)
    role = models.CharField(max_length=20, choices=Role, default=Role.NONE)
    is_admin = models.BooleanField(default=False, editable=False)
    is_active = models.BooleanField(default=True)
    # Set by an admin who gave a one-time password; until then the account can do nothing else.
    must_change_password = models.BooleanField(default=False)
    # Part of what a session is checked against: moved on, it ends all sessions of the account.
    session_version = models.PositiveIntegerField(default=0, editable=False)
    site_access = models.CharField(max_length=20, choices=SiteAccess, default=SiteAccess.ALL)
    # SHA-256 of the key; the hint is its beginning, for people.
    api_key = models.CharField(max_length=64, unique=True, null=True, blank=True, editable=False)
    api_key_hint = models.CharField(max_length=12, blank=True, editable=False)
    api_key_created_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Noted once an hour at most.
    api_key_last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    api_key_expires_at = models.DateTimeField(null=True, blank=True)

    objects = UserManager()
    # What a new account has unless told otherwise.
    _stored_role: tuple[str | None, bool | None] = (Role.NONE, False)

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["email"]

    class Meta:
        db_table = "users"
        ordering = ["username"]
        constraints = [
            models.CheckConstraint(condition=Q(role__in=Role.values), name="user_role_known"),
            models.CheckConstraint(
                condition=Q(site_access__in=SiteAccess.values), name="user_site_access_known"
            ),
            models.CheckConstraint(
                condition=Q(role=Role.ADMIN, is_admin=True)
                | (~Q(role=Role.ADMIN) & Q(is_admin=False)),
                name="user_is_admin_matches_role",
            ),
        ]
        indexes = [
            # Accounts, newest first, in the admin and the API.
            models.Index(fields=["-created_at", "-id"], name="user_newest")
        ]

    def __str__(self) -> str:
        return self.username

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        user = super().from_db(*args, **kwargs)
        user._remember_role()
        return user

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        super().refresh_from_db(*args, **kwargs)
        self._remember_role()

    def clean(self) -> None:
        super().clean()
        self._derive_role()

    def save(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        """Save, with whichever of `role` and `is_admin` was not given derived from the other.

        Raises ValueError when both were given and disagree.
        """
        self._derive_role()
        if update_fields is not None and {"role", "is_admin"} & set(update_fields):
            update_fields = {*update_fields, "role", "is_admin"}
        super().save(*args, update_fields=update_fields, **kwargs)
        self._remember_role()

    def set_password(self, raw_password: str | None) -> None:
        """Hash and keep `raw_password`; raises ValidationError when it is too long."""
        if raw_password is not None and len(raw_password) > MAX_PASSWORD_LENGTH:
            raise ValidationError(
                f"A password has at most {MAX_PASSWORD_LENGTH:,} characters.",
                code="password_too_long",
            )
        super().set_password(raw_password)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        return salted_hmac(
            "accounts.User.session",
            f"{self.session_version} {self.password}",
            secret=secret,
            algorithm="sha256",
        ).hexdigest()

    @property
    def is_staff(self) -> bool:
        """Whether the admin lets this account in at all, if only to change its password."""
        return self.is_active and self.role != Role.NONE

    def has_perm(self, permission: str, obj: Any = None) -> bool:
        return policy.may_in_admin(self, permission)

    def has_perms(self, permissions: Any, obj: Any = None) -> bool:
        return all(self.has_perm(permission, obj) for permission in permissions)

    def has_module_perms(self, app_label: str) -> bool:
        return self.has_perm(f"{app_label}.view")

    def _remember_role(self) -> None:
        loaded = self.__dict__
        self._stored_role = loaded.get("role"), loaded.get("is_admin")

    def _derive_role(self) -> None:
        role, is_admin = self.__dict__.get("role"), self.__dict__.get("is_admin")
        if role is None or is_admin is None:  # not loaded, so not changed either
            return
        stored_role, stored_is_admin = self._stored_role
        if role != stored_role and is_admin == stored_is_admin:
            self.is_admin = role == Role.ADMIN
        elif is_admin != stored_is_admin and role == stored_role:
            if is_admin:
                self.role = Role.ADMIN
            elif role == Role.ADMIN:
                self.role = Role.VIEWER
        if self.is_admin != (self.role == Role.ADMIN):
            raise ValueError(f"is_admin={self.is_admin} contradicts the role {self.role}.")


class SiteMembership(models.Model):
    """A site that a user whose access is `selected` may see."""

    user = models.ForeignKey(User, models.CASCADE, related_name="site_memberships", db_index=False)
    # A site is never deleted while it matters; a membership never keeps it.
    site = models.ForeignKey("sites.Site", models.CASCADE, related_name="memberships")

    class Meta:
        db_table = "site_memberships"
        constraints = [
            # Serves the scope of every request too: the sites of one user.
            models.UniqueConstraint(fields=["user", "site"], name="site_membership_unique")
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.site}"


class ThrottleCounter(models.Model):
    """How often one account or address has used one limited route in the present window."""

    scope = models.CharField(max_length=40)
    # SHA-256 of whom is counted.
    key_digest = models.CharField(max_length=64)
    window_end = models.DateTimeField()
    uses = models.PositiveIntegerField()

    class Meta:
        db_table = "throttle_counters"
        constraints = [
            # What the counting statement finds its row by.
            models.UniqueConstraint(fields=["scope", "key_digest"], name="throttle_counter_unique")
        ]
        indexes = [
            # Windows that are over, to be removed.
            models.Index(fields=["window_end"], name="throttle_counter_window")
        ]

    def __str__(self) -> str:
        return f"{self.uses} uses of {self.scope}"
