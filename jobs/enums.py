"""Fixed vocabularies of jobs."""

from __future__ import annotations

from django.db import models


class JobAction(models.TextChoices):
    PING = "ping"
    STATUS_REQUEST = "status_request"
    HEALTH_CHECK = "health_check"
    RESTART = "restart"
    RESTART_POS_APP = "restart_pos_app", "Restart POS App"
    SHUTDOWN = "shutdown"
    UPDATE_CONFIG = "update_config"
    UPDATE_POS_PAYMENT_CONFIG = "update_pos_payment_config", "Update POS Payment Config"
    UPDATE_FIRMWARE = "update_firmware"
    REQUEST_PERMISSION = "request_permission"
    # Work a device started by itself; users cannot create it.
    DEVICE_TASK = "device_task"


class JobPriority(models.IntegerChoices):
    """A number in the database, so that it sorts; its name, in lower case, elsewhere."""

    LOW = 10, "low"
    NORMAL = 20, "normal"
    HIGH = 30, "high"
    CRITICAL = 40, "critical"


class JobStatus(models.TextChoices):
    PENDING = "pending"
    QUEUED = "queued"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
