"""What the present state of an account can refuse."""

from __future__ import annotations

from homepot.errors import DomainError


class LastAdminError(DomainError):
    code = "last_admin"


class NoApiKeyError(DomainError):
    code = "no_api_key"


class CredentialsChangedError(DomainError):
    code = "credentials_changed"


class NothingToSignOutError(DomainError):
    code = "nothing_to_sign_out"


class NothingToReleaseError(DomainError):
    code = "nothing_to_release"


class WrongPasswordError(Exception):
    """What was given as the current password is not."""
