from django.db import migrations, models

from homepot.migration_operations import CreateFunction


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
        # It was made before without the column.
        CreateFunction("check_in_1", folder="devices/check_in"),
    ]
