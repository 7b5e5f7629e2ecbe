"""How devices say who they are: X-Device-ID, and their key in X-API-Key."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts.keys import digest_of
from devices.check_in.caller import Caller, note_key_use, valid_keys
from devices.enums import SPEAKING
from devices.errors import DeviceMayNotSpeakError
from devices.models import Device

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
        keys = valid_keys(Caller(device_id, digest_of(key)), now)
        credential = keys.select_related("device__site").first()
        if credential is None:
            raise exceptions.AuthenticationFailed(UNKNOWN_DEVICE)
        device = credential.device
        if device.lifecycle_state not in SPEAKING:
            raise DeviceMayNotSpeakError(device.lifecycle_state)
        note_key_use(credential, now)
        return device, credential

    def authenticate_header(self, request: Request) -> str:
        return AUTHENTICATE
