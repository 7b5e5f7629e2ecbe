"""Sites as a spreadsheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from accounts.policy import Action, may
from audit import services as audit
from audit.enums import AuditEvent, Outcome
from homepot.enums import ImportState, LineVerdict
from homepot.identifiers import make_identifier
from homepot.models import DataImport, ImportLine
from homepot.spreadsheets.columns import Column
from homepot.spreadsheets.sheet import Judged, RefusedLine, Sheet, Told
from sites.models import Site
from sites.querysets import SiteQuerySet
from sites.serializers import SiteSerializer


class AuditedSheet(Sheet):
    """A list whose changes are told of by these events."""

    created_event: ClassVar[AuditEvent]
    updated_event: ClassVar[AuditEvent]

    def may_import(self, user: Any) -> bool:
        return may(user, Action.OPERATE)

    def record_changes(self, told: Sequence[Told], user: Any) -> None:
        for verdict, event in (
            (LineVerdict.CREATE, self.created_event),
            (LineVerdict.UPDATE, self.updated_event),
        ):
            targets = [(thing, changes) for thing, line, changes in told if line.verdict == verdict]
            audit.record_many(event=event, actor=user, targets=targets)

    def record_end(self, data_import: DataImport, user: Any) -> None:
        counts = {
            "created": data_import.created,
            "changed": data_import.updated,
            "unchanged": data_import.unchanged + data_import.already,
            "left_out": data_import.refused + data_import.failed,
        }
        metadata = {"import": data_import.pk, "filename": data_import.filename, **counts}
        is_whole = data_import.state == ImportState.APPLIED
        if not is_whole:
            metadata["reason"] = data_import.reason
            metadata["not_done"] = data_import.to_do - data_import.done
        told = ", ".join(f"{count:,} {word.replace('_', ' ')}" for word, count in counts.items())
        audit.record(
            event=AuditEvent.DATA_IMPORTED,
            actor=user,
            description=f"{self.name.capitalize()} from {data_import.filename}: {told}",
            metadata=metadata,
            outcome=Outcome.SUCCESS if is_whole else Outcome.FAILURE,
        )

    def record_export(self, format: str, filters: Mapping[str, Any], user: Any) -> None:
        audit.record(
            event=AuditEvent.DATA_EXPORTED,
            actor=user,
            description=f"{self.name.capitalize()} as {format}",
            metadata={"sheet": self.name, "format": format.lower(), "filters": filters},
        )


class SiteSheet(AuditedSheet):
    model = Site
    name = "sites"
    thing = "site"
    key = "site_id"
    fixed = ("site_id",)
    serializer_class = SiteSerializer
    created_event = AuditEvent.SITE_CREATED
    updated_event = AuditEvent.SITE_UPDATED
    columns = (
        Column("site_id", "Which site the line is about. Empty, or not known yet: a new one."),
        Column("name", "A new site needs one."),
        Column("description", empty=""),
        Column("location", "Where it is, for people.", empty=""),
        Column("timezone", "Such as Europe/Berlin; UTC for a new site without one."),
        Column("latitude", "Degrees from -90 to 90.", empty=None),
        Column("longitude", "Degrees from -180 to 180.", empty=None),
        Column("is_active", is_taken=False),
        Column("created_at", is_taken=False),
    )

    def visible_to(self, user: Any) -> SiteQuerySet:
        return Site.objects.visible_to(user)

    def make_key(self, given: Mapping[str, Any]) -> str:
        return make_identifier("site")

    def check(self, lines: Sequence[Judged], user: Any, claims: dict[Any, Any]) -> None:
        if not may(user, Action.CREATE_SITES):
            for line in lines:
                if line.verdict == LineVerdict.CREATE:
                    line.refuse("Your account is for selected sites and cannot add one.")

    def lock(self, lines: Sequence[ImportLine], user: Any) -> Mapping[str, Any]:
        new = [line for line in lines if line.verdict == LineVerdict.CREATE]
        taken = self.all_keys(line.key for line in new)
        may_create = may(user, Action.CREATE_SITES)
        things: dict[str, Any] = {}
        for line in new:
            if line.key in taken or not may_create:
                things[line.key] = RefusedLine(f"The site id {line.key} is taken meanwhile.")
            else:
                things[line.key] = Site(site_id=line.key, **self.new_values(line))
        keys = [line.key for line in lines if line.verdict == LineVerdict.UPDATE]
        stored = self.visible_to(user).active().filter(site_id__in=keys)
        locked = stored.select_for_update(no_key=True).order_by("pk")
        return things | {site.site_id: site for site in locked}


SITES = SiteSheet()
