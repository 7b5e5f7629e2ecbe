"""Idempotency-Key: a request that is sent again has its effect once.

Whoever got no answer cannot know whether the request was done. With the same key and body,
within a day, it is answered as it was the first time; the record is written in the
transaction of the effect, so that both are there or neither. Refused requests leave none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from homepot.errors import Busy, DomainError, violated_columns
from homepot.models import IdempotencyKey
from homepot.renderers import to_json
from homepot.sweeps import run_steps
from homepot.transactions import retried

HEADER = "Idempotency-Key"
META_KEY = "HTTP_IDEMPOTENCY_KEY"
REPLAYED_HEADER = "Idempotency-Replayed"
KEPT = timedelta(hours=24)
FORGOTTEN_AT_ONCE = 1000
ATTEMPTS = 3
# Printable ASCII, as header values go.
KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


class KeyReusedError(DomainError):
    code = "idempotency_key_reused"
    status = 422


def answer_once(
    request: Request, body: Any, do: Callable[[], tuple[int, dict[str, Any]]]
) -> Response:
    """Answer what `do` answers, as (status, JSON), or what it answered to the same before.

    `body` is the parsed body. Without the header it is simply done. Raises ValidationError
    for a bad key and KeyReusedError for one that came with another request.
    """
    key = request.META.get(META_KEY)
    if key is None:
        status, answer = do()
        return Response(answer, status=status)
    if not KEY.match(key):
        raise ValidationError({HEADER: ["Send 1 to 255 printable ASCII characters."]})
    canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    told = f"{request.method} {request.path.rstrip('/')}\n".encode() + canonical
    done = do_once(f"user {request.user.pk}", key, told, do)
    headers = {REPLAYED_HEADER: "true"} if done.is_replayed else {}
    return Response(done.answer, status=done.status, headers=headers)


@dataclass(frozen=True)
class Done:
    status: int
    answer: dict[str, Any]
    # Whether it was done before, with the same key.
    is_replayed: bool


def do_once(
    principal: str, key: str, told: bytes, do: Callable[[], tuple[int, dict[str, Any]]]
) -> Done:
    """What `do` answers, or what it answered when `principal` sent `key` before.

    `told` is what was asked for; raises KeyReusedError when that differs from then.
    """
    digest = hashlib.sha256(told).hexdigest()
    for _ in range(ATTEMPTS):
        if replay := done_before(principal, key, told):
            return replay
        try:
            status, answer = _claim_and_do(principal, key, digest, do)
        except _ClaimedError:
            continue  # the other has been answered by now, or was undone
        return Done(status, answer, is_replayed=False)
    raise Busy


def done_before(principal: str, key: str, told: bytes) -> Done | None:
    """What was answered when `principal` sent `key` before; raises KeyReusedError."""
    stored = IdempotencyKey.objects.filter(
        principal=principal, key=key, created_at__gt=timezone.now() - KEPT
    ).first()
    if stored is None:
        return None
    if stored.request_digest != hashlib.sha256(told).hexdigest():
        raise KeyReusedError(f"This {HEADER} was used for another request; take a new one.")
    return Done(stored.status, stored.body, is_replayed=True)


@retried
def _claim_and_do(
    principal: str, key: str, digest: str, do: Callable[[], tuple[int, dict[str, Any]]]
) -> tuple[int, dict[str, Any]]:
    # First of all: who comes second waits here for the first.
    record = _claim(principal, key, digest)
    record.status, answer = do()
    # As it is rendered: times as text.
    record.body = orjson.loads(to_json(answer))
    record.save(update_fields=["status", "body"])
    return record.status, answer


class _ClaimedError(Exception):
    pass


def _claim(principal: str, key: str, digest: str) -> IdempotencyKey:
    forgotten = IdempotencyKey.objects.filter(
        principal=principal, key=key, created_at__lte=timezone.now() - KEPT
    )
    forgotten.delete()
    record = IdempotencyKey(principal=principal, key=key, request_digest=digest, status=0, body={})
    try:
        with transaction.atomic():
            record.save(force_insert=True)
    except IntegrityError as error:
        if "key" not in violated_columns(error):
            raise
        raise _ClaimedError from error
    return record


def forget_old_keys(now: datetime) -> int:
    """A sweep: drop what is older than a day. Returns how many."""
    return run_steps(_forget(now))


def _forget(now: datetime) -> Iterator[int]:
    old = IdempotencyKey.objects.filter(created_at__lte=now - KEPT).order_by("created_at")
    while pks := list(old.values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]):
        yield IdempotencyKey.objects.filter(pk__in=pks).delete()[0]
