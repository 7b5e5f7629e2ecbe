"""The only reader of request bodies: strict JSON, the same limits for both databases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.http import HttpRequest
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

from homepot.errors import LengthRequired, PayloadTooLarge

MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 32
# What fits the integer columns and survives jsonb unchanged.
MAX_NUMBER = 2**63
# From here on Python writes a float with an exponent, and jsonb reads that as an integer.
EXPONENT_FROM = 10**16


class StrictJSONParser(BaseParser):
    """JSON in UTF-8, at most `max_bytes` long and 32 levels deep.

    Refuses NUL characters, lone surrogates, NaN, infinities and numbers beyond 2^63, which
    one of the databases would refuse or change; -0.0 becomes 0, 1e16 an integer. Of keys that
    repeat the last one counts. Raises PayloadTooLarge, UnsupportedMediaType (another charset)
    and ParseError.
    """

    media_type = "application/json"
    max_bytes = MAX_BODY_BYTES

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request = (parser_context or {})["request"]
        charset = request.content_params.get("charset", "utf-8")
        if charset.lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType(self.media_type, "Send JSON in UTF-8.")
        return self.load(self.read(stream, request.META))

    def load(self, body: bytes) -> Any:
        return loads(body)

    def read(self, stream: IO[bytes], headers: Mapping[str, Any]) -> bytes:
        # The stream ends where this header says, and at once without it.
        if int(headers.get("CONTENT_LENGTH") or 0) > self.max_bytes:
            raise PayloadTooLarge(f"The body is larger than {self.max_bytes} bytes.")
        return stream.read()


class MislabelledJSONParser(StrictJSONParser):
    """JSON under the label that `curl -d` gives it when no Content-Type is named.

    A real form is refused. Cookies are never enough to get here: they need a CSRF token.
    """

    media_type = "application/x-www-form-urlencoded"

    def read(self, stream: IO[bytes], headers: Mapping[str, Any]) -> bytes:
        body = super().read(stream, headers)
        if not body.lstrip().startswith((b"{", b"[")):
            raise UnsupportedMediaType(self.media_type, "Send JSON, not a form.")
        return body


def refuse_missing_length(headers: Mapping[str, Any]) -> None:
    """Raise LengthRequired for a body without a length.

    WSGI gives no such body: it would be taken for an empty one.
    """
    is_http1 = headers.get("SERVER_PROTOCOL", "").startswith("HTTP/1")
    if "HTTP_TRANSFER_ENCODING" in headers or not (is_http1 or headers.get("CONTENT_LENGTH")):
        raise LengthRequired


def read_body(request: HttpRequest) -> bytes:
    """The body of a request that is off REST framework's path; "{}" when it is empty.

    Agents label their bodies in many ways, so the label does not count. Raises LengthRequired
    for a body without a length, which WSGI would take for an empty one.
    """
    refuse_missing_length(request.META)
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    if length > MAX_BODY_BYTES:
        raise PayloadTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
    return request.read() if length else b"{}"


def read_json(request: HttpRequest) -> Any:
    """`read_body`, parsed and checked."""
    return loads(read_body(request))


def loads(body: bytes) -> Any:
    """Parse and check one JSON text; raises ParseError or UnsupportedMediaType."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            body.decode()
        except UnicodeDecodeError:
            raise UnsupportedMediaType("application/json", "Send JSON in UTF-8.") from None
        raise ParseError(f"The body is not JSON: {error}.") from None
    return checked(value, MAX_DEPTH)


def checked(value: Any, levels_left: int) -> Any:
    """Parsed JSON with -0.0 as 0; raises ParseError for what one of the databases cannot hold.

    It may be nested so many levels deep.
    """
    match value:
        case str():
            if "\0" in value:
                raise ParseError("The body holds a NUL character.")
        case bool() | None:
            pass
        case int():
            if not -MAX_NUMBER <= value < MAX_NUMBER:
                raise ParseError("The body holds a number beyond 2^63.")
        case float():
            # -2^63 itself is what orjson makes of integers a little below it.
            if not -MAX_NUMBER < value < MAX_NUMBER:
                raise ParseError("The body holds a number beyond 2^63.")
            if value == 0 or abs(value) >= EXPONENT_FROM:
                return int(value)
        case dict():
            if levels_left == 0:
                raise ParseError(f"The body is nested more than {MAX_DEPTH} levels deep.")
            for key, item in value.items():
                if "\0" in key:
                    raise ParseError("The body holds a NUL character.")
                value[key] = checked(item, levels_left - 1)
        case list():
            if levels_left == 0:
                raise ParseError(f"The body is nested more than {MAX_DEPTH} levels deep.")
            value[:] = [checked(item, levels_left - 1) for item in value]
    return value
