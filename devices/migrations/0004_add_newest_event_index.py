from django.db import migrations, models

from homepot.migration_operations import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("devices", "0003_add_rollups")]

    operations = [
        AddIndexOnline(
            model_name="deviceevent",
            index=models.Index(fields=["-at", "-id"], name="device_event_newest"),
        ),
    ]
