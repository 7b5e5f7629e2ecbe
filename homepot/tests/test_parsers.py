"""What the strict parser lets through is the same after a stay in either database."""

from __future__ import annotations

import json
import math
from contextlib import suppress

import orjson
import pytest
from django.test import Client
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError, UnsupportedMediaType

from accounts.enums import Role
from accounts.tests.factories import make_api_key, make_user
from devices.tests.factories import make_device
from homepot.parsers import MAX_DEPTH, MAX_NUMBER, loads

DEVICE = "/api/v1/devices/devices/till-1"
HIGHEST = MAX_NUMBER - 1

same_everywhere = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
numbers = st.one_of(
    st.integers(-MAX_NUMBER, HIGHEST),
    st.floats(-MAX_NUMBER, MAX_NUMBER, exclude_min=True, exclude_max=True),
    st.sampled_from([HIGHEST, -MAX_NUMBER, -0.0, 1e16, 9.2e18, 5e-324, 2**53 + 1, 0.1, 1e15]),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(texts, inner, max_size=5)),
    max_leaves=20,
)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters())),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(st.characters()), inner)),
    max_leaves=10,
)


def spell(value):
    """`value` with its types, so that 1, 1.0 and True differ, and whatever the order of keys."""
    if isinstance(value, dict):
        return {key: spell(item) for key, item in value.items()}
    if isinstance(value, list):
        return [spell(item) for item in value]
    return type(value).__name__, value


def depth_of(value):
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


def parts_of(value):
    """Everything in `value` that is no list or object, and all keys."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from parts_of(item)
    else:
        yield value


@pytest.mark.django_db
@same_everywhere
@given(value=values)
def test_what_is_accepted_is_stored_and_read_back(device_as_operator, value):
    device, client = device_as_operator
    # One level each for the body and its config.
    assume(depth_of(value) <= MAX_DEPTH - 2)
    body = json.dumps({"config": {"x": value}}).encode()
    config = loads(body)["config"]

    answer = client.patch(DEVICE, body, content_type="application/json")

    assert answer.status_code == 200, answer.content
    device.refresh_from_db()
    assert spell(device.config) == spell(config)
    assert spell(orjson.loads(answer.content)["config"]) == spell(config)
    assert config == {"x": value}


@pytest.fixture
def device_as_operator(db):
    device = make_device(device_id="till-1")
    key = make_api_key(make_user(role=Role.OPERATOR))
    return device, Client(headers={"X-API-Key": key})


@same_everywhere
@given(value=anything)
@example(value={"a\0": 1})
@example(value={"\udc00": 1})
@example(value=[-MAX_NUMBER - 1])
@example(value=float("nan"))
def test_anything_else_is_refused(value):
    body = json.dumps(value).encode()
    try:
        parsed = loads(body)
    except ParseError:
        # There was a reason.
        assert depth_of(value) > MAX_DEPTH or any(map(is_refused, parts_of(value)))
    else:
        assert not any(map(is_refused, parts_of(parsed)))
        assert parsed == value


def is_refused(part):
    match part:
        case str():
            return "\0" in part or any("\ud800" <= character <= "\udfff" for character in part)
        case int():
            return not -MAX_NUMBER <= part <= HIGHEST
        case float():
            return not math.isfinite(part) or not -MAX_NUMBER < part < MAX_NUMBER
    return False


@pytest.mark.parametrize("depth", range(MAX_DEPTH - 2, MAX_DEPTH + 3))
@pytest.mark.parametrize(
    ("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")]
)
def test_depth_is_counted_over_lists_and_objects(depth, opening, closing):
    levels = opening.count(b"[") + opening.count(b"{")
    body = opening * (depth // levels) + b"1" + closing * (depth // levels)
    if depth // levels * levels <= MAX_DEPTH:
        assert depth_of(loads(body)) == depth // levels * levels
    else:
        with pytest.raises(ParseError):
            loads(body)


@same_everywhere
@given(body=st.binary())
@example(body=b"[" * 100_000)
@example(body=b'{"a":' * 100_000)
@example(body=b"9" * 100_000)
def test_no_bytes_crash_the_parser(body):
    with suppress(ParseError, UnsupportedMediaType):
        loads(body)
