"""The web server's way in: `manage.py serve` starts it with granian."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "homepot.settings")
os.environ["HOMEPOT_PROCESS"] = "web"

import django

from homepot.handler import TolerantWSGIHandler
from homepot.warm_up import warm_up

django.setup(set_prefix=False)
application = TolerantWSGIHandler()
warm_up()
