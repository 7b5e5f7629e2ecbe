from django.db import migrations

from homepot.migration_operations import CreateFunction


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0004_add_newest_event_index"),
    ]

    operations = [CreateFunction("check_in_1", folder="devices/check_in")]
