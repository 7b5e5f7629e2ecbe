"""Jobs as most programs order them, told without a serializer.

To check a body, REST framework takes as long as PostgreSQL takes to write five executions. What
is known here can be refused by nothing but its site; all else is for the serializer, which also
finds the words for what is wrong.
"""

from __future__ import annotations

from typing import Any

import orjson

from homepot.text import MAX_TEXT_LENGTH
from jobs.enums import CONFIG_ACTIONS, NEEDED_PERMISSION, ORDERED_ACTIONS, JobPriority
from jobs.serializers import MAX_PAYLOAD_BYTES

FIELDS = frozenset({"action", "description", "priority", "payload"})
# Whatever devices permit, and whatever else a job says.
ACTIONS = {value for value, _ in ORDERED_ACTIONS} - CONFIG_ACTIONS - set(NEEDED_PERMISSION)
PRIORITIES = {priority.label: priority for priority in JobPriority}


def usual_job(data: Any) -> dict[str, Any] | None:
    """What SiteJobSerializer makes of the parsed body `data`, without the target.

    None when it has to be asked.
    """
    if not isinstance(data, dict) or not data.keys() <= FIELDS or not _is_usual(data):
        return None
    if "priority" in data:
        return {**data, "priority": PRIORITIES[data["priority"]]}
    return data


def _is_usual(data: dict[str, Any]) -> bool:
    action, priority = data.get("action"), data.get("priority", "normal")
    description, payload = data.get("description", ""), data.get("payload", {})
    return (
        isinstance(action, str)
        and action in ACTIONS
        and isinstance(priority, str)
        and priority in PRIORITIES
        and isinstance(description, str)
        and len(description) <= MAX_TEXT_LENGTH
        and description == description.strip()
        and isinstance(payload, dict)
        and len(orjson.dumps(payload)) <= MAX_PAYLOAD_BYTES
    )
