"""Staff pages of accounts."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from axes.models import AccessAttempt
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters
from knox.models import AuthToken
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesCheckboxFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from accounts import lockout, services, sign_in
from accounts.enums import Role
from accounts.forms import ApiKeyForm, PasswordForm, UserAddForm, UserForm
from accounts.models import User
from homepot.admin import (
    REFUSALS,
    ModelAdmin,
    ReadOnlyModelAdmin,
    label,
    refusal_text,
    time_text,
)

# Roles say what an account may do.
admin.site.unregister(Group)
# Knox's page would show digests, and make and end tokens unaudited.
admin.site.unregister(AuthToken)

ROLE_COLOURS = {Role.ADMIN.label: "primary", Role.OPERATOR.label: "info"}
STATE_COLOURS = {"Active": "success"}


def site_pks(fields: dict[str, Any]) -> set[int] | None:
    """Take the chosen sites out of `fields`; None when they did not change."""
    sites = fields.pop("sites", None)
    return None if sites is None else {site.pk for site in sites}


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[misc]
    add_form = UserAddForm
    form = UserForm
    add_form_template = None
    labels = {"email": "E-mail address", "is_active": "Active"}
    list_display = ("account", "name", "role_name", "site_access", "state", "key", "signed_in")
    list_filter = (
        ("role", ChoicesCheckboxFilter),
        ("is_active", BooleanRadioFilter),
        ("site_access", ChoicesCheckboxFilter),
    )
    search_fields = ("username", "email", "full_name")
    search_help_text = "Username, name or e-mail address"
    ordering = ("username",)
    sortable_by = ("account",)
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "email", "full_name")}),
        ("Access", {"fields": ("role", "is_active", "site_access", "sites")}),
        ("Signing in", {"fields": ("password_state", "key", "signed_in")}),
        ("Record", {"fields": (("created_at", "updated_at"),)}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "email", "full_name")}),
        ("Access", {"fields": ("role", "site_access", "sites")}),
        ("Signing in", {"fields": ("password", "repeated_password")}),
    )
    readonly_fields = ("password_state", "key", "signed_in", "created_at", "updated_at")
    actions = None
    actions_detail = ("create_api_key", "revoke_api_key")
    # Django's own holds a transaction while it hashes the password and makes the page.
    add_view = method_decorator(sensitive_post_parameters())(ModelAdmin.add_view)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return self.readonly_fields if obj is None else ("username", *self.readonly_fields)

    def history_parameters(self, obj: User) -> dict[str, Any]:
        return {"target_type__exact": "user", "target_label__exact": obj.username}

    def create_object(self, request: Any, fields: dict[str, Any]) -> User:
        fields.pop("repeated_password", None)
        password = fields.pop("password", None)
        return services.create_user(
            actor=request.user,
            password=password,
            must_change_password=password is not None,
            site_pks=site_pks(fields),
            **fields,
        )

    @transaction.atomic
    def update_object(self, request: Any, obj: User, fields: dict[str, Any]) -> User:
        return services.update_user(
            user=obj, actor=request.user, site_pks=site_pks(fields), **fields
        )

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        user = kwargs.get("obj")
        if user is not None and not user.api_key:
            context["actions_detail"] = context["actions_detail"][:1]
        return super().render_change_form(request, context, *args, **kwargs)

    def user_change_password(self, request: Any, id: str, form_url: str = "") -> HttpResponse:
        # Django makes the form without the request; this request's copy knows who asks.
        own = copy.copy(self)
        own.change_password_form = partial(PasswordForm, actor=request.user)
        return super(UserAdmin, own).user_change_password(request, id, form_url)

    @action(
        description="Create API key", url_path="create-api-key", icon="key", permissions=["change"]
    )
    def create_api_key(self, request: Any, object_id: str) -> HttpResponse:
        user = self.found(request, object_id)
        form = ApiKeyForm(request.POST if "confirmed" in request.POST else None)
        if form.is_valid():
            key = services.create_api_key(
                user=user, actor=request.user, expires_at=form.expires_at()
            )
            return self.key_page(
                request, user, key, "Programs send it as the header X-API-Key: copy it there now."
            )
        question = "Programs sign in with it and may do what the account may do."
        if user.api_key:
            question += f" The key in use, {user.api_key_hint}…, ends at once."
        return self.confirmation(
            request,
            title=f"Create an API key for {user}",
            question=question,
            submit_text="Create API key",
            obj=user,
            form=form,
        )

    @action(
        description="Revoke API key",
        url_path="revoke-api-key",
        icon="key_off",
        variant=ActionVariant.DANGER,
        permissions=["change"],
    )
    def revoke_api_key(self, request: Any, object_id: str) -> HttpResponse:
        user = self.found(request, object_id)
        if "confirmed" not in request.POST:
            return self.confirmation(
                request,
                title=f"Revoke the API key of {user}",
                question=f"Programs that use {user.api_key_hint}… are refused from then on.",
                submit_text="Revoke API key",
                obj=user,
                is_dangerous=True,
            )
        try:
            services.revoke_api_key(user=user, actor=request.user)
        except REFUSALS as refusal:
            self.message_user(request, refusal_text(refusal), messages.ERROR)
        else:
            self.message_user(request, f"The API key of {user} has ended.", messages.SUCCESS)
        return redirect("admin:accounts_user_change", user.pk)

    @display(description="Account", ordering="username", header=True)
    def account(self, user: User) -> tuple[str, str]:
        return user.username, user.email

    @display(description="Name")
    def name(self, user: User) -> str:
        return user.full_name or "-"

    @display(description="Role")
    def role_name(self, user: User) -> SafeString:
        return label(user.get_role_display(), ROLE_COLOURS)

    @display(description="State")
    def state(self, user: User) -> SafeString:
        return label("Active" if user.is_active else "Inactive", STATE_COLOURS)

    @display(description="Last sign-in")
    def signed_in(self, user: User) -> SafeString:
        return time_text(user.last_login)

    @display(description="API key")
    def key(self, user: User) -> str:
        if not user.api_key:
            return "-"
        if user.api_key_expires_at is None:
            return f"{user.api_key_hint}…"
        return f"{user.api_key_hint}…, until {localize(user.api_key_expires_at)}"

    @display(description="Password")
    def password_state(self, user: User) -> SafeString:
        url = reverse("admin:auth_user_password_change", args=[user.pk])
        state = "Set" if user.has_usable_password() else "None"
        if user.must_change_password:
            state = "To be changed at the next sign-in"
        return format_html('{}. <a class="text-link" href="{}">Change password</a>', state, url)


@admin.register(AccessAttempt)
class FailedSignInAdmin(ReadOnlyModelAdmin):
    """Failed sign-ins by name and address; all that can be done is to release them."""

    list_display = (
        "username",
        "ip_address",
        "failures_since_start",
        "last_failure",
        "locked_until",
    )
    search_fields = ("username", "ip_address")
    search_help_text = "Name or address"
    fields = (*list_display, "path_info")
    readonly_fields = fields
    ordering = ("-attempt_time",)
    sortable_by = ()
    actions = ("release_selected",)  # type: ignore[assignment]
    is_audited = False

    def get_queryset(self, request: HttpRequest) -> Any:
        # Only admins get here; the table is not ours and knows no `visible_to`.
        return AccessAttempt.objects.order_by(*self.ordering)

    @admin.action(description="Release selected", permissions=["view"])
    def release_selected(self, request: Any, queryset: QuerySet) -> None:
        for attempt in queryset:
            sign_in.release(actor=request.user, tried=attempt.username, address=attempt.ip_address)
        self.message_user(request, "They may try again at once.", messages.SUCCESS)

    @display(description="Last failure")
    def last_failure(self, attempt: AccessAttempt) -> SafeString:
        return time_text(attempt.attempt_time)

    @display(description="Locked until")
    def locked_until(self, attempt: AccessAttempt) -> SafeString:
        return time_text(lockout.locked_until(attempt))
