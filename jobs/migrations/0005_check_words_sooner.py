from django.db import migrations, models

from homepot.migration_operations import ReplaceCheckOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("jobs", "0004_use_labels_in_sentence_case"),
    ]

    operations = [
        ReplaceCheckOnline(
            model_name="jobexecution",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "status__one_of",
                        [
                            "queued",
                            "sent",
                            "acknowledged",
                            "completed",
                            "failed",
                            "cancelled",
                            "expired",
                            "superseded",
                        ],
                    )
                ),
                name="execution_status_known",
            ),
        ),
        ReplaceCheckOnline(
            model_name="jobexecution",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("due_at", None),
                        ("finished_at__isnull", False),
                        ("offer_at", None),
                        (
                            "status__one_of",
                            ["cancelled", "completed", "expired", "failed", "superseded"],
                        ),
                    ),
                    models.Q(
                        models.Q(
                            (
                                "status__one_of",
                                ["cancelled", "completed", "expired", "failed", "superseded"],
                            ),
                            _negated=True,
                        ),
                        ("due_at__isnull", False),
                        ("finished_at", None),
                    ),
                    _connector="OR",
                ),
                name="execution_final_or_due",
            ),
        ),
        ReplaceCheckOnline(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "action__one_of",
                        [
                            "ping",
                            "status_request",
                            "health_check",
                            "restart",
                            "restart_pos_app",
                            "shutdown",
                            "update_config",
                            "update_pos_payment_config",
                            "update_firmware",
                            "request_permission",
                            "device_task",
                        ],
                    )
                ),
                name="job_action_known",
            ),
        ),
        ReplaceCheckOnline(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "status__one_of",
                        [
                            "pending",
                            "queued",
                            "sent",
                            "acknowledged",
                            "completed",
                            "failed",
                            "cancelled",
                            "expired",
                        ],
                    )
                ),
                name="job_status_known",
            ),
        ),
    ]
