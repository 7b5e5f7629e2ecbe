"""The web server's way in: `manage.py serve` starts it with granian."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "homepot.settings")
os.environ["HOMEPOT_PROCESS"] = "web"

from django.core.wsgi import get_wsgi_application

from homepot.warm_up import warm_up

application = get_wsgi_application()
warm_up()
