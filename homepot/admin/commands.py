"""What staff do to one thing or to many, after a page has said what will happen.

What is done to many is done to exactly those that the page was about: it keeps their keys,
and a row that has come to the list meanwhile is not among them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action
from unfold.enums import ActionVariant

from homepot.admin.once import has_token, new_token, once
from homepot.admin.pages import ModelAdmin
from homepot.admin.refusals import REFUSALS, refusal_messages, refusal_text
from homepot.forms import is_key
from homepot.steps import STEP_ROWS, Tally, as_ranges, from_ranges

MOST_AT_ONCE = 50_000
NAMED = 20
# Of what was refused, so much is told.
REFUSALS_TOLD = 5
# After so long a request says how far it is, and a next one goes on.
SECONDS_AT_ONCE = 4.0
# Of what was sent, what the next request has anew, or needs no more.
NOT_SENT_ON = frozenset({"csrfmiddlewaretoken", "_selected_action", "select_across"})


@dataclass(frozen=True)
class Command:
    """`run(thing, actor, **fields)` does it, and may return a key to be shown this once.

    `fields` are those of `form_class`. `run_many(pks, actor, **fields)` does it to those with
    these keys that the actor may see; without it they are taken one by one.
    """

    title: str
    # What follows, on the page that asks.
    means: str
    # As in "Suspended: Till 1."
    done: str
    run: Callable[..., Any]
    run_many: Callable[..., Tally] | None = None
    form_class: type[CommandForm] | None = None
    # What the key that it makes is for.
    key_means: str = ""
    is_dangerous: bool = False
    # `run` makes another thing and returns its primary key; its page is where this leads. It is
    # made once, however often the form is sent.
    makes_another: bool = False
    # Whether a thing's page offers it.
    is_offered: Callable[[Any], bool] = lambda thing: True


def on_page(command: Command, path: str, icon: str) -> Callable[..., HttpResponse]:
    """What a thing's page leads to, at `path` below it, in a CommandAdmin's `actions_detail`."""

    @action(
        description=command.title,
        url_path=path,
        icon=icon,
        variant=ActionVariant.DANGER if command.is_dangerous else ActionVariant.DEFAULT,
        permissions=["change"],
    )
    def ask(self: CommandAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.ask(request, object_id, command)

    ask.command = command
    return ask


def on_list(command: Command) -> Callable[..., HttpResponse | None]:
    """The same for chosen rows of a list, in a CommandAdmin's `actions`."""

    @admin.action(description=command.title, permissions=["change"])
    def ask(self: CommandAdmin, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.ask_many(request, queryset, command)

    return ask


class CommandForm(forms.Form):
    """What a command needs to know; `thing` is None when it is done to many."""

    def __init__(self, *args: Any, thing: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.thing = thing
        self.request = request

    def command_fields(self) -> dict[str, Any]:
        """What the command is called with."""
        return self.cleaned_data


class CommandAdmin(ModelAdmin):
    """Pages whose things commands are done to: see `ask` and `ask_many`."""

    # The commands of methods that `on_page` did not make, by the method's name.
    commands: dict[str, Command] = {}

    def ask(self, request: HttpRequest, object_id: str, command: Command) -> HttpResponse:
        """The page that asks whether to, its answer's outcome, or once more with what is wrong."""
        thing = self.found(request, object_id)
        form = self._form(request, command, thing)
        is_answered = "confirmed" in request.POST and (
            not command.makes_another or has_token(request)
        )
        if is_answered and (form is None or form.is_valid()):
            try:
                if command.makes_another:
                    return self._make_another(request, command, thing, form)
                key = command.run(thing, request.user, **_fields(form))
            except REFUSALS as refusal:
                if form is None:
                    self.message_user(request, refusal_text(refusal), messages.ERROR)
                    return self._to_page(thing)
                for name, lines in refusal_messages(refusal).items():
                    form.add_error(name if name in form.fields else None, lines)
            else:
                if key:
                    return self.key_page(request, thing, key, command.key_means)
                self.message_user(request, f"{command.done}: {thing}.", messages.SUCCESS)
                return self._to_page(thing)
        return self.confirmation(
            request,
            title=f"{command.title}: {thing}",
            question=command.means,
            submit_text=command.title,
            obj=thing,
            form=form,
            hidden=[new_token()] if command.makes_another else (),
            is_dangerous=command.is_dangerous,
        )

    def ask_many(
        self, request: HttpRequest, queryset: QuerySet, command: Command, back: str = ""
    ) -> HttpResponse | None:
        """The same for many: those of `queryset`, or those that the page that asked was about.

        None: it is done, and messages say so. `back` is where the page leads, if not to the list.
        """
        pks = self._chosen(request, queryset)
        if len(pks) > MOST_AT_ONCE:
            text = f"At most {MOST_AT_ONCE:,} at once: choose fewer of them by the filters."
            self.message_user(request, text, messages.ERROR)
            return None
        form = self._form(request, command, None)
        if "confirmed" in request.POST and (form is None or form.is_valid()):
            return self._do_to_many(request, command, pks, form, back)
        things = self.get_queryset(request).filter(pk__in=sorted(pks)[:NAMED]).order_by("pk")
        return self.confirmation(
            request,
            title=f"{command.title}: {self.counted(len(pks))}",
            question=command.means,
            submit_text=f"{command.title}: {self.counted(len(pks))}",
            objects=list(things),
            more=f"{len(pks) - NAMED:,}" if len(pks) > NAMED else "",
            form=form,
            hidden=[("action", request.POST.get("action", "")), ("chosen", as_ranges(pks))],
            is_dangerous=command.is_dangerous,
            back=back or request.get_full_path(),
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST" and "chosen" in request.POST:
            chosen_action = self.get_actions(request).get(request.POST.get("action", ""))
            if chosen_action is None:
                raise BadRequest("This cannot be done here.")
            do: Any = chosen_action[0]
            answer: HttpResponse | None = do(self, request, self.get_queryset(request))
            return answer or redirect(request.get_full_path())
        return super().changelist_view(request, extra_context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        thing = kwargs.get("obj")
        if thing is not None:
            pages = f"admin:{self.opts.app_label}_{self.opts.model_name}"
            names = self._extract_action_names(self.actions_detail)
            offers = {
                name: self.commands.get(name) or getattr(getattr(self, name), "command", None)
                for name in names
            }
            left_out = {
                reverse(f"{pages}_{name}", args=[thing.pk])
                for name, command in offers.items()
                if command is not None and not command.is_offered(thing)
            }
            context["actions_detail"] = [
                shown for shown in context["actions_detail"] if shown.get("path") not in left_out
            ]
        return super().render_change_form(request, context, *args, **kwargs)

    def _make_another(
        self, request: HttpRequest, command: Command, thing: Any, form: CommandForm | None
    ) -> HttpResponse:
        def make() -> dict[str, Any]:
            return {"pk": command.run(thing, request.user, **_fields(form))}

        made = once(request, make)
        self.message_user(request, f"{command.done}: {thing}.", messages.SUCCESS)
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return redirect(name, made.answer["pk"])

    def _form(self, request: HttpRequest, command: Command, thing: Any) -> CommandForm | None:
        if command.form_class is None:
            return None
        data = request.POST if "confirmed" in request.POST else None
        return command.form_class(data, thing=thing, request=request)

    def _chosen(self, request: HttpRequest, queryset: QuerySet) -> Sequence[int]:
        if "chosen" not in request.POST:
            return list(queryset.order_by().values_list("pk", flat=True)[: MOST_AT_ONCE + 1])
        try:
            return from_ranges(request.POST["chosen"], MOST_AT_ONCE)
        except ValueError as error:
            raise BadRequest("What was chosen is not on the list.") from error

    def _do_to_many(
        self,
        request: HttpRequest,
        command: Command,
        pks: Sequence[int],
        form: CommandForm | None,
        back: str,
    ) -> HttpResponse | None:
        fields = _fields(form)
        if command.key_means and command.run_many is not None:
            # The keys are shown this once, all of them together.
            tally: Tally = command.run_many(pks, request.user, **fields)
        else:
            tally, rest = self._as_far_as_time_goes(request, command, pks, fields)
            if rest:
                return self._progress(request, command, tally, rest, back)
        if tally.done:
            text = f"{command.done}: {self.counted(tally.done)}."
            self.message_user(request, text, messages.SUCCESS)
        if tally.done < tally.asked and command.run_many is not None:
            text = f"Left as they were: {self.counted(tally.asked - tally.done)}."
            self.message_user(request, text, messages.WARNING)
        if tally.refused > REFUSALS_TOLD:
            text = f"Refused as well: {self.counted(tally.refused - REFUSALS_TOLD)}."
            self.message_user(request, text, messages.ERROR)
        if not tally.keys:
            return None
        lines = [",".join(pair) for pair in tally.keys]
        return self.keys_page(
            request,
            title=f"New keys of {self.counted(len(lines))}",
            means=command.key_means,
            keys="\n".join((f"{self.opts.model_name}_id,api_key", *lines)),
            is_file=True,
            back=back or request.get_full_path(),
        )

    def _as_far_as_time_goes(
        self, request: HttpRequest, command: Command, pks: Sequence[int], fields: dict[str, Any]
    ) -> tuple[Tally, list[int]]:
        """What was done in this request and those before it, and what is left for the next."""
        tally = _so_far(request)
        tally.asked += len(pks)
        ends_at = time.monotonic() + SECONDS_AT_ONCE
        rest = sorted(pks)
        while rest:
            step, rest = rest[:STEP_ROWS], rest[STEP_ROWS:]
            if command.run_many is not None:
                tally.done += command.run_many(step, request.user, **fields).done
            else:
                rest = self._one_by_one(request, command, step, fields, tally, ends_at) + rest
            if time.monotonic() >= ends_at:
                break
        return tally, rest

    def _progress(
        self, request: HttpRequest, command: Command, tally: Tally, rest: list[int], back: str
    ) -> HttpResponse:
        """The page that says how far it is, and sends itself on with the rest."""
        seen = tally.asked - len(rest)
        told = {
            "chosen": as_ranges(rest),
            "asked_before": seen,
            "done_before": tally.done,
            "refused_before": tally.refused,
        }
        sent = [
            (name, value)
            for name, values in request.POST.lists()
            if name not in told and name not in NOT_SENT_ON
            for value in values
        ]
        return TemplateResponse(
            request,
            "homepot/admin/many_progress.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": f"{command.title}: {seen:,} of {self.counted(tally.asked)}",
                "done": f"{command.done}: {self.counted(tally.done)}.",
                "left": self.counted(len(rest)),
                "seen": seen,
                "asked": tally.asked,
                "back": back or request.get_full_path(),
                "hidden": [*sent, *told.items()],
            },
        )

    def _one_by_one(
        self,
        request: HttpRequest,
        command: Command,
        pks: list[int],
        fields: dict[str, Any],
        tally: Tally,
        ends_at: float,
    ) -> list[int]:
        """Those of `pks`, which are in order, that it did not come to in time."""
        for thing in self.get_queryset(request).filter(pk__in=pks).order_by("pk"):
            try:
                command.run(thing, request.user, **fields)
            except REFUSALS as refusal:
                tally.refused += 1
                if tally.refused <= REFUSALS_TOLD:
                    self.message_user(request, refusal_text(refusal), messages.ERROR)
            else:
                tally.done += 1
            if time.monotonic() >= ends_at:
                return [pk for pk in pks if pk > thing.pk]
        return []

    def _to_page(self, thing: Any) -> HttpResponse:
        return redirect(self.page_url(thing))


def _so_far(request: HttpRequest) -> Tally:
    """What earlier requests for the same choice did, as the page between them told."""
    names = ("asked_before", "done_before", "refused_before")
    numbers = [request.POST.get(name, "") for name in names]
    if not all(map(is_key, numbers)):
        return Tally()
    asked, done, refused = map(int, numbers)
    return Tally(asked=asked, done=min(done, asked), refused=min(refused, asked))


def _fields(form: CommandForm | None) -> dict[str, Any]:
    return {} if form is None else form.command_fields()
