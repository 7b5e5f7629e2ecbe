"""For which devices a job is: one device, a segment of a site or of all, a list, a filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import (
    BigIntegerField,
    BooleanField,
    Case,
    Count,
    F,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone

from devices.enums import DeviceType, LifecycleState
from devices.filters import DeviceFilter
from devices.models import Device
from devices.querysets import DeviceQuerySet
from homepot.bulk import any_of
from homepot.compiled import Asked, Question
from homepot.rows import pk_of
from jobs.enums import NEEDED_PERMISSION
from jobs.errors import NoTargetError
from sites.models import Site

ALL = "all"
# The name of each named part of a site's devices, such as "pos-terminals".
SEGMENTS: dict[str, DeviceType | None] = {ALL: None} | {
    f"{value.replace('_', '-')}s": DeviceType(value) for value in DeviceType.values
}
# How many are named when devices cannot take work.
NAMED_AT_MOST = 10


@dataclass(frozen=True)
class Target:
    """What was asked for. Without anything it is every device that the caller may know of.

    `site_id` is a site that nobody has looked for, which is found together with its devices.
    `chosen` is how many were picked from a list, which are then given beside it.
    """

    site: Site | None = None
    site_id: str = ""
    device: Device | None = None
    segment: str = ""
    device_ids: Sequence[str] | None = None
    # Query parameters of the list of devices, and `site_ids`.
    filter: Mapping[str, Any] = field(default_factory=dict)
    chosen: int = 0

    def devices(self, user: Any) -> DeviceQuerySet:
        """The active devices that are meant, of those that `user` may know of (None: of all).

        Raises NoTargetError for devices that are named one by one and not active.
        """
        asked = self._asked(user)
        if self.device is not None:
            _refuse_inactive(_known(user).filter(pk=self.device.pk))
            return _active(asked, ALL, self._place).filter(pk=self.device.pk)
        if self.device_ids is not None:
            named = any_of(list(self.device_ids))
            _refuse_inactive(_known(user).filter(device_id__in=named))
            return _active(asked, ALL, self._place).filter(device_id__in=named)
        active = _active(asked, self.segment, self._place)
        return _filtered(active, self.filter) if self.filter else active

    def work(self, user: Any, action: str, devices: DeviceQuerySet | None = None) -> Question:
        """`devices`, or those that are given, with what a job with `action` wants to know of them.

        The columns are `device_pk`, `place` (its site) and `is_lacking`. Raises as `devices` does.
        """
        if devices is None and not (self.device or self.filter or self.device_ids is not None):
            kind = (self.segment, self._place)
            return Question(self._asked(user), _active, kind).refined(_for_work, action)
        chosen = self.devices(user) if devices is None else devices
        return work_of(chosen, action)

    def _asked(self, user: Any) -> Asked:
        site = self.site.pk if self.site else self.site_id
        return Asked(user, timezone.now(), {"site": site})

    @property
    def _place(self) -> str:
        """How `_asked` names the site."""
        return "pk" if self.site else "site_id" if self.site_id else ""

    def as_json(self) -> dict[str, Any]:
        """How the devices were chosen, for people who look later."""
        chosen = {
            "site_id": self.site.site_id if self.site else self.site_id,
            "device_id": self.device and self.device.device_id,
            "segment": self.segment,
            "filter": {name: value for name, value in self.filter.items() if name != "site_ids"},
            # Which ones is in the executions, of which everybody sees their own.
            "sites": len(self.filter.get("site_ids", ())),
            "chosen": self.chosen or len(self.device_ids or ()),
        }
        return {name: value for name, value in chosen.items() if value}


def work_of(devices: DeviceQuerySet, action: str) -> Question:
    """As `Target.work`, of any `devices`."""
    return Question(Asked(None, None), lambda asked: _for_work(asked, devices, action), (), False)


def _for_work(asked: Asked, devices: DeviceQuerySet, action: str) -> QuerySet[Any, Any]:
    # Part of a statement with others, PostgreSQL would take a parameter for text.
    is_lacking = Cast(lacks_permission(action), BooleanField())
    columns = {"device_pk": F("pk"), "place": F("site_id"), "is_lacking": is_lacking}
    return devices.order_by("pk").annotate(**columns).values_list(*columns)


def _known(user: Any) -> DeviceQuerySet:
    return Device.objects.all() if user is None else Device.objects.visible_to(user)


def _active(asked: Asked, segment: str, place: str) -> DeviceQuerySet:
    active = _known(asked.user).filter(lifecycle_state=LifecycleState.ACTIVE)
    if place == "pk":
        active = active.filter(site=asked["site"])
    elif place == "site_id":
        site = Site.objects.active().visible_to(asked.user).filter(site_id=asked["site"])
        active = active.filter(site=pk_of(site.order_by()))
    if device_type := SEGMENTS.get(segment):
        active = active.filter(device_type=device_type)
    return active


def _filtered(devices: DeviceQuerySet, given: Mapping[str, Any]) -> DeviceQuerySet:
    parameters = dict(given)
    if site_ids := parameters.pop("site_ids", None):
        devices = devices.filter(site__site_id__in=site_ids)
    return DeviceFilter(parameters, devices.with_status(timezone.now())).qs


def _refuse_inactive(devices: QuerySet[Device]) -> None:
    inactive = (
        devices.exclude(lifecycle_state=LifecycleState.ACTIVE)
        .order_by("device_id")
        .values_list("device_id", "lifecycle_state")[: NAMED_AT_MOST + 1]
    )
    if names := [f"{device_id} is {state}" for device_id, state in inactive]:
        more = ", and more" if len(names) > NAMED_AT_MOST else ""
        raise NoTargetError(
            f"Only active devices take work: {', '.join(names[:NAMED_AT_MOST])}{more}."
        )


def lacks_permission(action: str) -> Case | Value:
    """Whether a device has not granted what `action` needs, as an expression.

    Devices that never told of permissions are asked for none.
    """
    permission = NEEDED_PERMISSION.get(action)
    if permission is None:
        return Value(False)
    return Case(
        When(Q(permissions={}) | Q(**{f"permissions__{permission}": True}), then=Value(False)),
        default=Value(True),
    )


@dataclass(frozen=True)
class Preview:
    """What a job would do. `first` are some of the devices, by name.

    `fingerprint` differs when other devices are meant.
    """

    total: int
    fingerprint: int
    lacking_permission: int
    sites: int
    first: list[Device]


def preview(devices: DeviceQuerySet, action: str, *, first: int = 20) -> Preview:
    """Who would get a job with this `action`; two statements."""
    counts = (
        devices.order_by()
        .annotate(lacks=lacks_permission(action))
        .aggregate(
            total=Count("pk"),
            fingerprint=Coalesce(Sum(F("pk") * F("pk")), 0, output_field=BigIntegerField()),
            lacking_permission=Count("pk", filter=Q(lacks=True)),
            sites=Count("site", distinct=True),
        )
    )
    named = devices.select_related("site").order_by("name", "pk")[:first]
    return Preview(**counts, first=list(named))
