"""Answers to what never reaches a view, or crashes in one: JSON under /api/, a page elsewhere."""

from __future__ import annotations

from typing import Any

import orjson
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import loader
from django.views import defaults

from homepot.errors import (
    LOGGED,
    PROBLEM_CONTENT_TYPE,
    bad_request_detail,
    plain_problem_response,
    problem,
)
from homepot.read_only import ReadOnlyMode


def _is_api(request: HttpRequest) -> bool:
    return f"{request.path_info}/".startswith("/api/")


def _api_problem(status: int, detail: str, code: str) -> HttpResponse:
    return HttpResponse(
        orjson.dumps(problem(status, detail, code=code)),
        status=status,
        content_type=PROBLEM_CONTENT_TYPE,
    )


def refuse_write(request: HttpRequest) -> HttpResponse:
    """The answer to what would have to write in read-only mode."""
    refusal = ReadOnlyMode()
    if _is_api(request):
        return plain_problem_response(refusal)
    response = render(request, "503.html", status=refusal.status_code)
    response["Retry-After"] = str(refusal.wait)
    setattr(response, LOGGED, True)
    return response


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_api(request):
        return defaults.bad_request(request, exception)
    if isinstance(exception, RequestDataTooBig):
        return _api_problem(413, "The body is too large.", "payload_too_large")
    return _api_problem(400, bad_request_detail(exception), "bad_request")


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_api(request):
        return defaults.permission_denied(request, exception)
    return _api_problem(403, "You may not do this.", "permission_denied")


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_api(request):
        return defaults.page_not_found(request, exception)
    return _api_problem(404, "Not found.", "not_found")


def handler500(request: HttpRequest) -> Any:
    if not _is_api(request):
        # Without what asks who is signed in: that may be what failed.
        page = loader.get_template("500.html").render({"request": request})
        return HttpResponse(page, status=500)
    return _api_problem(500, "Something went wrong on our side.", "server_error")
