from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_add_site_memberships"),
    ]

    operations = [
        migrations.CreateModel(
            name="ThrottleCounter",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("scope", models.CharField(max_length=40)),
                ("key_digest", models.CharField(max_length=64)),
                ("window_end", models.DateTimeField()),
                ("uses", models.PositiveIntegerField()),
            ],
            options={
                "db_table": "throttle_counters",
                "indexes": [
                    models.Index(fields=["window_end"], name="throttle_counter_window")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=["scope", "key_digest"], name="throttle_counter_unique"
                    )
                ],
            },
        ),
    ]
