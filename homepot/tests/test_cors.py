"""What programs in a browser, on pages from elsewhere, may do."""

from __future__ import annotations

import pytest

ORIGIN = "https://panel.example.com"
SITES = "/api/v1/sites/sites"


@pytest.fixture(autouse=True)
def origins(settings):
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "idempotency-key", "content-type"])
def test_browsers_may_send_what_programs_need(name, client):
    answer = client.options(
        SITES,
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": name,
        },
    )
    assert answer["Access-Control-Allow-Origin"] == ORIGIN
    assert name in answer["Access-Control-Allow-Headers"].split(", ")


@pytest.mark.django_db
def test_programs_in_browsers_sign_in_with_a_key_and_read_how_it_went(viewer):
    answer = viewer.get(SITES, headers={"Origin": ORIGIN})
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    exposed = answer["Access-Control-Expose-Headers"].split(", ")
    assert {"ETag", "X-Request-ID"} <= set(exposed) & set(answer.headers)


@pytest.mark.parametrize(
    ("path", "origin"), [(SITES, "https://elsewhere.example.com"), ("/admin/login/", ORIGIN)]
)
@pytest.mark.django_db
def test_others_may_not(path, origin, client):
    answer = client.get(path, headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer
