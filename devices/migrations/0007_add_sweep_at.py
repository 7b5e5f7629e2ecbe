from django.db import migrations, models

from homepot.migration_operations import ReplaceFunction


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0006_use_labels_in_sentence_case"),
    ]

    operations = [
        migrations.AddField(
            model_name="device",
            name="sweep_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        # Databases that were made before have it without the column.
        ReplaceFunction("check_in_1", folder="devices/check_in"),
    ]
