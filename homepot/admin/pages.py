"""The pages of one table in the admin.

A form's changes go to a service, and what it refuses comes back on the form. The lists show
the rows that the reader may see. The history of a thing is its part of the audit log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import Field, ForeignKey, Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.text import capfirst
from unfold import admin as unfold_admin

from homepot.admin import sections
from homepot.admin.lists import ChangeList
from homepot.admin.refusals import REFUSALS, RefusedForm
from homepot.forms import KeyAutocomplete, is_key

# Digests and hashes: a lookup such as ?api_key__startswith= would spell them out.
SECRET_FIELDS = frozenset({"password", "api_key", "enrolment_key", "key_digest"})
COUNT_AT_MOST = 10_000
# How often the page of a thing that is under way is brought up to date.
REFRESH_SECONDS = 5


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
    # What filters are called where the column of a list is called otherwise than its field.
    filter_titles: Mapping[str, str] = {}
    # What one and several rows are called where they are counted, if not as the model is.
    counted_as: tuple[str, str] | None = None
    # Below "No devices yet".
    empty_means = ""
    # What a field is called where its own name reads badly.
    labels: Mapping[str, str] = {}
    # A list says how many rows there are up to here, and beyond it "more than"; 0: never.
    count_at_most = COUNT_AT_MOST
    # Whether the page of one thing is made of sections, above its settings.
    has_sections = False
    change_form_template = "homepot/admin/thing.html"
    # Columns that its list does not show, and that may be large.
    list_defer: tuple[str, ...] = ()

    def create_object(self, request: HttpRequest, fields: dict[str, Any]) -> Model:
        raise NotImplementedError

    def update_object(self, request: HttpRequest, obj: Any, fields: dict[str, Any]) -> Model:
        raise NotImplementedError

    def history_parameters(self, obj: Any) -> Mapping[str, Any]:
        """What picks `obj`'s rows in the list of the audit log."""
        return {f"{self.opts.model_name}__id__exact": obj.pk}

    def row_names(self) -> tuple[str, str]:
        """What one row and several are called."""
        return self.counted_as or (
            str(self.opts.verbose_name),
            str(self.opts.verbose_name_plural),
        )

    def counted(self, count: int) -> str:
        one, several = self.row_names()
        return f"{count:,} {one if count == 1 else several}"

    def heading(self, thing: Any) -> tuple[str, str]:
        """What the page of `thing` is headed by: what it is, and below it what tells it apart."""
        return str(thing), ""

    def is_under_way(self, obj: Any) -> bool:
        """Whether the page of `obj` is to keep itself up to date."""
        return False

    def describe_rows(self, rows: list[Any]) -> None:
        """Add to the rows of a page what its columns show of other tables."""

    def _get_base_actions(self) -> Any:
        added: Any = super()
        return [
            *added._get_base_actions(),
            *(self.get_action(action) for action in sections.actions(self.opts.label_lower)),
        ]

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
        # A page of sections shows the newest of it, and where the rest is.
        context["show_history"] = self.is_audited and not self.has_sections
        thing = kwargs.get("obj")
        if thing is not None:
            # Its name is beside it; Django says "Change" where there are only buttons, too.
            context["title"] = capfirst(self.opts.verbose_name)
        if thing is not None and self.has_sections:
            page = self.opts.label_lower
            context["sections"] = list(sections.shown(page, request, thing))
            context["heading"] = self.heading(thing)
            context["refresh_seconds"] = REFRESH_SECONDS if self.is_under_way(thing) else None
            # Below its name, where they have room, and not in menus of the header.
            context["thing_actions"] = [
                *sections.buttons(page, request, thing),
                *_without_menus(context["actions_detail"]),
            ]
            context["actions_detail"] = []
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

    def _get_obj_does_not_exist_redirect(self, *args: Any) -> HttpResponse:
        # Django leads to the first page, with a message; others' things are as good as absent.
        raise Http404

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

        `context` may hold `objects` to be listed and how many `more` there are, a `form` with
        fields, `hidden` names and values for the form, `is_dangerous`, and `obj`, the row whose
        page was left.
        """
        obj = context.get("obj")
        changelist = f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
        return TemplateResponse(
            request,
            "admin/confirmation.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": obj,
                "back": self.page_url(obj) if obj else reverse(changelist),
                "title": title,
                "question": question,
                "submit_text": submit_text,
                **context,
            },
        )

    def page_url(self, thing: Any) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=[thing.pk])

    def key_page(
        self, request: HttpRequest, thing: Any, key: str, means: str, **context: Any
    ) -> TemplateResponse:
        """The only page that shows `key`: the answer itself, which nothing keeps."""
        return self.keys_page(
            request,
            title=f"New key of {thing}",
            means=means,
            keys=key,
            obj=thing,
            back=self.page_url(thing),
            **context,
        )

    def keys_page(
        self, request: HttpRequest, *, title: str, means: str, keys: str, **context: Any
    ) -> TemplateResponse:
        return TemplateResponse(
            request,
            "homepot/admin/keys.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": context.get("obj"),
                "title": title,
                "means": means,
                "keys": keys,
                **context,
            },
        )


def _without_menus(actions: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for action in actions:
        yield from action.get("items") or [action]


class ReadOnlyModelAdmin(ModelAdmin):
    """Pages of a table that is only written elsewhere."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LongTableAdmin(ReadOnlyModelAdmin):
    """Read-only pages of a table too long to be counted for every look at it."""

    count_at_most = 0
    is_audited = False
