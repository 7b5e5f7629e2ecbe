"""`make run` in a copy of the project: the same steps, with packages that are there already."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import stat
from contextlib import closing
from functools import partial
from http.cookiejar import CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

import pytest

from homepot.testing.project import copy_project
from homepot.tests.conftest import assert_refused, run_python

RUN = ("-m", "scripts.run")
READY = "HOMEPOT is running"


@pytest.fixture
def project(tmp_path):
    """A copy whose `.venv` counts as installed."""
    copy = copy_project(tmp_path / "project")
    run_python(
        "-c",
        "from scripts import environment as e;"
        "e.STAMP.write_text(e.json.dumps({'requirements.txt': e._digest('requirements.txt')}))",
        cwd=copy,
    )
    return copy


@pytest.fixture
def run(start, project, empty_database_url, free_port):
    """Start `make run` on an empty database."""
    return partial(
        start,
        *RUN,
        cwd=project,
        DATABASE__URL=empty_database_url,
        HOMEPOT_ENV_FILE=str(project / ".env"),
        PORT=free_port,
        SECRET_KEY="",
    )


def get(port, path, **headers):
    with urlopen(Request(f"http://127.0.0.1:{port}{path}", headers=headers), timeout=20) as answer:
        return json.load(answer)


def sign_in(port, username, password):
    """Sign in to the admin; return where that led."""
    cookies = CookieJar()
    browser = build_opener(HTTPCookieProcessor(cookies))
    login = f"http://127.0.0.1:{port}/admin/login/?next=/admin/"
    browser.open(login, timeout=20).close()
    (token,) = [cookie.value for cookie in cookies if cookie.name == "csrftoken"]
    form = {"username": username, "password": password, "csrfmiddlewaretoken": token}
    with browser.open(login, urlencode(form).encode(), timeout=20) as answer:
        return answer.url


def test_first_run_gives_a_server_with_data_and_an_account(run, project, free_port):
    program = run()
    program.wait_for(READY)
    sites = get(free_port, "/api/v1/sites/sites")["sites"]
    assert [site["site_id"] for site in sites] == ["site-003", "site-002", "site-001"]
    password = re.search(r"Password +(\S{20})\n", program.output)
    key = re.search(r"API key +(hpk_\S{43})\n", program.output)
    assert password
    assert key
    devices = get(free_port, "/api/v1/devices/devices", **{"X-API-Key": key[1]})["devices"]
    assert len(devices) == 12
    assert sign_in(free_port, "admin", password[1]).endswith("/admin/")
    assert f"http://127.0.0.1:{free_port}/admin/" in program.output
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600
    assert program.end(signal.SIGINT, group=True) == 0
    assert "Traceback" not in program.output


def test_second_run_changes_nothing(run, project, free_port):
    first = run()
    first.wait_for(READY)
    first.end(signal.SIGTERM)
    env_file = (project / ".env").read_text()
    second = run()
    second.wait_for(READY)
    assert "Password" not in second.output
    assert "API key" not in second.output
    assert len(get(free_port, "/api/v1/sites/sites")["sites"]) == 3
    assert (project / ".env").read_text() == env_file
    assert second.end(signal.SIGTERM) == 0


def test_password_that_was_given_is_not_shown(run, free_port):
    program = run(DJANGO_SUPERUSER_PASSWORD="correct horse battery")
    program.wait_for(READY)
    assert "correct horse battery" not in program.output
    assert sign_in(free_port, "admin", "correct horse battery").endswith("/admin/")


def test_anonymous_reading_stays_off_where_somebody_turned_it_off(run, project, free_port):
    (project / ".env").write_text("API__ANONYMOUS_READ=false\n")
    run().wait_for(READY)
    request = Request(f"http://127.0.0.1:{free_port}/api/v1/sites/sites")
    with pytest.raises(OSError, match="401"):
        urlopen(request, timeout=20)


def test_wrong_database_ends_in_one_line(project):
    assert_refused(
        run_python(*RUN, cwd=project, DATABASE__URL="mysql://till:s3cret@db/homepot"),
        "homepot: DATABASE__URL starts with 'mysql'",
    )


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ({"PORT": "http"}, "PORT is 'http', which is no number."),
        ({"PORT": "70000"}, "70000 is no port"),
        ({"HOST": "192.0.2.1"}, "192.0.2.1 is no address of this machine"),
    ],
)
def test_wrong_address_ends_in_one_line(project, address, words):
    assert_refused(run_python(*RUN, cwd=project, **address), f"homepot: {words}")


def test_taken_port_ends_in_one_line_before_anything_is_done(project):
    shutil.rmtree(project / ".venv")
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        result = run_python(*RUN, cwd=project, PORT=str(port))
    assert_refused(result, f"homepot: Port {port} on 127.0.0.1 is taken by another program")
    assert not (project / ".venv").exists()
