"""Settings, read from the environment or from `.env` beside manage.py.

`.env.example` describes every variable.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from corsheaders.defaults import default_headers
from django.core.exceptions import ImproperlyConfigured

from homepot.branding import UNFOLD as UNFOLD
from homepot.database import POSTGRESQL_ENGINE, SQLITE_ENGINE, database_options, read_only_options
from homepot.env import Env
from homepot.logging import logging_options
from homepot.secret_key import check_production_secret, make_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
ENV_FILE = Path(os.environ.get("HOMEPOT_ENV_FILE", BASE_DIR / ".env"))

if not os.environ.get("SECRET_KEY"):
    # Set to nothing counts as not set, so that the one in the file is used.
    os.environ.pop("SECRET_KEY", None)
env = Env()
env.read_env(ENV_FILE)

# Where it runs

ENVIRONMENT = env.str("ENVIRONMENT", default="development")
if ENVIRONMENT not in ("development", "production"):
    raise ImproperlyConfigured(
        f"ENVIRONMENT is {ENVIRONMENT!r}; it must be development or production."
    )
IS_PRODUCTION = ENVIRONMENT == "production"
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

if IS_PRODUCTION:
    if DEBUG:
        raise ImproperlyConfigured("DEBUG must be off when ENVIRONMENT is production.")
    if "*" in ALLOWED_HOSTS:
        raise ImproperlyConfigured("ALLOWED_HOSTS must name the hosts in production, not '*'.")
    check_production_secret(SECRET_KEY)
elif not SECRET_KEY:
    SECRET_KEY = make_secret_key(ENV_FILE)

# The database

# wsgi.py says so: its threads share a pool, a command has one connection.
IS_WEB_PROCESS = os.environ.get("HOMEPOT_PROCESS") == "web"
POOL_SIZE = env.int("DATABASE__POOL_SIZE", default=5)
MAX_OVERFLOW = env.int("DATABASE__MAX_OVERFLOW", default=10)
DATABASES = {
    "default": database_options(
        env.str("DATABASE__URL", default=""),
        base_dir=BASE_DIR,
        pool_size=POOL_SIZE,
        max_overflow=MAX_OVERFLOW,
        is_web_process=IS_WEB_PROCESS,
    )
}
# The owner of the tables, for commands that make them, where the service has another role.
OWNER_URL = env.str("DATABASE__OWNER_URL", default="")
OWNER_DATABASE = (
    database_options(
        OWNER_URL, base_dir=BASE_DIR, pool_size=1, max_overflow=0, is_web_process=False
    )
    if OWNER_URL and DATABASES["default"]["ENGINE"] == POSTGRESQL_ENGINE
    else DATABASES["default"]
)
if OWNER_DATABASE["NAME"] != DATABASES["default"]["NAME"]:
    raise ImproperlyConfigured("DATABASE__OWNER_URL names another database than DATABASE__URL.")
# Nothing is written but by the owner's commands: see homepot/read_only.py.
MAINTENANCE_READ_ONLY = env.bool("MAINTENANCE__READ_ONLY", default=False)
if MAINTENANCE_READ_ONLY:
    DATABASES["default"] = read_only_options(DATABASES["default"])
if Path(DATABASES["default"]["NAME"]).parent == BASE_DIR / "data":
    # Nothing to set up: SQLite's default folder makes itself. If it cannot, connecting says so.
    with suppress(OSError):
        (BASE_DIR / "data").mkdir(mode=0o700, exist_ok=True)
# Where backups go; beside SQLite's file it is the same disk, but also the same rights.
BACKUP_FOLDER = BASE_DIR / (
    env.str("BACKUP__FOLDER", default="")
    or (
        Path(DATABASES["default"]["NAME"]).parent / "backups"
        if DATABASES["default"]["ENGINE"] == SQLITE_ENGINE
        else "data/backups"
    )
)
ECHO_SQL = env.bool("DATABASE__ECHO_SQL", default=False)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
FIXTURE_DIRS = [BASE_DIR / "fixtures"]

# The application

INSTALLED_APPS = [
    # Before accounts, which takes its page of the admin away again.
    "knox",
    # Before Django's own: homepot replaces its migrate, accounts its changepassword.
    "homepot",
    "accounts",
    "audit",
    "sites",
    "devices",
    "jobs",
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "accounts.admin_config.HomepotAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "corsheaders",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "homepot.metrics.middleware.MeasuringMiddleware",
    "homepot.middleware.RequestContextMiddleware",
    "homepot.middleware.ShortPathMiddleware",
    "homepot.middleware.ProgramMiddleware",
    "homepot.middleware.SecurityPolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "homepot.middleware.RefuseBadBytesMiddleware",
    "homepot.middleware.ReadOnlyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "homepot.entity_tags.EntityTagMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "accounts.middleware.TryAgainLaterMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "audit.middleware.RefusedPermissionMiddleware",
]
# Those of the above that matter to programs, who call with a key or token and without a browser.
PROGRAM_MIDDLEWARE = [
    "homepot.middleware.SecurityPolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "homepot.middleware.RefuseBadBytesMiddleware",
    "homepot.middleware.ReadOnlyMiddleware",
    "homepot.entity_tags.EntityTagMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "audit.middleware.RefusedPermissionMiddleware",
]

ROOT_URLCONF = "homepot.urls"
WSGI_APPLICATION = "homepot.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
FORMAT_MODULE_PATH = "homepot.formats"

STATIC_URL = "/static/"
# Files are served from the packages themselves; nothing has to be collected first.
WHITENOISE_USE_FINDERS = True

FILE_UPLOAD_HANDLERS = [
    "homepot.uploads.LimitedUploadHandler",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

# Accounts

AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = ["accounts.hashers.Argon2Hasher"]
SESSION_ENGINE = "accounts.sessions"
AUTHENTICATION_BACKENDS = ["accounts.backends.PasswordBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "accounts.validators.MaximumLengthValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

AUTH_SIGNUP = env.str("AUTH__SIGNUP", default="open")
if AUTH_SIGNUP not in ("open", "closed"):
    raise ImproperlyConfigured(f"AUTH__SIGNUP is {AUTH_SIGNUP!r}; it must be open or closed.")
ACCESS_TOKEN_HOURS = env.int("AUTH__ACCESS_TOKEN_HOURS", default=12)
if not 1 <= ACCESS_TOKEN_HOURS <= 8760:
    raise ImproperlyConfigured("AUTH__ACCESS_TOKEN_HOURS must be 1 to 8760, which is a year.")
REST_KNOX = {"TOKEN_TTL": timedelta(hours=ACCESS_TOKEN_HOURS), "TOKEN_PREFIX": "hpt_"}

AXES_HANDLER = "accounts.axes_handler.SignInHandler"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_CALLABLE = "accounts.lockout.axes_username"
AXES_CLIENT_IP_CALLABLE = "accounts.lockout.counted_address"
# Its pages would let counts be changed and deleted unaudited; accounts has its own.
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# Web security

THROTTLE_RATES = {
    "login": env.rate("THROTTLE__LOGIN", default="30/minute"),
    "signup": env.rate("THROTTLE__SIGNUP", default="5/hour"),
    "password": env.rate("THROTTLE__PASSWORD", default="10/hour"),
    "api_key": env.rate("THROTTLE__API_KEY", default="20/hour"),
    "provision": env.rate("THROTTLE__PROVISION", default="120/minute"),
}
CORS_ALLOWED_ORIGINS = env.list("CORS_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/api/"
# What programs in a browser may send besides, and read of an answer.
CORS_ALLOW_HEADERS = [
    *default_headers,
    "x-api-key",
    "idempotency-key",
    "if-none-match",
    "x-request-id",
]
CORS_EXPOSE_HEADERS = ["ETag", "Retry-After", "X-Request-ID"]
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")
SESSION_COOKIE_SECURE = IS_PRODUCTION
CSRF_COOKIE_SECURE = IS_PRODUCTION
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if IS_PRODUCTION else 0
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    "axes.W002",  # our backend raises what the middleware it asks for would answer
    # TLS ends at the proxy, which redirects people; a device's write must never be redirected.
    "security.W008",
    # Whether other hosts of the domain have TLS is its owner's to know.
    "security.W005",
    "security.W021",
]

# The API

API_ANONYMOUS_READ = env.bool("API__ANONYMOUS_READ", default=False)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        # The first one names the scheme of a 401's WWW-Authenticate.
        "accounts.authentication.TokenAuthentication",
        "accounts.authentication.ApiKeyAuthentication",
        "accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.PolicyPermission"],
    "DEFAULT_PARSER_CLASSES": [
        "homepot.parsers.StrictJSONParser",
        "homepot.parsers.MislabelledJSONParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["homepot.renderers.ORJSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "homepot.schema.ProblemSchema",
    "EXCEPTION_HANDLER": "homepot.errors.problem_response",
    # Representations are chosen by Accept, never by a query parameter.
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "TEST_REQUEST_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "HOMEPOT API",
    "DESCRIPTION": "Sites, devices and their health, jobs for them, users, and the audit log.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "DeviceStatusEnum": "devices.enums.DeviceStatus",
        "JobStatusEnum": "jobs.enums.JobStatus",
        "ExecutionStatusEnum": "jobs.enums.ExecutionStatus",
        "JobActionEnum": "jobs.enums.JobAction",
        "NewJobActionEnum": "jobs.enums.ORDERED_ACTIONS",
        "OutcomeEnum": "jobs.enums.REPORTABLE_CHOICES",
    },
    "SCHEMA_PATH_PREFIX": r"/api/v1/",
    "PREPROCESSING_HOOKS": ["homepot.schema.without_final_slash"],
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# Devices

CHECK_IN_SECONDS = env.int("DEVICES__CHECK_IN_SECONDS", default=60)
# Unhealthy checks in a row that make a device's status `error`; more damp flapping.
BAD_CHECKS_FOR_ERROR = env.int("DEVICES__BAD_CHECKS_FOR_ERROR", default=1)
KEY_OVERLAP_HOURS = env.int("DEVICES__KEY_OVERLAP_HOURS", default=24)
# How long single checks, their sums by minute and events are kept; and how long sums by hour and
# changes of status.
HISTORY_DAYS = env.int("DEVICES__HISTORY_DAYS", default=7)
ROLLUP_DAYS = env.int("DEVICES__ROLLUP_DAYS", default=400)
for name, number in (
    ("CHECK_IN_SECONDS", CHECK_IN_SECONDS),
    ("BAD_CHECKS_FOR_ERROR", BAD_CHECKS_FOR_ERROR),
    ("KEY_OVERLAP_HOURS", KEY_OVERLAP_HOURS),
    # What is older is deleted.
    ("HISTORY_DAYS", HISTORY_DAYS),
    ("ROLLUP_DAYS", ROLLUP_DAYS),
):
    if number < 1:
        raise ImproperlyConfigured(f"DEVICES__{name} is {number}; it must be 1 or more.")

# Off REST framework's path, and past most of the middleware: the bulk of all traffic, and what
# has to answer when little else does.
SHORT_PATHS = {
    "/api/v1/agent/check-in": "jobs.protocol.check_in.check_in_view",
    "/livez": "homepot.probes.livez",
    "/readyz": "homepot.probes.readyz",
    "/api/v1/health/health": "homepot.probes.health",
    "/api/v1/agent/heartbeat": "devices.protocol.check_in_views.heartbeat_view",
}

# What they send as most devices do is answered before that: see homepot/short_calls.py.
SHORT_CALLS = {
    "/api/v1/agent/check-in": "jobs.protocol.check_in.check_in_at_once",
    "/api/v1/agent/check-ins": "devices.protocol.batches.check_ins_at_once",
    "/api/v1/agent/heartbeat": "devices.protocol.check_in_views.heartbeat_at_once",
}

# When requests come faster than answers: see homepot/admission.py. Devices make these calls by the
# thousand, and make them again; all others go first.
DEFERRABLE_PATHS = frozenset(
    {
        "/api/v1/agent/check-in",
        "/api/v1/agent/check-ins",
        "/api/v1/agent/heartbeat",
        "/api/v1/agent/telemetry",
        "/api/v1/agent/logs",
        "/api/v1/devices/pending",
        "/api/v1/push/pending",
    }
)
# Answered at once, for they must answer when little else does.
UNDELAYED_PATHS = frozenset({"/livez", "/readyz", "/api/v1/health/health", "/metrics"})
MAX_WAITING_CHECK_INS = env.int("DEVICES__MAX_WAITING_CHECK_INS", default=64)
if not 1 <= MAX_WAITING_CHECK_INS <= 1000:
    raise ImproperlyConfigured(
        f"DEVICES__MAX_WAITING_CHECK_INS is {MAX_WAITING_CHECK_INS}; it must be 1 to 1000."
    )

# What ends the work of a device that leaves: is suspended, retired, moved or re-enrolled.

DEVICE_LEAVING = ["jobs.services.end_device_work"]

# What every process of the service does every few seconds, in a thread: see homepot/pulse.py.

PULSE_TASKS = ["devices.pulse.count_active_devices"]
if IS_WEB_PROCESS:
    # A worker that lives tells nothing of whether devices were heard.
    PULSE_TASKS.append("devices.pulse.beat")
# Often enough that no interval passes without a beat.
PULSE_SECONDS = min(5.0, CHECK_IN_SECONDS / 4)

# What workers do by themselves, with the seconds from one run to the next: see homepot/sweeps.py.

SWEEPS: dict[str, float] = {
    "jobs.sweeps.release_scheduled_jobs": 2,
    "jobs.sweeps.end_overdue_executions": 4,
    "devices.sweeps.mark_silent_devices": 4,
    "devices.sweeps.roll_up_health_checks": 10,
    "devices.sweeps.prune_health_checks": 15,
    "devices.sweeps.prune_device_events": 60,
    "devices.sweeps.prune_site_minutes": 60,
    "devices.sweeps.prune_health_rollups": 60,
    "devices.sweeps.prune_status_changes": 60,
    "homepot.idempotency.forget_old_keys": 60,
    "homepot.spreadsheets.sweeps.apply_imports": 2,
    "homepot.spreadsheets.sweeps.forget_old_imports": 60,
}
# How long a worker that was killed in the middle of a sweep keeps others from it.
SWEEP_LEASE_SECONDS = 15

# Probes and measurements

# What /readyz wants to be free where this process writes.
MIN_FREE_DISK_MB = env.int("HEALTH__MIN_FREE_DISK_MB", default=200)
METRICS_TOKEN = env.str("METRICS__TOKEN", default="")
METRIC_SOURCES = [
    "homepot.metrics.sources.sweeps",
    "devices.metrics.devices_by_status",
    "jobs.metrics.open_executions",
]
if METRICS_TOKEN:
    if len(METRICS_TOKEN) < 20:
        raise ImproperlyConfigured("METRICS__TOKEN must be 20 characters or longer.")
    SHORT_PATHS["/metrics"] = "homepot.metrics.views.metrics"
    if IS_WEB_PROCESS:
        PULSE_TASKS.append("homepot.metrics.counters.note_pool")

# Lists that are spreadsheets too: see homepot/spreadsheets/sheet.py.

SHEETS = {"sites": "sites.sheet.SITES", "devices": "devices.sheet.DEVICES"}

# Logs

LOG_LEVEL = env.str("LOGGING__LEVEL", default="INFO").upper()
LOG_FORMAT = env.str("LOGGING__FORMAT", default="text")
LOGGING = logging_options(level=LOG_LEVEL, format=LOG_FORMAT, echo_sql=ECHO_SQL)
