"""What a service says no with, as the admin's forms and messages show it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError

from homepot.errors import DomainError

# What a service, or the database under it, says no with.
Refusal = DomainError | ValidationError | IntegrityError
REFUSALS = (DomainError, ValidationError, IntegrityError)


def refusal_messages(refusal: Refusal) -> dict[str, list[str]]:
    """What `refusal` says, by field; NON_FIELD_ERRORS for what is about none."""
    match refusal:
        case DomainError():
            return refusal.errors or {NON_FIELD_ERRORS: [str(refusal)]}
        case ValidationError() if hasattr(refusal, "error_dict"):
            return refusal.message_dict
        case ValidationError():
            return {NON_FIELD_ERRORS: refusal.messages}
    return {NON_FIELD_ERRORS: ["This clashes with what is stored. Has someone else changed it?"]}


def refusal_text(refusal: Refusal) -> str:
    """What `refusal` says, in one line."""
    return " ".join(line for lines in refusal_messages(refusal).values() for line in lines)


class RefusedForm:
    """Added to a form whose input a service has refused, so that the form says why."""

    refusal: Refusal

    def clean(self) -> Any:
        cleaned: Any = super().clean()  # type: ignore[misc]
        for name, lines in refusal_messages(self.refusal).items():
            field = name if name in self.fields else None  # type: ignore[attr-defined]
            for line in lines:
                self.add_error(field, line)  # type: ignore[attr-defined]
        return cleaned
