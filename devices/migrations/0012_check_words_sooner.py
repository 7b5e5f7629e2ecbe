from django.db import migrations, models

from homepot.migration_operations import ReplaceCheckOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("devices", "0011_index_reporting_gateways_alone"),
    ]

    operations = [
        ReplaceCheckOnline(
            model_name="device",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "device_type__one_of",
                        [
                            "pos_terminal",
                            "iot_sensor",
                            "industrial_controller",
                            "gateway",
                            "kiosk",
                            "printer",
                            "unknown",
                        ],
                    )
                ),
                name="device_type_known",
            ),
        ),
        ReplaceCheckOnline(
            model_name="device",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__one_of", ["unknown", "online", "offline", "error", "maintenance"])
                ),
                name="device_status_known",
            ),
        ),
        ReplaceCheckOnline(
            model_name="device",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("lifecycle_state__one_of", ["pending", "active", "suspended", "retired"])
                ),
                name="device_lifecycle_state_known",
            ),
        ),
    ]
