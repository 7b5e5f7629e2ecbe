"""Staff pages of failed sign-ins, and of who is locked out by them."""

from __future__ import annotations

from typing import Any

from axes.models import AccessAttempt
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from accounts import lockout, sign_in
from homepot.admin import NOTHING, ReadOnlyModelAdmin, time_text


@admin.register(AccessAttempt)
class FailedSignInAdmin(ReadOnlyModelAdmin):
    """Failed sign-ins by name and address; all that can be done is to release them."""

    list_display = ("username", "address", "failures", "last_failure", "locked_until")
    search_fields = ("username", "ip_address")
    search_help_text = "Name or address"
    fields = (*list_display, "page")
    readonly_fields = fields
    ordering = ("-attempt_time",)
    sortable_by = ()
    actions = ("release_selected",)  # type: ignore[assignment]
    is_audited = False
    counted_as = ("failed sign-in", "failed sign-ins")

    def get_queryset(self, request: HttpRequest) -> Any:
        # Only admins get here; the table is not ours and knows no `visible_to`.
        return AccessAttempt.objects.order_by(*self.ordering)

    @admin.action(description="Release lock-out", permissions=["view"])
    def release_selected(self, request: Any, queryset: QuerySet) -> None:
        for attempt in queryset:
            sign_in.release(actor=request.user, tried=attempt.username, address=attempt.ip_address)
        self.message_user(request, "They may try again at once.", messages.SUCCESS)

    @display(description="IP address")
    def address(self, attempt: AccessAttempt) -> str:
        return attempt.ip_address or NOTHING

    @display(description="Failures")
    def failures(self, attempt: AccessAttempt) -> str:
        return f"{attempt.failures_since_start:,}"

    @display(description="Page")
    def page(self, attempt: AccessAttempt) -> str:
        return attempt.path_info or NOTHING

    @display(description="Last failure")
    def last_failure(self, attempt: AccessAttempt) -> SafeString:
        return time_text(attempt.attempt_time)

    @display(description="Locked until")
    def locked_until(self, attempt: AccessAttempt) -> SafeString:
        return time_text(lockout.locked_until(attempt))
