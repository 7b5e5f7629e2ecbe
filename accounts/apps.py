from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        # Registers itself with drf-spectacular by being imported.
        from accounts import schema  # noqa: F401
