"""How the OpenAPI document describes devices as callers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from devices.protocol.authentication import DEVICE_ID_HEADER, KEY_HEADER


class DeviceScheme(OpenApiAuthenticationExtension):
    target_class = "devices.protocol.authentication.DeviceAuthentication"
    name = ["deviceId", "deviceKey"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {"type": "apiKey", "in": "header", "name": DEVICE_ID_HEADER},
            {"type": "apiKey", "in": "header", "name": KEY_HEADER},
        ]
