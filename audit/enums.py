"""Fixed vocabularies of the audit log."""

from __future__ import annotations

from django.db import models

from homepot.enums import Vocabulary


class AuditEvent(Vocabulary):
    """Everything the audit log can tell, as `<thing>_<past participle>`."""

    USER_CREATED = "user_created"
    USER_UPDATED = "user_updated"
    USER_DELETED = "user_deleted"
    USER_ROLE_CHANGED = "user_role_changed"
    USER_SITES_CHANGED = "user_sites_changed"
    USER_SIGNED_IN = "user_signed_in"
    USER_SIGNED_OUT = "user_signed_out"
    SIGN_IN_REFUSED = "sign_in_refused", "Sign-in refused"
    ACCOUNT_LOCKED = "account_locked"
    ACCOUNT_UNLOCKED = "account_unlocked"
    PASSWORD_CHANGED = "password_changed"
    API_KEY_CREATED = "api_key_created", "API key created"
    API_KEY_REVOKED = "api_key_revoked", "API key revoked"
    PERMISSION_REFUSED = "permission_refused"

    SITE_CREATED = "site_created"
    SITE_UPDATED = "site_updated"
    SITE_RETIRED = "site_retired"
    ENROLMENT_KEY_CREATED = "enrolment_key_created"
    ENROLMENT_KEY_REVOKED = "enrolment_key_revoked"

    DEVICE_CREATED = "device_created"
    DEVICE_ENROLLED = "device_enrolled"
    DEVICE_RE_ENROLLED = "device_re_enrolled", "Device re-enrolled"
    DEVICE_UPDATED = "device_updated"
    DEVICE_SUSPENDED = "device_suspended"
    DEVICE_RESUMED = "device_resumed"
    DEVICE_RETIRED = "device_retired"
    DEVICE_TRANSFERRED = "device_transferred"
    DEVICE_PERMISSIONS_CHANGED = "device_permissions_changed"
    DEVICE_KEY_CREATED = "device_key_created"
    DEVICE_KEYS_REVOKED = "device_keys_revoked"
    MAINTENANCE_STARTED = "maintenance_started"
    MAINTENANCE_ENDED = "maintenance_ended"

    JOB_CREATED = "job_created"
    JOB_STARTED = "job_started"
    JOB_COMPLETED = "job_completed"
    JOB_FAILED = "job_failed"
    # Devices are still to stop; cancelled is what follows.
    JOB_CANCEL_REQUESTED = "job_cancel_requested"
    JOB_CANCELLED = "job_cancelled"
    JOB_EXPIRED = "job_expired"
    JOB_RETRIED = "job_retried"
    JOB_SUPERSEDED = "job_superseded"
    LATE_REPORT_REFUSED = "late_report_refused"

    DATA_IMPORTED = "data_imported"
    DATA_EXPORTED = "data_exported"
    AUDIT_PRUNED = "audit_pruned"
    ORIGINAL_EVENT_IMPORTED = "original_event_imported"


class ActorKind(models.TextChoices):
    USER = "user"
    DEVICE = "device"
    SYSTEM = "system"


class Outcome(models.TextChoices):
    SUCCESS = "success"
    DENIED = "denied"
    FAILURE = "failure"


class Severity(models.TextChoices):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"
