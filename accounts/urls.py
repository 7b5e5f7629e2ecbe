from __future__ import annotations

from django.urls import re_path

from accounts import views

urlpatterns = [
    re_path(r"^signup/?$", views.SignUpView.as_view({"post": "create"}), name="signup"),
    re_path(r"^login/?$", views.SignInView.as_view({"post": "create"}), name="login"),
    re_path(r"^logout/?$", views.SignOutView.as_view({"post": "create"}), name="logout"),
    re_path(
        r"^logout-all/?$",
        views.SignOutEverywhereView.as_view({"post": "create"}),
        name="logout-all",
    ),
    re_path(
        r"^me/?$",
        views.OwnAccountView.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="me",
    ),
    re_path(
        r"^me/password/?$", views.OwnPasswordView.as_view({"post": "create"}), name="me-password"
    ),
    re_path(
        r"^me/api-key/?$",
        views.OwnApiKeyView.as_view({"post": "create", "delete": "destroy"}),
        name="me-api-key",
    ),
]
