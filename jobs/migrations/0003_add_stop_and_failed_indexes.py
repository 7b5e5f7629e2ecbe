from django.db import migrations, models

from homepot.migration_operations import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("jobs", "0002_add_executions")]

    operations = [
        AddIndexOnline(
            model_name="jobexecution",
            index=models.Index(
                fields=["device"],
                condition=models.Q(cancel_requested_at__isnull=False, offer_at__isnull=False),
                name="execution_to_stop",
            ),
        ),
        AddIndexOnline(
            model_name="jobexecution",
            index=models.Index(
                fields=["finished_at"],
                condition=models.Q(status="failed"),
                name="execution_failed",
            ),
        ),
    ]
