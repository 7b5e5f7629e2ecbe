"""The web server's way in: `manage.py serve` starts it with granian."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "homepot.settings")
os.environ["HOMEPOT_PROCESS"] = "web"

import django

django.setup(set_prefix=False)

# They need the apps that the line above loads.
from homepot.handler import TolerantWSGIHandler  # noqa: E402
from homepot.warm_up import warm_up  # noqa: E402

application = TolerantWSGIHandler()
warm_up()
