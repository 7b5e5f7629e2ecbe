"""How devices say who they are: X-Device-ID, and their key in X-API-Key."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts.keys import digest_of
from devices.check_in.caller import Caller, note_key_use, valid_keys
from devices.enums import SPEAKING
from devices.errors import DeviceMayNotSpeakError
from devices.models import Device, DeviceCredential
from homepot.compiled import Asked, Question, read_json
from sites.models import Site

DEVICE_ID_HEADER = "X-Device-ID"
KEY_HEADER = "X-API-Key"
AUTHENTICATE = f'ApiKey realm="device", header="{KEY_HEADER}"'
# The same for an unknown id and a wrong key: nobody learns which ids exist.
UNKNOWN_DEVICE = "The device id or its key is not valid."


class DeviceAuthentication(authentication.BaseAuthentication):
    """One statement, and one more when the use of the key is to be noted.

    Suspended and retired devices are known, but refused: 403.
    """

    def authenticate(self, request: Request) -> tuple[Device, Any] | None:
        device_id = request.META.get("HTTP_X_DEVICE_ID")
        key = request.META.get("HTTP_X_API_KEY")
        if not device_id or not key:
            return None
        now = timezone.now()
        values = {"device_id": device_id, "digest": digest_of(key)}
        rows = Question(Asked(None, now, values), _credential_device_and_site).rows()
        if not rows:
            raise exceptions.AuthenticationFailed(UNKNOWN_DEVICE)
        credential, device, site = _made_of(rows[0])
        credential.device, device.site = device, site
        if device.lifecycle_state not in SPEAKING:
            raise DeviceMayNotSpeakError(device.lifecycle_state)
        note_key_use(credential, now)
        return device, credential

    def authenticate_header(self, request: Request) -> str:
        return AUTHENTICATE


MODELS: tuple[Any, ...] = (DeviceCredential, Device, Site)
COLUMNS = [[column.attname for column in model._meta.concrete_fields] for model in MODELS]


def _credential_device_and_site(asked: Asked) -> QuerySet:
    keys = valid_keys(Caller(asked["device_id"], asked["digest"]), asked.now)
    paths = ("", "device__", "device__site__")
    return keys.order_by().values_list(
        *(path + name for path, names in zip(paths, COLUMNS, strict=True) for name in names)
    )


def _made_of(row: tuple[Any, ...]) -> Iterator[Any]:
    """The object of each of `MODELS` whose columns these are, one after the other."""
    values = iter(row)
    for model, names in zip(MODELS, COLUMNS, strict=True):
        of_model = [read_json(value) for value in islice(values, len(names))]
        yield model.from_db(DEFAULT_DB_ALIAS, names, of_model)
