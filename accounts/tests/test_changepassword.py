from __future__ import annotations

import getpass

import pytest
from django.core.management import CommandError, call_command
from knox.models import AuthToken

from accounts.tests.factories import make_token, make_user
from audit.models import AuditLog

pytestmark = pytest.mark.django_db

GOOD = "battery horse staple"


@pytest.fixture
def typed(monkeypatch):
    """A list of what will be typed, one prompt after the other."""
    answers: list[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda prompt: answers.pop(0))
    return answers


def test_changepassword_is_audited_and_ends_tokens(typed, capsys):
    user = make_user(username="ann", email="ann@example.com")
    make_token(user)
    typed += ["short", "short", GOOD, "a typo", GOOD, GOOD]

    call_command("changepassword", "Ann@Example.com")

    user.refresh_from_db()
    assert user.check_password(GOOD)
    assert not user.must_change_password
    assert not AuthToken.objects.exists()
    row = AuditLog.objects.get()
    assert (row.event_type, row.actor_kind, row.target_label) == (
        "password_changed",
        "system",
        "ann",
    )
    assert GOOD not in capsys.readouterr().out


@pytest.mark.parametrize("answers", [["1", "2"] * 3, [""]])
def test_changepassword_gives_up(typed, answers):
    user = make_user(username="ann")
    typed += answers
    with pytest.raises(CommandError, match="as it was"):
        call_command("changepassword", "ann")
    assert not AuditLog.objects.exists()
    assert not user.has_usable_password()


def test_changepassword_of_nobody_is_refused():
    with pytest.raises(CommandError, match="no account 'nobody'"):
        call_command("changepassword", "nobody")
