"""Answers where a page has to be asked for again later; the API's are made in homepot/errors.py."""

from __future__ import annotations

import math
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework.exceptions import Throttled

from accounts.lockout import AccountLockedError
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
        seconds = getattr(exception, "wait", None) or RETRY_AFTER_SECONDS
        again = f"Try again in {_in_words(seconds)}"
        if isinstance(exception, AccountLockedError):
            heading = AccountLockedError.default_detail.rstrip(".")
            message = f"{again}, or ask an admin to release it on your user's page."
        elif isinstance(exception, Throttled):
            heading, message = "That was too often", f"{again}."
        else:
            heading, message = "The server is busy", f"What you sent was not stored. {again}."
        context = {"heading": heading, "message": message}
        response = render(request, "try_again.html", context, status=exception.status_code)
        response["Retry-After"] = str(seconds)
        return response


def _in_words(seconds: float) -> str:
    if seconds <= 60:
        return "a minute"
    return f"{math.ceil(seconds / 60)} minutes"
