"""What admins do to a user, and what the pages that ask say of it. The rules are the services'."""

from __future__ import annotations

from typing import Any

from accounts import lockout, services, sign_in
from accounts.forms import ApiKeyForm
from accounts.models import User
from homepot.admin import Command


def failures_of(user: Any) -> list[Any]:
    """Asked for by a button and a section of one page, and read once."""
    if not hasattr(user, "failures"):
        user.failures = lockout.failures_of(user)
    failures: list[Any] = user.failures
    return failures


def _create_api_key(user: User, actor: User, **fields: Any) -> str:
    return services.create_api_key(user=user, actor=actor, **fields)


def _revoke_api_key(user: User, actor: User) -> None:
    services.revoke_api_key(user=user, actor=actor)


def _sign_out_everywhere(user: User, actor: User) -> None:
    sign_in.sign_out_everywhere(user=user, actor=actor)


def _release(user: User, actor: User) -> None:
    sign_in.release_user(user=user, actor=actor)


CREATE_API_KEY = Command(
    title="Create API key",
    means=(
        "Programs sign in with it and may do what the user may do. The key in use, if there is "
        "one, ends at once."
    ),
    done="API key created",
    run=_create_api_key,
    form_class=ApiKeyForm,
    key_means="Programs send it as the header X-API-Key: copy it there now.",
)
REVOKE_API_KEY = Command(
    title="Revoke API key",
    means="Programs that use it are refused from then on.",
    done="API key revoked",
    run=_revoke_api_key,
    is_dangerous=True,
    is_offered=lambda user: user.api_key is not None,
)
SIGN_OUT = Command(
    title="Sign out everywhere",
    means=(
        "Every browser session and every token of the user ends at once. The API key and the "
        "password stay as they are."
    ),
    done="Signed out everywhere",
    run=_sign_out_everywhere,
    is_dangerous=True,
)
RELEASE = Command(
    title="Release lock-out",
    means="Failed sign-ins with this name are forgotten: whoever was locked out may try at once.",
    done="Lock-out released",
    run=_release,
    is_offered=lambda user: bool(failures_of(user)),
)
