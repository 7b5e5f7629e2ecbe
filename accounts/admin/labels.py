"""How pages write what a user is."""

from __future__ import annotations

from django.utils.safestring import SafeString

from accounts.enums import Role
from accounts.models import User
from homepot.admin import label

ROLE_COLOURS = {Role.ADMIN.label: "primary", Role.OPERATOR.label: "info"}
STATE_COLOURS = {"Active": "success"}
STATE_SYMBOLS = {"Active": "check_circle", "Inactive": "block"}


def role_label(user: User) -> SafeString:
    return label(Role(user.role).label, ROLE_COLOURS)


def state_label(user: User) -> SafeString:
    state = "Active" if user.is_active else "Inactive"
    return label(state, STATE_COLOURS, STATE_SYMBOLS[state])
