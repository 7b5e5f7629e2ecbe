"""Forms of the staff pages about accounts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils import timezone
from rest_framework.exceptions import Throttled
from unfold.forms import AdminOwnPasswordChangeForm, AdminPasswordChangeForm, AuthenticationForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget

from accounts import services, throttles
from accounts.models import MAX_SIGN_IN_NAME_LENGTH, SiteMembership, User
from homepot.admin import CommandForm
from homepot.forms import KeysAutocomplete

# Sites stand above accounts and cannot be imported here.
SITE_FIELD: Any = SiteMembership._meta.get_field("site")
NEVER = ""
KEY_LIFETIMES = (
    ("90", "in 90 days"),
    ("365", "in one year"),
    (NEVER, "never"),
)


class SignInForm(AuthenticationForm):
    """The admin's way in, by username or e-mail address, as often as the API's."""

    def __init__(self, request: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        name: Any = self.fields["username"]
        name.label = "Username or e-mail address"
        name.max_length = MAX_SIGN_IN_NAME_LENGTH
        name.widget.attrs["maxlength"] = MAX_SIGN_IN_NAME_LENGTH

    def clean(self) -> dict[str, Any]:
        if seconds := throttles.take("login", throttles.address_key(self.request)):
            raise Throttled(wait=seconds)
        return super().clean()


class UserForm(forms.ModelForm):
    """An account and, with access to selected sites, which these are."""

    sites = forms.ModelMultipleChoiceField(
        queryset=User.objects.none(),
        required=False,
        widget=KeysAutocomplete(SITE_FIELD, admin.site),
        help_text="What an account whose site access is Selected may see.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "sites" not in self.fields:  # shown to somebody who may not change them
            return
        sites: Any = self.fields["sites"]
        sites.queryset = SITE_FIELD.related_model.objects.active()
        if self.instance.pk:
            memberships = SiteMembership.objects.filter(user=self.instance)
            self.initial["sites"] = list(memberships.values_list("site", flat=True))


class UserAddForm(UserForm):
    """A new account; one that signs in with an API key alone needs no password."""

    password = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=(
            "Good for one sign-in, to choose another. Left empty: the account cannot sign in "
            "here, only use an API key."
        ),
    )
    repeated_password = forms.CharField(
        required=False,
        strip=False,
        label="Password, again",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        password, repeated = cleaned.get("password"), cleaned.get("repeated_password")
        if password != repeated:
            self.add_error("repeated_password", "The two passwords differ.")
        elif password:
            try:
                validate_password(password, self.instance)
            except ValidationError as error:
                self.add_error("password", error)
        return cleaned


class PasswordForm(AdminPasswordChangeForm):
    """A new password for somebody, set by `actor`."""

    def __init__(self, user: User, *args: Any, actor: User, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self.actor = actor

    def save(self, commit: bool = True) -> User:
        password = (
            self.cleaned_data["password1"] if self.cleaned_data["set_usable_password"] else None
        )
        services.set_password(user=self.user, password=password, actor=self.actor)
        return self.user


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """A new password for oneself, tried as often as in the API."""

    def clean_old_password(self) -> str:
        if seconds := throttles.take("password", throttles.account_key(self.user)):
            raise Throttled(wait=seconds)
        return str(super().clean_old_password())

    def save(self, commit: bool = True) -> User:
        services.set_password(
            user=self.user, password=self.cleaned_data["new_password1"], actor=self.user
        )
        return self.user


class ApiKeyForm(CommandForm):
    lifetime = forms.ChoiceField(
        choices=KEY_LIFETIMES,
        required=False,
        initial="90",
        label="Ends",
        widget=UnfoldAdminSelectWidget,
    )

    def command_fields(self) -> dict[str, Any]:
        days = self.cleaned_data["lifetime"]
        ends = None if days == NEVER else timezone.now() + timedelta(days=int(days))
        return {"expires_at": ends}
