"""How the admin looks: name, colours, navigation. Read by django-unfold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

from homepot.read_only import is_read_only


def asset(name: str) -> Callable[[HttpRequest], str]:
    """The URL of a static file, found when a page is made: settings are read before that."""
    return lambda request: static(f"homepot/{name}")


def environment_label(request: HttpRequest) -> list[str] | None:
    """Beside every page's title. Production needs no reminder."""
    if is_read_only():
        return ["Read-only", "danger"]
    return None if settings.IS_PRODUCTION else ["Development", "warning"]


def page(title: str, icon: str, model: str) -> dict[str, Any]:
    """An entry of the sidebar: the list of `model`, "devices.device", for those who may see it."""
    app_label, _, model_name = model.partition(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app_label}_{model_name}_changelist"),
        "permission": lambda request: request.user.has_perm(f"{app_label}.view_{model_name}"),
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "HOMEPOT",
    "SITE_HEADER": "HOMEPOT",
    "SITE_SUBHEADER": "Fleet back office",
    "SITE_URL": None,
    "SITE_ICON": asset("logo.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": asset("favicon.svg")},
    ],
    "STYLES": [
        asset("admin.css"),
        asset("things.css"),
        asset("imports.css"),
        asset("overview.css"),
    ],
    "SCRIPTS": [asset("keyboard.js")],
    "LOGIN": {"image": asset("login.svg")},
    "ENVIRONMENT": "homepot.branding.environment_label",
    "DASHBOARD_CALLBACK": "homepot.admin.overview.add_overview",
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "COLORS": {
        # Teal, a step darker than usual: white on 600 reaches a contrast of 5.5.
        "primary": {
            "50": "oklch(98.4% .014 180.72)",
            "100": "oklch(95.3% .051 180.801)",
            "200": "oklch(91% .096 180.426)",
            "300": "oklch(85.5% .138 181.071)",
            "400": "oklch(77.7% .152 181.912)",
            "500": "oklch(70.4% .14 182.503)",
            "600": "oklch(51.1% .096 186.391)",
            "700": "oklch(43.7% .078 188.216)",
            "800": "oklch(38.6% .063 188.416)",
            "900": "oklch(33% .054 190)",
            "950": "oklch(27.7% .046 192.524)",
        },
    },
    "SIDEBAR": {
        "navigation": [
            {
                "items": [
                    {
                        "title": "Overview",
                        "icon": "dashboard",
                        "link": reverse_lazy("admin:index"),
                    },
                ],
            },
            {
                "title": "Fleet",
                "items": [
                    page("Sites", "storefront", "sites.site"),
                    page("Devices", "point_of_sale", "devices.device"),
                    page("Health checks", "ecg_heart", "devices.healthcheck"),
                    page("Status changes", "swap_vert", "devices.statuschange"),
                    page("Device events", "notifications", "devices.deviceevent"),
                ],
            },
            {
                "title": "Work",
                "items": [
                    page("Jobs", "assignment", "jobs.job"),
                    page("Executions", "checklist", "jobs.jobexecution"),
                ],
            },
            {
                "title": "People",
                "items": [
                    page("Users", "group", "accounts.user"),
                    page("Failed sign-ins", "lock", "axes.accessattempt"),
                ],
            },
            {
                "title": "System",
                "items": [
                    page("Audit log", "history", "audit.auditlog"),
                    {"title": "API", "icon": "api", "link": reverse_lazy("docs")},
                ],
            },
        ],
    },
}
