"""What the admin pages of all apps share.

A form's changes go to a service and what it refuses comes back on the form; the lists show
the rows that the reader may see; the history of a thing is its part of the audit log.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import (
    NON_FIELD_ERRORS,
    BadRequest,
    PermissionDenied,
    ValidationError,
)
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError
from django.db.models import Field, ForeignKey, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from unfold import admin as unfold_admin
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    DropdownFilter,
    RangeDateFilter,
)
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.paginator import InfinitePaginator
from unfold.utils import parse_date_str
from unfold.views import ChangeList as UnfoldChangeList

from homepot.errors import DomainError
from homepot.forms import MAX_DIGITS, KeyAutocomplete, is_key

# What a service, or the database under it, says no with.
Refusal = DomainError | ValidationError | IntegrityError
REFUSALS = (DomainError, ValidationError, IntegrityError)
# Digests and hashes: a lookup such as ?api_key__startswith= would spell them out.
SECRET_FIELDS = frozenset({"password", "api_key", "enrolment_key", "key_digest"})


def refusal_messages(refusal: Refusal) -> dict[str, list[str]]:
    """What `refusal` says, by field; NON_FIELD_ERRORS for what is about none."""
    match refusal:
        case DomainError():
            return refusal.errors or {NON_FIELD_ERRORS: [str(refusal)]}
        case ValidationError() if hasattr(refusal, "error_dict"):
            return refusal.message_dict
        case ValidationError():
            return {NON_FIELD_ERRORS: refusal.messages}
    return {NON_FIELD_ERRORS: ["This clashes with what is stored. Has someone else changed it?"]}


def refusal_text(refusal: Refusal) -> str:
    """What `refusal` says, in one line."""
    return " ".join(line for lines in refusal_messages(refusal).values() for line in lines)


def json_text(value: Any) -> SafeString | str:
    """A JSON value, indented, as text."""
    if value in (None, {}, []):
        return "-"
    text = json.dumps(value, indent=2, ensure_ascii=False, cls=DjangoJSONEncoder)
    return format_html('<pre class="homepot-json">{}</pre>', text)


def label(text: str, colours: Mapping[str, str]) -> SafeString:
    """A word on the colour that `colours` holds for it, grey without one."""
    context = {"text": text, "type": colours.get(text)}
    return render_to_string("unfold/helpers/label.html", context)


def time_text(moment: datetime | None, form: str = "SHORT_DATETIME_FORMAT") -> SafeString:
    """A time to the minute, on one line."""
    text = "-" if moment is None else date_format(localtime(moment), form)
    return format_html('<span class="whitespace-nowrap">{}</span>', text)


def second_text(moment: datetime | None) -> SafeString:
    """A time to the second, on one line."""
    return time_text(moment, "DATETIME_FORMAT")


def list_link(name: str, text: str, **parameters: Any) -> SafeString:
    """A link to the list `name`, "devices_device", filtered by `parameters`."""
    url = f"{reverse(f'admin:{name}_changelist')}?{urlencode(parameters)}"
    return format_html('<a class="text-link" href="{}">{}</a>', url, text)


def once(show: Callable[[Any, Any], str]) -> Callable[[Any, Any], str]:
    """Keep what a field's method says of a row: unfold asks for it several times a page."""

    @wraps(show)
    def shown(model_admin: Any, row: Any) -> str:
        kept = row.__dict__.setdefault("_shown", {})
        if show.__name__ not in kept:
            kept[show.__name__] = show(model_admin, row)
        return str(kept[show.__name__])

    return shown


class RelatedFilter(AutocompleteSelectFilter):
    """Rows of one site, device or account, chosen by typing a part of its name."""

    def choices(self, changelist: Any) -> Iterable[Any]:
        for choice in super().choices(changelist):
            # The one chosen is shown by name, so it must be one that the reader may know of.
            field = choice["form"].fields[self.lookup_kwarg]
            field.queryset = field.queryset.visible_to(self.request.user)
            yield choice


def fits_a_column(value: str) -> bool:
    """Whether no number in `value`, "1" or "1,2", is larger than keys are; SQLite would crash."""
    parts = (part.lstrip("-") for part in value.split(","))
    return all(len(part) <= MAX_DIGITS for part in parts if part.isdecimal())


class InUseFilter(DropdownFilter):
    """Things in use, unless retired ones are asked for."""

    title = "use"
    parameter_name = "use"
    all_option = ("", "In use")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("retired", "Retired"), ("any", "In use or retired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        match self.value():
            case "any":
                return queryset
            case "retired":
                return queryset.filter(is_active=False)
        return queryset.filter(is_active=True)


class DateRangeFilter(RangeDateFilter):
    """Rows of some days in UTC, the first and the last included."""

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        first, last = (
            parse_date_str(self.used_parameters.get(f"{self.parameter_name}_{end}", ""))
            for end in ("from", "to")
        )
        if first:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": _midnight(first)})
        if last and last.year < datetime.max.year:
            end = _midnight(last) + timedelta(days=1)
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": end})
        return queryset


def _midnight(day: Any) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


class RefusedForm:
    """Added to a form whose input a service has refused, so that the form says why."""

    refusal: Refusal

    def clean(self) -> Any:
        cleaned: Any = super().clean()  # type: ignore[misc]
        for name, lines in refusal_messages(self.refusal).items():
            field = name if name in self.fields else None  # type: ignore[attr-defined]
            for line in lines:
                self.add_error(field, line)  # type: ignore[attr-defined]
        return cleaned


class ChangeList(UnfoldChangeList):
    """A page of a list, completed by its ModelAdmin in one go."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        for name, values in request.GET.lists():
            if name != SEARCH_VAR and not all(map(fits_a_column, values)):
                raise IncorrectLookupParameters(f"{name} is out of range.")
        super().__init__(request, *args, **kwargs)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not (self.query or self.has_active_filters):
            # unfold offers to show all where the two differ.
            self.full_result_count = self.result_count
        self.result_list: list[Any] = list(self.result_list)
        self.model_admin.describe_rows(self.result_list)


class OwnTransactions(admin.ModelAdmin):
    """Leaves transactions to the services.

    Django's would hold the database's write lock while passwords are hashed and pages made.
    """

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        return self._changeform_view(  # type: ignore[attr-defined]
            request, object_id, form_url, extra_context
        )


class ModelAdmin(unfold_admin.ModelAdmin, OwnTransactions):
    """Pages of a table whose rows are changed by services.

    A subclass says which, in `create_object` and `update_object`.
    """

    list_per_page = 50
    list_filter_submit = True
    list_disable_select_all = True
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    # Whether the audit log tells of these rows.
    is_audited = True
    # Below "No devices yet".
    empty_means = ""
    # What a field is called where its own name reads badly.
    labels: Mapping[str, str] = {}

    def create_object(self, request: HttpRequest, fields: dict[str, Any]) -> Model:
        raise NotImplementedError

    def update_object(self, request: HttpRequest, obj: Any, fields: dict[str, Any]) -> Model:
        raise NotImplementedError

    def history_parameters(self, obj: Any) -> Mapping[str, Any]:
        """What picks `obj`'s rows in the list of the audit log."""
        return {f"{self.opts.model_name}__id__exact": obj.pk}

    def describe_rows(self, rows: list[Any]) -> None:
        """Add to the rows of a page what its columns show of other tables."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ChangeList

    def get_queryset(self, request: HttpRequest) -> Any:
        queryset: Any = super().get_queryset(request)
        return queryset.visible_to(request.user)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any
    ) -> Any:
        related: Any = db_field.remote_field.model._default_manager
        kwargs.setdefault("queryset", related.visible_to(request.user))
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = KeyAutocomplete(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Field, request: HttpRequest, **kwargs: Any) -> Any:
        formfield = super().formfield_for_dbfield(db_field, request, **kwargs)
        if formfield and hasattr(formfield.widget, "can_add_related"):
            # Things are opened in the sidebar, not in windows that pop up from a field.
            formfield.widget.can_add_related = False
            formfield.widget.can_change_related = False
            formfield.widget.can_view_related = False
        return formfield

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What a link such as `add/?site=3` fills in: references only, and only keys."""
        given = super().get_changeform_initial_data(request)
        related = {field.name for field in self.opts.fields if field.is_relation}
        return {name: key for name, key in given.items() if name in related and is_key(key)}

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return SECRET_FIELDS.isdisjoint(lookup.split("__")) and super().lookup_allowed(
            lookup, value, request
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except REFUSALS as refusal:
            # Once more, for the same page with the input still in it.
            request.refusal = refusal  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm]:
        form_class: Any = super().get_form(
            request, obj, change=change, labels=self.labels, **kwargs
        )
        if not hasattr(request, "refusal"):
            return form_class
        return type(form_class)(
            form_class.__name__, (RefusedForm, form_class), {"refusal": request.refusal}
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        fields = {name: form.cleaned_data[name] for name in form.changed_data}
        if change:
            saved = self.update_object(request, obj, fields)
        else:
            saved = self.create_object(request, fields)
        # The answer speaks of `obj`, which knows neither its key nor what the service made.
        obj.__dict__.update(saved.__dict__)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["show_history"] = self.is_audited
        return super().render_change_form(request, context, *args, **kwargs)

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if not all(map(is_key, chosen)):
            raise BadRequest("What was chosen is not on the list.")
        return super().response_action(request, *args, **kwargs)

    # The audit log is the record of what was done; Django's would be a second one.

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        return None

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.is_audited:
            raise Http404
        if not self.has_view_permission(request):
            raise PermissionDenied
        parameters = urlencode(self.history_parameters(self.found(request, object_id)))
        return redirect(f"{reverse('admin:audit_auditlog_changelist')}?{parameters}")

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """The row `object_id`, as it stands in a URL; raises Http404."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        return obj

    def confirmation(
        self, request: HttpRequest, *, title: str, question: str, submit_text: str, **context: Any
    ) -> TemplateResponse:
        """A page that asks before something is done; its form posts back to the same URL.

        `context` may hold `objects` to be listed, a `form` with fields, `hidden` names and
        values for the form, `is_dangerous`, and `obj`, the row whose page was left.
        """
        obj = context.get("obj")
        pages = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        return TemplateResponse(
            request,
            "admin/confirmation.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": obj,
                "back": reverse(f"{pages}_change", args=[obj.pk])
                if obj
                else reverse(f"{pages}_changelist"),
                "title": title,
                "question": question,
                "submit_text": submit_text,
                **context,
            },
        )


class ReadOnlyModelAdmin(ModelAdmin):
    """Pages of a table that is only written elsewhere."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LongTableAdmin(ReadOnlyModelAdmin):
    """Read-only pages of a table too long to be counted for every look at it."""

    paginator = InfinitePaginator
    is_audited = False


class RetirableModelAdmin(ModelAdmin):
    """Pages of things that are retired instead of deleted.

    A subclass calls the service in `retire_object` and says in `retiring_means` what follows.
    """

    actions = ("retire_selected",)
    actions_detail = ("retire",)
    retiring_means = ""

    def retire_object(self, request: HttpRequest, obj: Any) -> None:
        raise NotImplementedError

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # unfold asks about an action with the key in place of the object.
        is_retired = isinstance(obj, Model) and not obj.is_active  # type: ignore[attr-defined]
        return not is_retired and super().has_change_permission(request, obj)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        obj = kwargs.get("obj")
        if obj is not None and not obj.is_active:
            context["actions_detail"] = []
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description="Retire selected %(verbose_name_plural)s", permissions=["change"])
    def retire_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        chosen = list(queryset)
        if "confirmed" in request.POST:
            self._retire(request, chosen)
            return None
        names = self.opts.verbose_name if len(chosen) == 1 else self.opts.verbose_name_plural
        return self.confirmation(
            request,
            title=f"Retire {len(chosen)} {names}",
            question=self.retiring_means,
            submit_text="Retire",
            objects=chosen,
            hidden=[
                ("action", "retire_selected"),
                *((ACTION_CHECKBOX_NAME, obj.pk) for obj in chosen),
            ],
            is_dangerous=True,
        )

    @action(
        description="Retire",
        url_path="retire",
        icon="inventory_2",
        variant=ActionVariant.DANGER,
        permissions=["change"],
    )
    def retire(self, request: HttpRequest, object_id: str) -> HttpResponse:
        obj = self.found(request, object_id)
        if "confirmed" in request.POST:
            self._retire(request, [obj])
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        return self.confirmation(
            request,
            title=f"Retire {obj}",
            question=self.retiring_means,
            submit_text="Retire",
            obj=obj,
            is_dangerous=True,
        )

    def _retire(self, request: HttpRequest, chosen: list[Any]) -> None:
        retired = []
        for obj in chosen:
            try:
                self.retire_object(request, obj)
            except REFUSALS as refusal:
                self.message_user(request, refusal_text(refusal), messages.ERROR)
            else:
                retired.append(str(obj))
        if retired:
            self.message_user(request, f"Retired: {', '.join(retired)}.", messages.SUCCESS)
