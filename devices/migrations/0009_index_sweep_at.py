from django.db import migrations, models

from homepot.migration_operations import AddCheckOnline, AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("devices", "0008_fill_sweep_at"),
    ]

    operations = [
        AddIndexOnline(
            model_name="device",
            index=models.Index(
                condition=models.Q(("sweep_at__isnull", False)),
                fields=["sweep_at"],
                name="device_sweep",
            ),
        ),
        AddCheckOnline(
            model_name="device",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status_due_at__isnull", True), ("sweep_at__isnull", True)),
                    models.Q(
                        ("status_due_at__isnull", False),
                        ("sweep_at__isnull", False),
                        ("sweep_at__lte", models.F("status_due_at")),
                    ),
                    _connector="OR",
                ),
                name="device_swept_when_due",
            ),
        ),
    ]
