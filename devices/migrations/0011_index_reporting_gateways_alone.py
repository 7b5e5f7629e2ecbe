import django.db.models.deletion
from django.db import migrations, models

from homepot.migration_operations import AddIndexOnline

KEPT = "health_check_reported_by"


def remove_full_index(apps, schema_editor):
    """Of a reference that few rows have. The reference itself is left alone."""
    model = apps.get_model("devices", "HealthCheck")
    found = schema_editor._constraint_names(model, ["reported_by_id"], index=True, exclude={KEPT})
    for name in found:
        schema_editor.execute(schema_editor._delete_index_sql(model, name))


def make_full_index(apps, schema_editor):
    model = apps.get_model("devices", "HealthCheck")
    field = model._meta.get_field("reported_by")
    schema_editor.execute(schema_editor._create_index_sql(model, fields=[field]))


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("devices", "0010_remove_status_due_index"),
    ]

    operations = [
        AddIndexOnline(
            model_name="healthcheck",
            index=models.Index(
                condition=models.Q(("reported_by__isnull", False)),
                fields=["reported_by"],
                name=KEPT,
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(remove_full_index, make_full_index)],
            state_operations=[
                migrations.AlterField(
                    model_name="healthcheck",
                    name="reported_by",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="devices.device",
                    ),
                ),
            ],
        ),
    ]
