"""How devices say who they are: X-Device-ID, and their key in X-API-Key."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.utils import timezone
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts.keys import digest_of
from devices.check_in import note_key_use
from devices.enums import SPEAKING
from devices.models import Device, DeviceCredential

DEVICE_ID_HEADER = "X-Device-ID"
KEY_HEADER = "X-API-Key"
AUTHENTICATE = f'ApiKey realm="device", header="{KEY_HEADER}"'
# The same for an unknown id and a wrong key: nobody learns which ids exist.
UNKNOWN_DEVICE = "The device id or its key is not valid."
NOT_SPEAKING = "This device is {}; it may not speak."


class DeviceAuthentication(authentication.BaseAuthentication):
    """One statement, and one more when the use of the key is to be noted.

    Suspended and retired devices are known, but refused: 403.
    """

    def authenticate(self, request: Request) -> tuple[Device, Any] | None:
        device_id = request.headers.get(DEVICE_ID_HEADER)
        key = request.headers.get(KEY_HEADER)
        if not device_id or not key:
            return None
        credential = (
            DeviceCredential.objects.filter(
                Q(expires_at=None) | Q(expires_at__gt=timezone.now()),
                key_digest=digest_of(key),
                device__device_id=device_id,
                revoked_at=None,
            )
            .select_related("device__site")
            .first()
        )
        if credential is None:
            raise exceptions.AuthenticationFailed(UNKNOWN_DEVICE)
        device = credential.device
        if device.lifecycle_state not in SPEAKING:
            raise exceptions.PermissionDenied(NOT_SPEAKING.format(device.lifecycle_state))
        note_key_use(credential, timezone.now())
        return device, credential

    def authenticate_header(self, request: Request) -> str:
        return AUTHENTICATE
