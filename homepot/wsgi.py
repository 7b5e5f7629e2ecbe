"""The way in for another web server than that of `manage.py serve`, homepot/web_server.py."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "homepot.settings")
os.environ["HOMEPOT_PROCESS"] = "web"

import django

django.setup(set_prefix=False)

# They need the apps that the line above loads.
from django.urls import resolve  # noqa: E402

from homepot.handler import TolerantWSGIHandler  # noqa: E402
from homepot.warm_up import warm_up  # noqa: E402

application = TolerantWSGIHandler()
resolve("/")  # loads every URL
warm_up()
