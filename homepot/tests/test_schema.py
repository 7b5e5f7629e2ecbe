"""The API's description of itself: valid, whole, true, and readable without the internet."""

from __future__ import annotations

import json
import shutil

import pytest
import schemathesis
from django.contrib.admindocs.views import simplify_regex
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.urls import URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from hypothesis import HealthCheck, Phase, settings
from playwright.sync_api import sync_playwright
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.enums import Role
from accounts.tests.factories import make_api_key, make_user
from devices.tests.factories import make_device, make_health_check
from homepot.csp import API_DOCS
from homepot.errors import PROBLEM_CONTENT_TYPE
from homepot.handler import TolerantWSGIHandler
from sites.tests.factories import make_site

SCHEMA = "/api/v1/schema"
DOCS = "/api/v1/docs"


def make_document():
    return json.loads(OpenApiJsonRenderer().render(SchemaGenerator().get_schema(public=True)))


DOCUMENT = make_document()
described = schemathesis.openapi.from_dict(DOCUMENT)
described.app = TolerantWSGIHandler()


@pytest.fixture
def fleet(db):
    """Something behind each of the ids that a path can hold; and the key of an admin."""
    device = make_device(
        device_id="till-1",
        site=make_site(site_id="site-900"),
        ip_address="10.0.0.1",
        config={"lanes": [1, 2.5, None]},
        os_details={"name": "Linux"},
    )
    make_health_check(device=device, response_data={"cpu": 5}, status_code=200)
    key = make_api_key(make_user(role=Role.ADMIN))
    return key, {"site_id": "site-900", "device_id": "till-1", "id": make_user().pk}


@pytest.fixture
def one_connection():
    """Keep the test's transaction: between requests a web server gives connections back."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@described.parametrize()
@settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_described(case, fleet, one_connection):
    key, ids = fleet
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    case.call_and_validate(headers={"X-API-Key": key}, checks=checks)
    if case.path_parameters:
        # Made-up ids lead nowhere: the same again with those of something that is there.
        case.path_parameters = {name: ids.get(name, "x") for name in case.path_parameters}
        case.call_and_validate(headers={"X-API-Key": key}, checks=checks)


def test_the_document_is_valid_and_complete_without_warnings(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yml"))


def routes(resolver, prefix=""):
    """The method and documented path of each API route that the URLs know."""
    for entry in resolver.url_patterns:
        pattern = prefix + str(entry.pattern).removeprefix("^")
        if isinstance(entry, URLResolver):
            yield from routes(entry, pattern)
        elif pattern.startswith("api/") and entry.name not in ("schema", "docs"):
            view = entry.callback
            methods = getattr(view, "actions", None) or view.cls().allowed_methods
            path = simplify_regex(pattern).replace("<pk>", "<id>")
            path = path.replace("<", "{").replace(">", "}").rstrip("/")
            yield from ((method.lower(), path) for method in methods)


def test_the_document_covers_every_route_and_no_other():
    known = {route for route in routes(get_resolver()) if route[0] not in ("head", "options")}
    documented = {
        (method, path) for path, operations in DOCUMENT["paths"].items() for method in operations
    }
    assert ("get", "/api/v1/sites/sites/{site_id}") in known
    assert known == documented


def test_every_operation_names_its_errors():
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            assert {"400", "401", "403", "503"} <= set(answers), (method, path)
            # The enrolment names its site in the body.
            names_a_thing = "{" in path or path.endswith("/bootstrap-provision")
            assert ("404" in answers) == names_a_thing
            for code, answer in answers.items():
                if code >= "400":
                    assert list(answer["content"]) == [PROBLEM_CONTENT_TYPE], (method, path, code)


def test_lists_are_described_with_their_pages():
    listing = DOCUMENT["paths"]["/api/v1/devices/sites/{site_id}/devices"]["get"]
    names = {parameter["name"] for parameter in listing["parameters"]}
    assert {"site_id", "limit", "cursor", "ordering", "count", "status", "search"} <= names
    reference = listing["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    page = DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]
    assert page["required"] == ["devices", "next", "previous"]


def test_descriptions_are_written_for_readers_of_the_api():
    for name, component in DOCUMENT["components"]["schemas"].items():
        assert "erializer" not in component.get("description", ""), name


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/vnd.oai.openapi+json", "application/vnd.oai.openapi+json"),
        ("application/yaml", "application/yaml"),
    ],
)
def test_the_document_is_served_to_everybody(client, accept, content_type):
    answer = client.get(SCHEMA, headers={"Accept": accept} if accept else {})
    assert answer.status_code == 200
    assert answer["Content-Type"].partition(";")[0] == content_type
    if "json" in content_type:
        assert answer.json() == DOCUMENT


@pytest.fixture
def browser():
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("No Chromium: nobody looked at the documentation. Install `chromium`.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def test_the_documentation_needs_no_other_host(live_server, browser):
    page = browser.new_page()
    complaints, elsewhere = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def only_here(route):
        if route.request.url.startswith((live_server.url, "data:")):
            route.continue_()
        else:
            elsewhere.append(route.request.url)
            route.abort()

    page.route("**/*", only_here)
    answer = page.goto(live_server.url + DOCS)
    page.wait_for_selector(".opblock")

    assert answer.headers["content-security-policy"] == API_DOCS
    assert page.title() == "HOMEPOT API"
    operations = sum(len(operations) for operations in DOCUMENT["paths"].values())
    assert page.locator(".opblock").count() == operations
    page.get_by_role("button", name="GET /api/v1/sites/sites", exact=True).click()
    page.wait_for_selector("text=As given in")
    assert (complaints, elsewhere) == ([], [])
