"""Errors as every caller of the API sees them: problem+json, RFC 9457.

A use case that the present state refuses raises a `DomainError`. What databases and the
framework raise is translated here, in one place, for every route under /api/.
"""

from __future__ import annotations

import logging
import math
import re
from http import HTTPStatus
from typing import Any

import orjson
import psycopg
from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.db.models import ProtectedError, RestrictedError
from django.http import Http404, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from homepot.metrics.counters import REFUSED_KEYS
from homepot.outages import database_outages
from homepot.read_only import ReadOnlyMode, is_refused_write
from homepot.request_context import current_request

logger = logging.getLogger(__name__)

PROBLEM_CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
# What Django looks at before it logs an answer, and sets when it has.
LOGGED = "_has_been_logged"


class DomainError(Exception):
    """The present state refuses a good request: 409, or what `status` says.

    The message names the thing, its state and what would work. `errors` holds messages by
    field where a field of the request is what clashes.
    """

    code = "conflict"
    status = 409

    def __init__(self, message: str, *, errors: dict[str, list[str]] | None = None) -> None:
        super().__init__(message)
        self.errors = errors


class IdentifierTakenError(DomainError):
    code = "already_exists"


class PayloadTooLarge(exceptions.APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."
    default_code = "payload_too_large"


class LengthRequired(exceptions.APIException):
    status_code = HTTPStatus.LENGTH_REQUIRED
    default_detail = "Send the body with a Content-Length."
    default_code = "length_required"


class Busy(exceptions.APIException):
    """Too much of the same work is under way; it was not even begun."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "The server is busy; try again."
    default_code = "busy"
    wait = RETRY_AFTER_SECONDS


def problem(
    status: int,
    detail: str,
    *,
    code: str,
    errors: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The body of an error answer; `errors` holds lists of messages by field."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if errors is not None:
        body["errors"] = errors
    return body


def bad_request_detail(error: Exception) -> str:
    """What to say of a request that could not be read; Django's own words name its insides."""
    return (isinstance(error, BadRequest) and str(error)) or "The request cannot be read."


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's exception handler; None leaves the error to `handler500`."""
    if is_refused_write(error):
        error = ReadOnlyMode()
    headers: dict[str, str] = {}
    # Of read-only mode, the start of the process told.
    is_told_once = isinstance(error, ReadOnlyMode)
    translated = _problem_of(error)
    if translated is None:
        return None
    if isinstance(error, exceptions.APIException):
        if authenticate := getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = authenticate
        if wait := getattr(error, "wait", None):
            headers["Retry-After"] = str(math.ceil(wait))
    if isinstance(error, (OperationalError, InterfaceError)):
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        is_told_once = database_outages.explains(error)
        if not is_told_once:
            logger.error("Database unavailable: %s", error)
    if isinstance(error, exceptions.AuthenticationFailed):
        # Not audited: guessing keys would fill the audit log.
        caller = current_request.get()
        REFUSED_KEYS.inc()
        logger.warning("Refused %s: %s", caller and caller.ip_address, translated["detail"])
    if isinstance(error, (DataError, RecursionError)):
        # The checks of the input should have caught it: a fault of ours.
        logger.error("Input reached the database unchecked", exc_info=error)
    response = Response(
        translated,
        status=translated["status"],
        headers=headers,
        content_type=PROBLEM_CONTENT_TYPE,
    )
    _mark(response, is_logged=is_told_once)
    return response


def plain_problem_response(error: Exception) -> HttpResponse:
    """What `problem_response` answers, for views off REST framework's path."""
    answer = problem_response(error, {})
    if answer is None:
        raise error
    response = HttpResponse(
        orjson.dumps(answer.data, default=str),
        status=answer.status_code,
        headers={name: value for name, value in answer.items() if name != "Content-Type"},
        content_type=PROBLEM_CONTENT_TYPE,
    )
    _mark(response, is_logged=hasattr(answer, LOGGED))
    return response


def _mark(response: HttpResponse, *, is_logged: bool) -> None:
    """Spare Django a line about `response`: an outage would fill the log with them."""
    if is_logged:
        setattr(response, LOGGED, True)


def _problem_of(error: Exception) -> dict[str, Any] | None:
    match error:
        case DomainError():
            return problem(error.status, str(error), code=error.code, errors=error.errors)
        case exceptions.ValidationError():
            return problem(
                400, "Some of the input is not valid.", code="invalid", errors=_by_field(error)
            )
        case DjangoValidationError():
            by_field = error.message_dict if hasattr(error, "error_dict") else error.messages
            return _problem_of(exceptions.ValidationError(by_field))
        case exceptions.APIException():
            return problem(error.status_code, str(error.detail), code=_code_of(error))
        case Http404():
            return problem(404, "Not found.", code="not_found")
        case PermissionDenied():
            return problem(403, "You may not do this.", code="permission_denied")
        case RequestDataTooBig():
            return problem(413, PayloadTooLarge.default_detail, code="payload_too_large")
        case BadRequest() | SuspiciousOperation():
            return problem(400, bad_request_detail(error), code="bad_request")
        # Before IntegrityError, of which they are a kind.
        case ProtectedError() | RestrictedError():
            return problem(409, "Other data still refers to this.", code="still_referenced")
        case IntegrityError():
            columns = violated_columns(error)
            return problem(
                409,
                "The data clashes with what is stored.",
                code="conflict",
                errors={column: ["Clashes with what is stored."] for column in columns} or None,
            )
        case OperationalError() | InterfaceError():
            return problem(503, "The database is not available; try again.", code="unavailable")
        case DataError() | RecursionError():
            return problem(400, "The input holds a value that cannot be stored.", code="invalid")
    return None


def _code_of(error: exceptions.APIException) -> str:
    codes = error.get_codes()
    return codes if isinstance(codes, str) else "error"


def _by_field(error: exceptions.ValidationError) -> Any:
    if isinstance(error.detail, dict):
        return error.detail
    return {"non_field_errors": error.detail}


def violated_columns(error: IntegrityError) -> tuple[str, ...]:
    """The columns of the unique constraint that `error` is about; empty when it is another kind.

    SQLite: "UNIQUE constraint failed: devices.site_id, devices.name";
    PostgreSQL: "Key (site_id, name)=(1, Till 1) already exists."
    """
    cause = error.__cause__
    if isinstance(cause, psycopg.errors.UniqueViolation):
        # The server may speak another language; the parentheses stay.
        match = re.search(r"\((.+?)\)=\(", cause.diag.message_detail or "")
        return tuple(match[1].replace('"', "").split(", ")) if match else ()
    _, found, columns = str(error).partition("UNIQUE constraint failed: ")
    return tuple(name.partition(".")[2] for name in columns.split(", ")) if found else ()
