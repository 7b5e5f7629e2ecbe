"""A new key that several calls of its device use at once."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.keys import digest_of
from devices.check_in import check_in
from devices.check_in.caller import Caller
from devices.reports import Report
from devices.tests.factories import make_credential, make_device
from homepot.testing.threads import run_together

pytestmark = pytest.mark.django_db(transaction=True)


def test_first_uses_at_once_all_succeed_and_end_the_older_keys():
    for _ in range(5):
        device = make_device()
        for _ in range(20):
            make_credential(device)
        key = make_credential(device)
        headers = {"X-Device-ID": device.device_id, "X-API-Key": key}
        caller = Caller(device.device_id, digest_of(key))

        def fetch(headers=headers):
            return APIClient().get("/api/v1/devices/pending", headers=headers).status_code == 200

        check = partial(check_in, caller, Report(), told=timedelta(seconds=60), now=timezone.now())
        answers = run_together(fetch, check, fetch, check, fetch, check)

        assert None not in answers
        assert False not in answers
        assert device.credentials.filter(revoked_at=None).count() == 1
