"""The admin site: unfold's, with passwords changed by our service."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from django.contrib.auth.views import PasswordChangeView
from django.core.paginator import InvalidPage
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.sites import UnfoldAdminSite

from accounts.forms import OwnPasswordForm, SignInForm
from homepot.admin.overview import add_overview


class HomepotAdminSite(UnfoldAdminSite):
    index_title = "Overview"
    login_form = SignInForm
    password_change_done_template = "accounts/admin/password_change_done.html"

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:
        inner = super().admin_view(view, cacheable)

        def checked(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
            # Somebody else knows the password, so it is good for choosing another alone.
            if getattr(request.user, "must_change_password", False) and not (
                request.path.startswith(reverse("admin:password_change"))
                or request.path in (reverse("admin:logout"), reverse("admin:jsi18n"))
            ):
                return redirect("admin:password_change")
            return inner(request, *args, **kwargs)

        return update_wrapper(checked, view)

    def get_urls(self) -> list[Any]:
        overview = path("overview/", self.admin_view(self.overview), name="overview")
        return [overview, *super().get_urls()]

    def overview(self, request: HttpRequest) -> TemplateResponse:
        """The first page without what surrounds it, by which it keeps itself up to date."""
        context = add_overview(request, {})
        return TemplateResponse(request, "homepot/admin/overview.html", context)

    def search(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        try:
            return super().search(request, extra_context)
        except (InvalidPage, ValueError):
            raise Http404 from None

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        view = PasswordChangeView.as_view(
            form_class=OwnPasswordForm,
            template_name="accounts/admin/password_change.html",
            success_url=reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        request.current_app = self.name
        return view(request)
