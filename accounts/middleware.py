"""Plain answers where signing in is refused for now, outside of the API."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import Throttled

from homepot.errors import RETRY_AFTER_SECONDS, Busy

GetResponse = Callable[[HttpRequest], HttpResponse]


class TryAgainLaterMiddleware:
    """Turns what a page raises when somebody is locked out, too quick, or the server is busy."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, (Throttled, Busy)):
            return None
        return HttpResponse(
            f"{exception.detail}\n",
            status=exception.status_code,
            headers={"Retry-After": str(getattr(exception, "wait", None) or RETRY_AFTER_SECONDS)},
            content_type="text/plain; charset=utf-8",
        )
