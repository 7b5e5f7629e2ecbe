"""ETags of answers: whoever sends one back in If-None-Match is spared what has not changed."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from django.http import HttpRequest
from django.middleware.http import ConditionalGetMiddleware

LENGTH = 32
ONE_ENTITY_TAG = re.compile(rf'"[0-9a-f]{{{LENGTH}}}"')


def entity_tag(body: bytes) -> str:
    """The digest of `body`, in quotes. Processors help with SHA-256: MD5 takes twice as long."""
    return f'"{hashlib.sha256(body).hexdigest()[:LENGTH]}"'


class EntityTagMiddleware(ConditionalGetMiddleware):
    """Gives answers to GETs their tags, and 304 to those who have what they would get."""

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        if (
            request.method == "GET"
            and not response.streaming
            and response.content
            and not response.has_header("ETag")
            and self.needs_etag(response)
        ):
            response["ETag"] = entity_tag(response.content)
        return super().process_response(request, response)
