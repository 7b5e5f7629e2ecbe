"""Staff pages of users."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.formats import localize
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters
from knox.models import AuthToken
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesCheckboxFilter
from unfold.decorators import display

from accounts import services
from accounts.admin import commands
from accounts.admin.labels import role_label, state_label
from accounts.forms import PasswordForm, UserAddForm, UserForm
from accounts.models import User
from homepot.admin import CommandAdmin, ModelAdmin, on_page, time_text

# Roles say what an account may do.
admin.site.unregister(Group)
# Knox's page would show digests, and make and end tokens unaudited.
admin.site.unregister(AuthToken)


def site_pks(fields: dict[str, Any]) -> set[int] | None:
    """Take the chosen sites out of `fields`; None when they did not change."""
    sites = fields.pop("sites", None)
    return None if sites is None else {site.pk for site in sites}


@admin.register(User)
class UserAdmin(DjangoUserAdmin, CommandAdmin):  # type: ignore[misc]
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
    filter_titles = {"is_active": "state"}
    search_fields = ("username", "email", "full_name")
    search_help_text = "Username, name or e-mail address"
    ordering = ("username",)
    sortable_by = ("account",)
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "email", "full_name")}),
        ("Access", {"fields": ("role", "is_active", "site_access", "sites")}),
        ("Times", {"fields": (("created_at", "updated_at"),)}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "email", "full_name")}),
        ("Access", {"fields": ("role", "site_access", "sites")}),
        ("Signing in", {"fields": ("password", "repeated_password")}),
    )
    readonly_fields = ("created_at", "updated_at")
    actions = None
    has_sections = True
    actions_detail = ("release", "sign_out_everywhere", "create_api_key", "revoke_api_key")
    release = on_page(commands.RELEASE, "release", "lock_open")
    sign_out_everywhere = on_page(commands.SIGN_OUT, "sign-out-everywhere", "logout")
    create_api_key = on_page(commands.CREATE_API_KEY, "create-api-key", "key")
    revoke_api_key = on_page(commands.REVOKE_API_KEY, "revoke-api-key", "key_off")
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

    def user_change_password(self, request: Any, id: str, form_url: str = "") -> HttpResponse:
        # Django makes the form without the request; this request's copy knows who asks.
        own = copy.copy(self)
        own.change_password_form = partial(PasswordForm, actor=request.user)
        return super(UserAdmin, own).user_change_password(request, id, form_url)

    @display(description="User", ordering="username", header=True)
    def account(self, user: User) -> tuple[str, str]:
        return user.username, user.email

    @display(description="Name")
    def name(self, user: User) -> str:
        return user.full_name or "-"

    @display(description="Role")
    def role_name(self, user: User) -> SafeString:
        return role_label(user)

    @display(description="State")
    def state(self, user: User) -> SafeString:
        return state_label(user)

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
