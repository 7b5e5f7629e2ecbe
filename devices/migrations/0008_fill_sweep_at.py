from django.db import migrations
from django.db.models import F, Q

DEVICES_AT_ONCE = 2000


def fill(apps, schema_editor):
    """Look at each device when its status is due: in steps, each a transaction of its own."""
    devices = apps.get_model("devices", "Device").objects.using(schema_editor.connection.alias)
    unswept = devices.filter(~Q(status_due_at=None), sweep_at=None).order_by("pk")
    last = 0
    while pks := list(unswept.filter(pk__gt=last).values_list("pk", flat=True)[:DEVICES_AT_ONCE]):
        last = pks[-1]
        unswept.filter(pk__gte=pks[0], pk__lte=last).order_by().update(sweep_at=F("status_due_at"))


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("devices", "0007_add_sweep_at"),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
