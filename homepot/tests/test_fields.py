"""Fields of serializers that are made once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser
from rest_framework.exceptions import ValidationError

from accounts.tests.factories import make_user
from devices.serializers import DeviceSerializer
from homepot.fields import validated
from sites.tests.factories import make_site

pytestmark = pytest.mark.django_db


def checked(data, user, **options):
    context = {"request": SimpleNamespace(user=user)}
    return validated(DeviceSerializer(data=data, context=context, **options))


def test_fields_made_for_one_caller_are_the_next_ones_alone():
    site = make_site()
    body = {"name": "Till", "site_id": site.site_id}
    user = make_user()
    for _ in range(2):
        assert checked(body, user) == {"name": "Till", "site": site}
        # Nobody's sites are seen through the one before.
        with pytest.raises(ValidationError) as refused:
            checked(body, AnonymousUser())
        assert list(refused.value.detail) == ["site_id"]
        assert checked({"name": "Other"}, user, partial=True) == {"name": "Other"}
        with pytest.raises(ValidationError):
            checked({"name": "Other"}, user)
