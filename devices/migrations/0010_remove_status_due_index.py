from django.db import migrations

# In percent: how full a page is before it takes no more new devices.
FILLFACTOR = 90


def leave_room(apps, schema_editor):
    """On PostgreSQL a row that finds room on its page leaves its entries in indexes alone.

    Others read and write meanwhile. Pages that are full already find room as rows are updated.
    """
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE devices SET (fillfactor = {FILLFACTOR})")


def leave_none(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE devices RESET (fillfactor)")


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0009_index_sweep_at"),
    ]

    operations = [
        migrations.RunPython(leave_room, leave_none),
        migrations.RemoveIndex(model_name="device", name="device_status_due"),
    ]
