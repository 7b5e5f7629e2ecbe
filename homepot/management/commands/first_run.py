"""Fill a new database with what a first look needs."""

from __future__ import annotations

import os
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils.crypto import get_random_string

from accounts import services
from accounts.enums import Role
from accounts.models import User
from sites.models import Site

USERNAME = "admin"
EMAIL = "admin@example.com"
PASSWORD_LENGTH = 20


class Command(BaseCommand):
    help = (
        "Load the demo's sites into a database that has none, and open the first admin account, "
        "with DJANGO_SUPERUSER_PASSWORD or a random password. Does nothing a second time."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        given_password = os.environ.get("DJANGO_SUPERUSER_PASSWORD")
        password = given_password or get_random_string(PASSWORD_LENGTH)
        with transaction.atomic():
            is_empty = not Site.objects.exists()
            if is_empty:
                call_command("loaddata", "seed", verbosity=0)
            api_key = self.open_first_account(password)
        # What is told here has happened: the transaction is over.
        if is_empty:
            self.stdout.write("Loaded the sites and devices of the demo.")
        if api_key:
            shown = "the one in DJANGO_SUPERUSER_PASSWORD" if given_password else password
            self.stdout.write(
                "Opened the first admin account. These are shown only now:\n\n"
                f"  User name  {USERNAME}\n"
                f"  Password   {shown}\n"
                f"  API key    {api_key}\n"
            )

    def open_first_account(self, password: str) -> str | None:
        """Open the account and return its API key; None when there is an admin already."""
        if User.objects.filter(role=Role.ADMIN).exists():
            return None
        try:
            user = services.create_user(
                username=USERNAME, email=EMAIL, password=password, actor=None, role=Role.ADMIN
            )
        except ValidationError as error:
            raise CommandError(
                f"The first admin account cannot be opened: {' '.join(error.messages)} Open one "
                "with `python manage.py createsuperuser`."
            ) from None
        return services.create_api_key(user=user, actor=None)
