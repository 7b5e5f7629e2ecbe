"""Creating a job: a form, a preview that names its devices, and the job itself.

Until the preview was seen nothing is created; what was seen is what is created, and once however
often the preview is sent. When other devices are meant by then, because some came or went, the
preview is shown once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from devices.enums import LifecycleState
from devices.models import Device
from devices.querysets import DeviceQuerySet
from homepot.admin import REFUSALS, refusal_text
from homepot.admin.commands import MOST_AT_ONCE, NAMED
from homepot.admin.once import has_token, new_token, once, was_done
from homepot.bulk import any_of
from homepot.forms import is_key
from homepot.idempotency import Done, KeyReusedError
from homepot.steps import as_ranges, from_ranges
from jobs import services
from jobs.admin.forms import CONFIG_FIELDS, JobForm
from jobs.admin.labels import duration_text
from jobs.models import Job
from jobs.targets import ALL, Preview, Target, preview
from jobs.words import job_title
from sites.models import Site


@dataclass(frozen=True)
class Choice:
    """For which devices a page creates a job: one, those of a site, some from a list, or any.

    `is_open`: which ones is asked in the form itself.
    """

    site: Site | None = None
    device: Device | None = None
    pks: Sequence[int] | None = None
    is_open: bool = False

    @property
    def title(self) -> str:
        if self.is_open:
            return "New job"
        if self.device is not None:
            return f"New job for {self.device}"
        if self.site is not None:
            return f"New job for {self.site}"
        if self.pks is not None:
            count = len(self.pks)
            return f"New job for {count:,} chosen device{'' if count == 1 else 's'}"
        return "New job for all sites"

    @property
    def zone_name(self) -> str:
        """Whose clocks a time is on; UTC where there are several, or it is not known yet."""
        if self.is_open:
            return "UTC"
        place = self.device.site if self.device else self.site
        return place.timezone if place else "UTC"

    @property
    def has_segment(self) -> bool:
        return self.is_open or (self.device is None and self.pks is None)

    def hidden(self) -> list[tuple[str, Any]]:
        """What the form sends back of it."""
        if self.is_open:
            return [("choose", "1")]
        if self.device is not None:
            return [("device", self.device.pk)]
        if self.site is not None:
            return [("site", self.site.pk)]
        return [("chosen", as_ranges(self.pks))] if self.pks is not None else []

    def target(self, segment: str) -> Target:
        if self.pks is not None:
            return Target(chosen=len(self.pks))
        return Target(site=self.site, device=self.device, segment=segment)

    def devices(self, user: Any, segment: str) -> DeviceQuerySet:
        """Raises NoTargetError when the only one takes no work."""
        if self.pks is None:
            return self.target(segment).devices(user)
        return Device.objects.visible_to(user).filter(
            lifecycle_state=LifecycleState.ACTIVE, pk__in=any_of(list(self.pks))
        )


def choice_of(request: HttpRequest, given: QueryDict) -> Choice:
    """What `given`, a query or a form, names; raises Http404 and BadRequest."""
    if "chosen" in given:
        try:
            return Choice(pks=from_ranges(given.get("chosen", ""), MOST_AT_ONCE))
        except ValueError as error:
            raise BadRequest("What was chosen is not on the list.") from error
    if is_key(given.get("device", "")):
        devices = Device.objects.active().visible_to(request.user).select_related("site")
        return Choice(device=get_object_or_404(devices, pk=given["device"]))
    if is_key(given.get("site", "")):
        sites = Site.objects.active().visible_to(request.user)
        site = get_object_or_404(sites, pk=given["site"])
        return Choice(site=site, is_open="choose" in given)
    if pks := [int(key) for key in given.getlist("devices") if is_key(key)]:
        return Choice(pks=pks, is_open=True)
    return Choice(is_open=True)


def choice_like(job: Job, request: HttpRequest) -> Choice:
    """The devices that `job` was for, or what chose them where that still says it."""
    if job.device is not None:
        return Choice(device=job.device)
    if not job.target.keys() - {"site_id", "segment"}:
        return Choice(site=job.site, is_open=job.site is None)
    devices = Device.objects.visible_to(request.user).filter(executions__job=job)
    return Choice(pks=list(devices.values_list("pk", flat=True)))


def created_before(model_admin: Any, request: HttpRequest) -> HttpResponse | None:
    """What a preview led to that is sent again, also when what it was for is gone by now."""
    if not _is_confirmed(request):
        return None
    try:
        done = was_done(request)
    except KeyReusedError:
        return None  # its fields are others now: `order_page` says what is wrong with that
    return _created(model_admin, request, done) if done else None


def order_page(
    model_admin: Any, request: HttpRequest, choice: Choice, *, like: Job | None = None
) -> HttpResponse:
    """The form; its preview; or the job's page, once it was created.

    The form begins as the job `like` was.
    """
    is_sent = request.method == "POST" and "action" in request.POST and "step" in request.POST
    form = JobForm(
        request.POST if is_sent else None,
        user=request.user,
        zone_name=choice.zone_name,
        has_segment=choice.has_segment,
        has_place=choice.is_open,
        initial=_initial(like) or None,
    )
    if not is_sent or not form.is_valid() or request.POST["step"] == "change":
        return _page(model_admin, request, choice, form=form)
    segment = form.cleaned_data.get("segment", "")
    is_confirmed = _is_confirmed(request)
    try:
        devices = choice.devices(request.user, segment)
        seen = preview(devices, form.cleaned_data["action"], first=NAMED)
        told = f"{seen.total} {seen.lacking_permission} {seen.fingerprint}"
        if is_confirmed and seen.total and request.POST.get("seen") == told:
            create = partial(_create, request, choice, form, devices)
            return _created(model_admin, request, once(request, create))
    except REFUSALS as refusal:
        form.add_error(None, refusal_text(refusal))
        return _page(model_admin, request, choice, form=form)
    if not seen.total:
        form.add_error(None, "There is no active device among them.")
        return _page(model_admin, request, choice, form=form)
    has_changed = is_confirmed
    return _preview_page(model_admin, request, choice, form, seen, told, has_changed=has_changed)


def _is_confirmed(request: HttpRequest) -> bool:
    return request.POST.get("step") == "create" and has_token(request)


def _create(
    request: HttpRequest, choice: Choice, form: JobForm, devices: DeviceQuerySet
) -> dict[str, Any]:
    segment = form.cleaned_data.get("segment", "")
    actor: Any = request.user
    job = services.create_job(
        target=choice.target("" if segment == ALL else segment),
        devices=devices,
        actor=actor,
        **form.job_fields(),
    )
    return {"pk": job.pk}


def _created(model_admin: Any, request: HttpRequest, done: Done) -> HttpResponse:
    job = get_object_or_404(model_admin.get_queryset(request), pk=done.answer["pk"])
    title = job_title(job)
    messages.success(
        request,
        f"Created already: {title}." if done.is_replayed else f"Created: {title}.",
    )
    return redirect(model_admin.page_url(job))


def _page(model_admin: Any, request: HttpRequest, choice: Choice, **context: Any) -> HttpResponse:
    return TemplateResponse(
        request,
        "jobs/admin/order.html",
        {
            **model_admin.admin_site.each_context(request),
            "opts": Job._meta,
            "title": choice.title,
            "hidden": choice.hidden(),
            "form_url": reverse("admin:jobs_job_add"),
            "back": _back(choice),
            "config_fields": CONFIG_FIELDS,
            **context,
        },
    )


def _preview_page(
    model_admin: Any,
    request: HttpRequest,
    choice: Choice,
    form: JobForm,
    seen: Preview,
    told: str,
    *,
    has_changed: bool,
) -> HttpResponse:
    fields = form.cleaned_data
    sent = [
        (name, value)
        for name, values in request.POST.lists()
        if name in form.fields
        for value in values
    ]
    return _page(
        model_admin,
        request,
        choice,
        preview=seen,
        total=f"{seen.total:,}",
        more=f"{seen.total - len(seen.first):,}" if seen.total > len(seen.first) else "",
        hidden=[*choice.hidden(), *sent, ("seen", told), new_token()],
        has_changed=has_changed,
        scheduled_at=fields["scheduled"],
        zone_name=choice.zone_name,
        expires_after=duration_text(fields["ttl_seconds"]),
        fails_after=duration_text(fields["timeout_seconds"]),
        action_name=dict(form.fields["action"].choices)[fields["action"]],  # type: ignore[attr-defined]
        priority_name=dict(form.fields["priority"].choices)[fields["priority"]],  # type: ignore[attr-defined]
        fields=fields,
    )


def _back(choice: Choice) -> str:
    if choice.device is not None:
        return reverse("admin:devices_device_change", args=[choice.device.pk])
    if choice.site is not None:
        return reverse("admin:sites_site_change", args=[choice.site.pk])
    if choice.pks is not None:
        return reverse("admin:devices_device_changelist")
    return reverse("admin:jobs_job_changelist")


LIKE = (
    *("action", "segment", "description", "priority", "ttl_seconds", "timeout_seconds"),
    *("config_url", "config_version", "payload", "collapse_key"),
)


def _initial(like: Job | None) -> dict[str, Any]:
    return {name: getattr(like, name) for name in LIKE if getattr(like, name)} if like else {}
