"""Django's changepassword, by our service: audited, and it ends the account's tokens."""

from __future__ import annotations

import getpass
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import services
from accounts.models import User

TRIES = 3


class Command(BaseCommand):
    help = "Give an account a new password, asked for twice. Its sessions and tokens end."
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="the username or e-mail address")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.find_by_sign_in_name(options["username"])
        if user is None:
            raise CommandError(f"There is no account {options['username']!r}.")
        self.stdout.write(f"New password of {user}:")
        services.set_password(user=user, password=self._new_password(user), actor=None)
        self.stdout.write(f"The password of {user} has changed.")

    def _new_password(self, user: User) -> str:
        for _ in range(TRIES):
            password = self._typed("Password: ")
            if password != self._typed("Password (again): "):
                self.stderr.write("The two passwords differ.")
                continue
            try:
                validate_password(password, user)
            except ValidationError as error:
                self.stderr.write("\n".join(error.messages))
                continue
            return password
        raise CommandError(f"Gave up after {TRIES} attempts; the password is as it was.")

    def _typed(self, prompt: str) -> str:
        password = getpass.getpass(prompt)
        if not password:
            raise CommandError("Nothing was typed; the password is as it was.")
        return password
