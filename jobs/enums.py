"""Fixed vocabularies of jobs."""

from __future__ import annotations

from django.db import models

from devices.enums import Permission
from homepot.enums import Vocabulary


class JobAction(Vocabulary):
    PING = "ping"
    STATUS_REQUEST = "status_request"
    HEALTH_CHECK = "health_check"
    RESTART = "restart"
    RESTART_POS_APP = "restart_pos_app", "Restart POS app"
    SHUTDOWN = "shutdown"
    UPDATE_CONFIG = "update_config", "Update configuration"
    UPDATE_POS_PAYMENT_CONFIG = "update_pos_payment_config", "Update POS payment configuration"
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


class JobStatus(Vocabulary):
    PENDING = "pending"
    QUEUED = "queued"
    SENT = "sent"
    # The device has begun; staff know that as running.
    ACKNOWLEDGED = "acknowledged", "Running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class ExecutionStatus(Vocabulary):
    QUEUED = "queued"
    SENT = "sent"
    # The device has begun; staff know that as running.
    ACKNOWLEDGED = "acknowledged", "Running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


class ErrorCode(Vocabulary):
    """Why an execution failed or was cancelled, in our words; devices may send their own."""

    PERMISSION_MISSING = "permission_missing"
    NOT_ACKNOWLEDGED = "not_acknowledged"
    TIMED_OUT = "timed_out"
    DEVICE_SUSPENDED = "device_suspended"
    DEVICE_RETIRED = "device_retired"
    DEVICE_TRANSFERRED = "device_transferred"
    DEVICE_RE_ENROLLED = "device_re_enrolled"


OPEN = frozenset({ExecutionStatus.QUEUED, ExecutionStatus.SENT, ExecutionStatus.ACKNOWLEDGED})
FINAL = frozenset(ExecutionStatus) - OPEN
# What users can have devices do.
ORDERED_ACTIONS = [choice for choice in JobAction.choices if choice[0] != JobAction.DEVICE_TASK]
# How an execution ends when its device says so.
REPORTABLE = frozenset(
    {ExecutionStatus.COMPLETED, ExecutionStatus.FAILED, ExecutionStatus.CANCELLED}
)
REPORTABLE_CHOICES = [choice for choice in ExecutionStatus.choices if choice[0] in REPORTABLE]
# After these a retry makes sense.
RETRYABLE = frozenset({ExecutionStatus.FAILED, ExecutionStatus.EXPIRED})
OPEN_JOB = frozenset({JobStatus.PENDING, JobStatus.QUEUED, JobStatus.SENT, JobStatus.ACKNOWLEDGED})
# A device that completed one of these runs the job's config_version.
CONFIG_ACTIONS = frozenset({JobAction.UPDATE_CONFIG, JobAction.UPDATE_POS_PAYMENT_CONFIG})
# What a device that told its permissions must have granted.
NEEDED_PERMISSION: dict[str, Permission] = {
    JobAction.RESTART: Permission.COMMAND_EXECUTION,
    JobAction.RESTART_POS_APP: Permission.COMMAND_EXECUTION,
    JobAction.SHUTDOWN: Permission.COMMAND_EXECUTION,
    JobAction.UPDATE_CONFIG: Permission.FILESYSTEM_ACCESS,
    JobAction.UPDATE_POS_PAYMENT_CONFIG: Permission.FILESYSTEM_ACCESS,
    JobAction.UPDATE_FIRMWARE: Permission.ROOT_ACCESS,
}
