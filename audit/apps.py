from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db import connections
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "audit"

    def ready(self) -> None:
        from audit.checks import check_triggers  # loads models, which are there by now

        register(check_triggers, Tags.database)
        post_migrate.connect(_create_triggers, sender=self, dispatch_uid="audit.triggers")


def _create_triggers(using: str, **kwargs: Any) -> None:
    from audit import triggers

    triggers.create(connections[using])
