"""deploy/: what its files run is run here, as they say it, with the settings of their example."""

from __future__ import annotations

import configparser
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest
import yaml
from django.conf import settings

from homepot.testing.project import copy_project

DEPLOY = settings.BASE_DIR / "deploy"
UNITS = {path.name: path for path in (DEPLOY / "systemd").glob("homepot-*")}
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
HOST = "homepot.example.com"


def directives(name):
    """The lines of the Dockerfile that begin with `name`, each in one piece."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    return re.findall(rf"^{name} +(.*)$", text, re.MULTILINE)


def read_unit(path):
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read(path)
    return unit


def commands():
    """What the files run, by where they say it; each begins with the project's Python."""
    found = {"Dockerfile": json.loads(directives("CMD")[0])}
    for name, service in COMPOSE["services"].items():
        if "command" in service:
            found[f"compose.yaml {name}"] = service["command"]
    for name, path in UNITS.items():
        if path.suffix == ".service":
            program, *arguments = read_unit(path)["Service"]["ExecStart"].split()
            assert program == "/srv/homepot/.venv/bin/python"
            found[name] = ["python", *arguments]
    return found


@pytest.fixture
def installation(tmp_path, migrated_database_url):
    """The project in a folder of its own, with `.env` made from the example."""
    project = copy_project(tmp_path / "homepot")
    values = {"SECRET_KEY": secrets.token_urlsafe(48), "DATABASE__URL": migrated_database_url}
    example = (DEPLOY / ".env.production.example").read_text()
    for name, value in values.items():
        example, count = re.subn(rf"^{name}=.*$", f"{name}={value}", example, flags=re.MULTILINE)
        assert count == 1
    (project / ".env").write_text(example)
    (project / ".env").chmod(0o600)
    return project


@pytest.fixture
def run(installation, tmp_path):
    """Run a command of the files in the installation; what it is told besides comes last."""
    plain = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    python = str(installation / ".venv" / "bin" / "python")
    started = []

    def start(command, *more, wait=True):
        assert command[0] == "python"
        arguments = [python, *command[1:], *more]
        if wait:
            return subprocess.run(
                arguments, cwd=installation, env=plain, capture_output=True, text=True, timeout=300
            )
        output = tmp_path / f"output-{len(started)}"
        with output.open("wb") as file:
            process = psutil.Popen(arguments, cwd=installation, env=plain, stdout=file, stderr=file)
        started.append(process)
        return process

    yield start
    for process in started:
        # With their workers, which would outlive them.
        with suppress(psutil.NoSuchProcess):
            for member in [*process.children(recursive=True), process]:
                member.kill()
        process.wait()


def ask(port, path, **headers):
    request = Request(f"http://127.0.0.1:{port}{path}", headers={"Host": HOST, **headers})
    try:
        with urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except HTTPError as error:
        return error.code, error.headers, error.read().decode()
    except OSError:
        return None, {}, ""


def wait_for(is_so, *, seconds=30):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to be so"
        time.sleep(0.1)


def test_files_run_these_commands_and_no_others():
    migrate, worker = ["python", "manage.py", "migrate"], ["python", "manage.py", "run_worker"]
    web = ["python", "manage.py", "serve"]
    assert commands() == {
        "Dockerfile": [*web, "--host", "0.0.0.0"],
        "compose.yaml migrate": migrate,
        "compose.yaml web": [*web, "--host", "0.0.0.0"],
        "compose.yaml worker": worker,
        "homepot-web.service": web,
        "homepot-worker.service": worker,
        "homepot-backup.service": ["python", "manage.py", "backup", "--keep", "14"],
    }


def test_what_the_files_run_makes_a_service(run, installation, free_port):
    told = commands()
    migrated = run(told["compose.yaml migrate"])
    assert migrated.returncode == 0, migrated.stderr
    web = run(told["compose.yaml web"], "--port", free_port, wait=False)
    worker = run(told["homepot-worker.service"], wait=False)
    wait_for(lambda: ask(free_port, "/readyz")[0] == 200)
    status, headers, page = ask(free_port, "/admin/login/", **{"X-Forwarded-Proto": "https"})
    assert (status, "max-age" in headers["Strict-Transport-Security"]) == (200, True)
    stylesheet = re.search(r'href="(/static/[^"]+\.css)', page)[1]
    assert ask(free_port, stylesheet)[0] == 200
    assert ask(free_port, "/api/v1/sites/sites")[0] == 401
    backup = run(told["homepot-backup.service"])
    assert backup.returncode == 0, backup.stderr
    doctor = run(["python", "manage.py", "doctor", "--json"])
    levels = {each["about"]: each["level"] for each in json.loads(doctor.stdout)["findings"]}
    # The run's own PostgreSQL forgets what a power cut would take.
    assert {about for about, level in levels.items() if level == "problem"} <= {"durability"}
    (check,) = directives("HEALTHCHECK")
    program, flag, code = json.loads(check.partition(" CMD ")[2])
    probe = [program, flag, code.replace(":8000/", f":{free_port}/")]
    assert run(probe).returncode == 0
    for process in (web, worker):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert run(probe).returncode == 1


def test_image_holds_the_service_and_no_secrets():
    assert directives("WORKDIR") == ["/srv/homepot", "/srv/homepot"]
    assert directives("USER") == ["homepot"]
    assert "requirements.txt" in directives("COPY")[0]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {".env", "**/.env", ".git", ".venv", "data"} <= set(ignored)


def test_compose_starts_in_order_and_keeps_data():
    services = COMPOSE["services"]
    assert set(services) == {"postgres", "migrate", "web", "worker"}
    assert services["postgres"]["image"] == "postgres:16"
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in ("web", "worker"):
        waits = services[name]["depends_on"]["migrate"]["condition"]
        assert waits == "service_completed_successfully"
        assert services[name]["volumes"] == ["data:/srv/homepot/data"]
    # To this machine only: the proxy ends TLS.
    assert services["web"]["ports"] == ["127.0.0.1:8000:8000"]
    assert set(COMPOSE["volumes"]) == {"data", "postgres"}
    url = services["web"]["environment"]["DATABASE__URL"]
    assert re.match(
        r"postgresql://homepot:\$\{POSTGRES_PASSWORD:\?.*\}@postgres:5432/homepot$", url
    )


def test_units_are_good(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    for name, path in UNITS.items():
        text = path.read_text().replace("/srv/homepot/.venv/bin/python", sys.executable)
        (tmp_path / name).write_text(text.replace("User=homepot", "User=root"))
    for name in UNITS:
        checked = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)],
            capture_output=True,
            text=True,
        )
        about = [line for line in checked.stderr.splitlines() if name in line]
        assert about == []


def test_units_keep_the_service_to_its_folder():
    for name in ("homepot-web.service", "homepot-worker.service", "homepot-backup.service"):
        service = read_unit(UNITS[name])["Service"]
        assert service["User"] == "homepot"
        assert service["WorkingDirectory"] == "/srv/homepot"
        assert service["ReadWritePaths"] == "/srv/homepot/data"
        assert (service["ProtectSystem"], service["NoNewPrivileges"]) == ("strict", "yes")


@pytest.fixture
def nginx(tmp_path, free_port):
    """Start nginx with our file in front of a port of this machine; yields its ports."""
    if not shutil.which("nginx"):
        pytest.skip("there is no nginx")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", f"/CN={HOST}", "-keyout", "privkey.pem", "-out", "fullchain.pem"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            ports.append(str(probe.getsockname()[1]))
    site = (DEPLOY / "nginx" / "homepot.conf").read_text()
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{ports[0]};",
        "listen 443 ssl": f"listen 127.0.0.1:{ports[1]} ssl",
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{free_port};",
        "/etc/ssl/homepot": str(tmp_path),
    }.items():
        assert old in site
        site = site.replace(old, new)
    site = re.sub(r"^ +listen \[::\].*\n", "", site, flags=re.MULTILINE)
    (tmp_path / "nginx.conf").write_text(
        f"{'user root;' if os.geteuid() == 0 else ''} daemon off; pid {tmp_path}/pid;\n"
        f"error_log stderr; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {tmp_path}/body;"
        f" proxy_temp_path {tmp_path}/proxy; fastcgi_temp_path {tmp_path}/fastcgi;"
        f" uwsgi_temp_path {tmp_path}/uwsgi; scgi_temp_path {tmp_path}/scgi;\n{site}\n}}\n"
    )
    arguments = ["nginx", "-p", str(tmp_path), "-c", "nginx.conf"]
    checked = subprocess.run([*arguments, "-t"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    yield ports
    process.terminate()
    process.wait(10)


def test_nginx_in_front_ends_tls_and_tells_who_asked(run, nginx, free_port, tmp_path):
    plain, secure = nginx
    run(commands()["homepot-web.service"], "--port", free_port, wait=False)

    def curl(path, *options, port=secure, scheme="https"):
        # --resolve: by the name that the certificate and ALLOWED_HOSTS have.
        ran = subprocess.run(
            [
                *("curl", "-sk", "-i", "--resolve", f"{HOST}:{port}:127.0.0.1"),
                *(*options, f"{scheme}://{HOST}:{port}{path}"),
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        return ran.stdout

    wait_for(lambda: " 200" in curl("/livez").partition("\n")[0])
    login = curl("/admin/login/")
    assert "strict-transport-security: max-age" in login.lower()
    assert "; Secure" in login
    assert "301" in curl("/admin/", port=plain, scheme="http").partition("\n")[0]
    assert "403" in curl("/api/v1/sites/sites", port=plain, scheme="http").partition("\n")[0]
    # What HOMEPOT takes as a batch passes, and its own words come back for what it refuses.
    body = tmp_path / "sent"
    body.write_bytes(b"x" * 10_000_000)
    refused = curl("/api/v1/auth/login", "--data-binary", f"@{body}")
    assert '"code":"payload_too_large"' in refused
    body.write_bytes(b"x" * 12_000_000)
    assert "<center>nginx" in curl("/api/v1/auth/login", "--data-binary", f"@{body}")
