"""What the page of one user is made of. Each section takes the statements that it names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from knox.models import AuthToken

from accounts import lockout
from accounts.admin.commands import failures_of
from accounts.admin.labels import role_label, state_label
from accounts.enums import Role, SiteAccess
from accounts.models import SiteMembership, User
from audit import words
from audit.enums import AuditEvent
from audit.models import AuditLog
from audit.querysets import AuditLogQuerySet
from homepot.admin import (
    ago,
    list_url,
    moment_text,
    page_link,
    sections,
    time_text,
    two_lines,
    unbroken,
)
from homepot.admin.sections import FIRST, LAST, OWN, Button, Section

PAGE = "accounts.user"
NEWEST = 8
SITES_NAMED = 20
AGENT_LENGTH = 60
# Columns of the audit log that are not shown.
LONG = ("old_values", "new_values", "event_metadata")
SIGN_INS = (
    AuditEvent.USER_SIGNED_IN,
    AuditEvent.SIGN_IN_REFUSED,
    AuditEvent.USER_SIGNED_OUT,
    AuditEvent.ACCOUNT_LOCKED,
    AuditEvent.ACCOUNT_UNLOCKED,
)


def access(request: HttpRequest, user: User) -> dict[str, Any]:
    """1. failed sign-ins that count, 2. its sites, where they are selected."""
    now = timezone.now()
    failures = failures_of(user)
    return {
        "role": role_label(user),
        "state": state_label(user),
        "sites": _sites(user),
        "locked": [
            (attempt.ip_address, until, ago(until, now))
            for attempt in failures
            if (until := lockout.locked_until(attempt))
        ],
        "failures": [
            (attempt.ip_address, attempt.failures_since_start, ago(attempt.attempt_time, now))
            for attempt in failures
            if not lockout.locked_until(attempt)
        ],
        "facts": [
            ("Name", user.full_name or "-"),
            ("E-mail address", user.email),
            ("Last sign-in", moment_text(user.last_login, now) if user.last_login else "never"),
            ("Password", _password(user)),
            ("API key", _api_key(user)),
            *_key_times(user),
            ("Added", moment_text(user.created_at, now)),
        ],
    }


def _sites(user: User) -> SafeString | str:
    if user.role == Role.NONE:
        return "none until it is given a role"
    if user.role == Role.ADMIN or user.site_access == SiteAccess.ALL:
        return "all sites"
    memberships = SiteMembership.objects.filter(user=user).order_by("site__name", "site")
    named: list[Any] = list(memberships.values_list("site", "site__name")[: SITES_NAMED + 1])
    if not named:
        return "no site yet: choose them in the settings below"
    links = format_html_join(
        ", ", "{}", ((page_link("sites_site", pk, name),) for pk, name in named[:SITES_NAMED])
    )
    return links if len(named) <= SITES_NAMED else links + " and more"


def _password(user: User) -> str:
    if user.must_change_password:
        return "to be changed at the next sign-in"
    return "set" if user.has_usable_password() else "none"


def _api_key(user: User) -> SafeString | str:
    if not user.api_key:
        return "none"
    ends = user.api_key_expires_at
    until = "until it is revoked"
    if ends is not None:
        until = _ending(ends, timezone.now())
    return two_lines(f"{user.api_key_hint}…", until)


def _ending(ends: datetime, now: datetime) -> str:
    """A key's end as it was chosen: "ends on 2027-02-21, in 90 days"."""
    if ends - now < timedelta(days=1):
        return f"{'ended' if ends <= now else 'ends'} {ago(ends, now)}"
    days = round((ends - now) / timedelta(days=1))
    in_days = "1 day" if days == 1 else f"{days} days"
    return f"ends on {date_format(localtime(ends), 'DATE_FORMAT')}, in {in_days}"


def _key_times(user: User) -> Iterator[tuple[str, str]]:
    if not user.api_key:
        return
    made_at, used_at = user.api_key_created_at, user.api_key_last_used_at
    # Neither may be known of a key from before these times were kept.
    if made_at:
        yield "Key made", moment_text(made_at)
    if made_at or used_at:
        yield "Key last used", moment_text(used_at) if used_at else "never"


def sign_ins(request: HttpRequest, user: User) -> dict[str, Any]:
    """1. the newest ones, and who failed or was locked out."""
    rows = _about(user).filter(event_type__in=SIGN_INS)
    return {
        "headings": ("When", "What", "From", "With"),
        "rows": [
            (
                moment_text(row.created_at),
                page_link("audit_auditlog", row.pk, row.get_event_type_display()),
                unbroken(row.ip_address or "-"),
                row.user_agent[:AGENT_LENGTH] or "-",
            )
            for row in rows.defer(*LONG).order_by("-created_at", "-id")[:NEWEST]
        ],
        "empty": "Nobody has tried to sign in as this user yet.",
        "all": list_url("audit_auditlog", target_type__exact="user", target_label__exact=user),
    }


def tokens(request: HttpRequest, user: User) -> dict[str, Any]:
    """1. the newest tokens, of which the database knows no more than how they begin."""
    now = timezone.now()
    valid = AuthToken.objects.filter(user=user, expiry__gt=now).order_by("-created", "digest")
    return {
        "headings": ("Token", "Made", "Ends"),
        "rows": [
            (
                unbroken(f"{token.token_key}…"),
                moment_text(token.created, now),
                time_text(token.expiry),
            )
            for token in valid[:NEWEST]
        ],
        "empty": "None: no program is signed in by name and password.",
    }


def record(request: HttpRequest, user: User) -> dict[str, Any]:
    """1. what was done to it, besides signing in."""
    return words.newest_of(
        _about(user).exclude(event_type__in=SIGN_INS),
        empty="Nothing was changed yet.",
        target_type__exact="user",
        target_label__exact=user.username,
    )


def _about(user: User) -> AuditLogQuerySet:
    # By its name, as it was written; what is older is about another of that name.
    return AuditLog.objects.filter(
        target_type="user", target_label=user.username, created_at__gte=user.created_at
    )


def done(request: HttpRequest, user: User) -> dict[str, Any]:
    """1. what it did last."""
    rows = AuditLog.objects.filter(user=user.pk).defer(*LONG)
    return {
        "headings": ("When", "What", "To"),
        "rows": [
            (
                moment_text(row.created_at),
                words.what(row, page_link("audit_auditlog", row.pk, row.get_event_type_display())),
                row.target_label or "-",
            )
            for row in rows.order_by("-created_at", "-id")[:NEWEST]
        ],
        "empty": "It has changed nothing yet.",
        "all": list_url("audit_auditlog", user__id__exact=user.pk),
    }


def _change_password(request: HttpRequest, user: User) -> str:
    return reverse("admin:auth_user_password_change", args=[user.pk])


TABLE = "homepot/admin/table_section.html"
sections.add(PAGE, Section("Access", "accounts/admin/access.html", access, FIRST))
sections.add(PAGE, Section("Sign-ins", TABLE, sign_ins, OWN))
sections.add(PAGE, Section("Tokens", TABLE, tokens, OWN, is_half=True))
sections.add(PAGE, Section("Audit log", TABLE, record, OWN, is_half=True))
sections.add(PAGE, Section("Done by this user", TABLE, done, LAST))
sections.add_button(PAGE, Button("Change password", "password", _change_password))
