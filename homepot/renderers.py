"""Answers as JSON, written by orjson."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson
from django.utils.functional import Promise
from msgspec import Raw
from rest_framework.renderers import BaseRenderer

# Times are UTC and end in Z, as REST framework writes them.
UTC_TIMES = orjson.OPT_UTC_Z


class ORJSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None  # JSON is UTF-8 by definition

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else to_json(data)


def to_json(data: Any) -> bytes:
    try:
        return orjson.dumps(data, default=plain, option=UTC_TIMES)
    except TypeError:
        # A key may be the member of an enumeration; to reckon with it takes a third longer.
        option = UTC_TIMES | orjson.OPT_NON_STR_KEYS
        return orjson.dumps(data, default=plain, option=option)


def plain(value: Any) -> Any:
    """What orjson does not know: JSON as stored, translated texts, error details, decimals."""
    if isinstance(value, Raw):
        return orjson.Fragment(bytes(value))
    if isinstance(value, str):
        return str.__str__(value)  # `str` of a safe text is that safe text again
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (list, tuple)):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
