from django.db import migrations, models

from homepot.migration_operations import ReplaceCheckOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("audit", "0006_use_labels_in_sentence_case"),
    ]

    operations = [
        ReplaceCheckOnline(
            model_name="auditlog",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "event_type__one_of",
                        [
                            "user_created",
                            "user_updated",
                            "user_deleted",
                            "user_role_changed",
                            "user_sites_changed",
                            "user_signed_in",
                            "user_signed_out",
                            "sign_in_refused",
                            "account_locked",
                            "account_unlocked",
                            "password_changed",
                            "api_key_created",
                            "api_key_revoked",
                            "permission_refused",
                            "site_created",
                            "site_updated",
                            "site_retired",
                            "enrolment_key_created",
                            "enrolment_key_revoked",
                            "device_created",
                            "device_enrolled",
                            "device_re_enrolled",
                            "device_updated",
                            "device_suspended",
                            "device_resumed",
                            "device_retired",
                            "device_transferred",
                            "device_permissions_changed",
                            "device_key_created",
                            "device_keys_revoked",
                            "maintenance_started",
                            "maintenance_ended",
                            "job_created",
                            "job_started",
                            "job_completed",
                            "job_failed",
                            "job_cancel_requested",
                            "job_cancelled",
                            "job_expired",
                            "job_retried",
                            "job_superseded",
                            "late_report_refused",
                            "data_imported",
                            "data_exported",
                            "audit_pruned",
                            "original_event_imported",
                        ],
                    )
                ),
                name="audit_event_type_known",
            ),
        ),
        ReplaceCheckOnline(
            model_name="auditlog",
            constraint=models.CheckConstraint(
                condition=models.Q(("actor_kind__one_of", ["user", "device", "system"])),
                name="audit_actor_kind_known",
            ),
        ),
        ReplaceCheckOnline(
            model_name="auditlog",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome__one_of", ["success", "denied", "failure"])),
                name="audit_outcome_known",
            ),
        ),
        ReplaceCheckOnline(
            model_name="auditlog",
            constraint=models.CheckConstraint(
                condition=models.Q(("severity__one_of", ["info", "warning", "error", "critical"])),
                name="audit_severity_known",
            ),
        ),
    ]
