"""What a browser does with a form of the admin: send back what is in it, with some changes."""

from __future__ import annotations

from typing import Any


def filled_in(page: Any, **changes: Any) -> dict[str, Any]:
    """The form of `page`, an answer of the test client, as it would be posted with `changes`."""
    form = page.context["adminform"].form
    values = {bound.html_name: bound.value() for bound in form} | changes
    # Nothing is sent for what is empty or not ticked.
    return {name: value for name, value in values.items() if value not in (None, False)}
