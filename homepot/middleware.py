"""What every request passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.urls import resolve
from django.utils.cache import patch_vary_headers
from django.utils.module_loading import import_string

from homepot.csp import CONTENT_SECURITY_POLICIES
from homepot.error_pages import handler400, refuse_write
from homepot.read_only import asks_for_change, is_read_only, is_refused_write
from homepot.request_context import context_of, current_request
from homepot.routes import api_routes

GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestContextMiddleware:
    """Gives the request an id, for the answer's X-Request-ID, the logs and the audit log."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        context = context_of(request)
        request.context = context  # type: ignore[attr-defined]
        token = current_request.set(context)
        try:
            response = self.get_response(request)
        finally:
            current_request.reset(token)
        response["X-Request-ID"] = context.request_id
        return response


class ShortPathMiddleware:
    """Serves the busiest calls at once: no sessions, CSRF, CORS or URL patterns for them.

    settings.SHORT_PATHS maps their paths, without the final slash, to plain views.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.views = {path: import_string(name) for path, name in settings.SHORT_PATHS.items()}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = self.views.get(request.path_info.removesuffix("/"))
        if view is None or (is_read_only() and asks_for_change(request)):
            return self.get_response(request)
        return view(request)


class ProgramMiddleware:
    """Serves programs past what only browsers need: sessions, cookies, CSRF, CORS, static files.

    What they pass of the middleware behind this is settings.PROGRAM_MIDDLEWARE.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        answer: Any = convert_exception_to_response(_answer)
        for name in reversed(settings.PROGRAM_MIDDLEWARE):
            answer = convert_exception_to_response(import_string(name)(answer))
        self.answer_program: Any = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_program(request.META):
            return self.get_response(request)
        response: HttpResponse = self.answer_program(request)
        # To a browser's script it might have answered more.
        patch_vary_headers(response, ("origin",))
        return response


def is_program(environ: Mapping[str, Any]) -> bool:
    """Whether a request to the API brings a key or token, and nothing that only browsers send."""
    return (
        ("HTTP_X_API_KEY" in environ or "HTTP_AUTHORIZATION" in environ)
        and not environ.get("HTTP_COOKIE")
        and not environ.get("HTTP_ORIGIN")
        and environ["PATH_INFO"].startswith("/api/")
    )


def _answer(request: HttpRequest) -> HttpResponse:
    match = api_routes().find(request.path_info) or resolve(request.path_info)
    request.resolver_match = match
    response: Any = match.func(request, *match.args, **match.kwargs)
    return response.render() if hasattr(response, "render") else response


class ReadOnlyMiddleware:
    """In read-only mode, answers 503 to every request for a change, and where the database refuses.

    Devices and programs come again after the seconds of Retry-After, with what they had to say.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_read_only() and asks_for_change(request):
            return refuse_write(request)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return refuse_write(request) if is_refused_write(exception) else None


class SecurityPolicyMiddleware:
    """Sets the content security policy of the path's prefix."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for prefix, policy in CONTENT_SECURITY_POLICIES:
            if request.path.startswith(prefix):
                response.headers.setdefault("Content-Security-Policy", policy)
                break
        return response


class RefuseBadBytesMiddleware:
    """Answers 400 to a path or query with a NUL or bytes that are not UTF-8, or a cookie with NUL.

    PostgreSQL refuses both, SQLite takes them: neither should get to see them.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        for part, raw in (
            # Django has put %-escapes back in place of path bytes that are not UTF-8.
            ("path", request.path_info.encode()),
            # WSGI hands bytes over as if they were Latin-1.
            ("query", request.META.get("QUERY_STRING", "").encode("latin-1")),
        ):
            value = unquote_to_bytes(raw)
            if b"\0" in value or not _is_utf8(value):
                error = BadRequest(f"The {part} holds a NUL or bytes that are not UTF-8.")
                return handler400(request, error)
        # In quotes, a cookie can spell any byte: the session's key is looked up.
        if any("\0" in value for value in request.COOKIES.values()):
            return handler400(request, BadRequest("A cookie holds a NUL."))
        return self.get_response(request)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
