from __future__ import annotations

from django.apps import AppConfig


class DevicesConfig(AppConfig):
    name = "devices"

    def ready(self) -> None:
        # Registers itself with drf-spectacular by being imported.
        from devices.protocol import schema  # noqa: F401
