"""Devices as a spreadsheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audit.enums import AuditEvent
from devices.enums import DeviceType, LifecycleState
from devices.models import Device
from devices.querysets import DeviceQuerySet
from devices.serializers import DeviceSerializer
from homepot.enums import LineVerdict
from homepot.identifiers import make_identifier
from homepot.models import ImportLine
from homepot.spreadsheets.columns import Column, json_object
from homepot.spreadsheets.sheet import Judged, RefusedLine
from sites.models import Site
from sites.sheet import AuditedSheet

TYPES = ", ".join(DeviceType.values)


class DeviceLineSerializer(DeviceSerializer):
    """What a line may give of a device besides its site."""

    site_id = None  # type: ignore[assignment]

    class Meta(DeviceSerializer.Meta):
        fields = ["device_id", "name", "device_type", "ip_address", "mac_address", "config"]


class DeviceSheet(AuditedSheet):
    model = Device
    name = "devices"
    thing = "device"
    key = "device_id"
    fixed = ("device_id", "site_id")
    new_need = (
        "New devices are pending and have no key yet: choose them on the list and rotate their "
        "keys, which are shown once."
    )
    serializer_class = DeviceLineSerializer
    created_event = AuditEvent.DEVICE_CREATED
    updated_event = AuditEvent.DEVICE_UPDATED
    columns = (
        Column("device_id", "Which device the line is about. Empty, or not known yet: a new one."),
        Column("site_id", "Where a new device stands.", source="site__site_id"),
        Column("name", "A new device needs one, and no two of a site have the same."),
        Column("device_type", f"One of {TYPES}."),
        Column("ip_address", "IPv4 or IPv6.", empty=None),
        Column("mac_address", "Such as 00:1a:2b:3c:4d:5e.", empty=""),
        Column("config", "A JSON object, which the device is given.", empty={}, parse=json_object),
        Column("status", source="current_status", is_taken=False),
        Column("status_reason", source="current_reason", is_taken=False),
        Column("status_since", source="current_since", is_taken=False),
        Column("last_seen", is_taken=False),
        Column("lifecycle_state", is_taken=False),
        Column("firmware_version", is_taken=False),
        Column("config_version", is_taken=False),
        Column("desired_config_version", is_taken=False),
        Column("created_at", is_taken=False),
    )

    def visible_to(self, user: Any) -> DeviceQuerySet:
        return Device.objects.visible_to(user)

    def make_key(self, given: Mapping[str, Any]) -> str:
        return make_identifier(str(given.get("device_type", "device")).replace("_", "-"))

    def judge_line(self, line: Judged) -> None:
        site_id = line.given.get("site_id", "")
        if line.stored is not None and site_id not in ("", line.stored.values["site_id"]):
            raise RefusedLine(
                f"It stands at {line.stored.values['site_id']}: transfer it to move it."
            )
        super().judge_line(line)
        if line.verdict == LineVerdict.CREATE:
            if not site_id:
                raise RefusedLine("site_id: Say at which site the new device stands.")
            line.changes = {"site_id": (None, site_id), **line.changes}

    def check(self, lines: Sequence[Judged], user: Any, claims: dict[Any, Any]) -> None:
        new = [line for line in lines if line.verdict == LineVerdict.CREATE]
        named = Site.objects.filter(site_id__in={line.given["site_id"] for line in new})
        sites = dict(named.visible_to(user).values_list("site_id", "is_active"))
        for line in new:
            site_id = line.given["site_id"]
            if site_id not in sites:
                line.refuse(f"There is no site {site_id}, or it is not one of yours.")
            elif not sites[site_id]:
                line.refuse(f"Site {site_id} is retired.")
        self._check_names(lines, claims)

    def _check_names(self, lines: Sequence[Judged], claims: dict[Any, Any]) -> None:
        """Refuse names that another device of the site has, or an earlier line gives one.

        `claims` says which line of the file took a name, and with None that one gave it up.
        """
        naming = {
            line.number: (_site_of(line), line.changes["name"][1])
            for line in lines
            if "name" in line.changes
        }
        rows = _in_use().filter(
            site__site_id__in={site_id for site_id, _ in naming.values()},
            name__in={name for _, name in naming.values()},
        )
        owners = {
            (site_id, name): pk
            for site_id, name, pk in rows.values_list("site__site_id", "name", "pk")
        }
        for line in lines:
            if (place := naming.get(line.number)) is None:
                continue
            claimed_by = claims.get(place, 0)
            own_pk = line.stored and line.stored.pk
            if claimed_by:
                line.refuse(f"Line {claimed_by} gives the name {place[1]!r} at the same site.")
            elif claimed_by == 0 and owners.get(place, own_pk) != own_pk:
                line.refuse(f"The site has another device named {place[1]!r}.")
            else:
                claims[place] = line.number
                if line.stored:
                    claims.setdefault((place[0], line.stored.values["name"]), None)

    def lock(self, lines: Sequence[ImportLine], user: Any) -> Mapping[str, Any]:
        new = [line for line in lines if line.verdict == LineVerdict.CREATE]
        taken = self.all_keys(line.key for line in new)
        # Sites before devices: the order in which everything locks.
        named = Site.objects.visible_to(user).active()
        named = named.filter(site_id__in={line.changes["site_id"][1] for line in new})
        sites = {site.site_id: site for site in named.select_for_update(no_key=True).order_by("pk")}
        keys = [line.key for line in lines if line.verdict == LineVerdict.UPDATE]
        stored = self.visible_to(user).active().filter(device_id__in=keys)
        locked = stored.select_for_update(no_key=True).order_by("pk")
        things: dict[str, Any] = {device.device_id: device for device in locked}
        for line in new:
            site = sites.get(line.changes["site_id"][1])
            if line.key in taken:
                things[line.key] = RefusedLine(f"The device id {line.key} is taken meanwhile.")
            elif site is None:
                things[line.key] = RefusedLine("The site was retired meanwhile, or is not yours.")
            else:
                things[line.key] = Device(device_id=line.key, site=site, **self.new_values(line))
        self._refuse_taken_names(lines, things)
        return things

    def _refuse_taken_names(self, lines: Sequence[ImportLine], things: dict[str, Any]) -> None:
        naming = {
            line.key: (things[line.key].site_id, line.changes["name"][1])
            for line in lines
            if "name" in line.changes and isinstance(things.get(line.key), Device)
        }
        rows = _in_use().filter(
            site__in={site_pk for site_pk, _ in naming.values()},
            name__in={name for _, name in naming.values()},
        )
        owners = {
            (site_pk, name): device_id
            for site_pk, name, device_id in rows.values_list("site", "name", "device_id")
        }
        for key, place in naming.items():
            # One that is renamed beside it gives its name up.
            if (owner := owners.get(place, key)) not in naming:
                things[key] = RefusedLine(f"{owner} has the name {place[1]!r} meanwhile.")


def _site_of(line: Judged) -> str:
    return str(line.stored.values["site_id"] if line.stored else line.given["site_id"])


def _in_use() -> DeviceQuerySet:
    """The devices whose names are taken."""
    return Device.objects.exclude(lifecycle_state=LifecycleState.RETIRED).order_by()


DEVICES = DeviceSheet()
