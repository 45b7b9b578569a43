"""Django's settings, from the environment (see portal/config.py)."""

from __future__ import annotations

from csp.constants import NONE, SELF

from portal import databases, mail
from portal import logging as portal_logging
from portal.accounts.conf import ALLAUTH_SETTINGS
from portal.config import ROOT, load

SLIPWAY = load()

BASE_DIR = ROOT
DEBUG = False
SECRET_KEY = SLIPWAY.secret_key.get_secret_value() or "not-secret-outside-production"
ALLOWED_HOSTS = [host.strip() for host in SLIPWAY.allowed_hosts.split(",") if host.strip()] or [
    "127.0.0.1", "localhost", "[::1]", "testserver",
]  # fmt: skip
CSRF_TRUSTED_ORIGINS = [SLIPWAY.public_url.rstrip("/")]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "portal.accounts.apps.AccountsConfig",
    "portal.apps.PortalConfig",
    "listings.apps.ListingsConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "portal.middleware.RequestId",
    "portal.middleware.PermissionsPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.middleware.RefuseNul",
    "portal.middleware.WhoAsks",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "portal.middleware.NotAllowed",
    "portal.middleware.Problems",
]

ROOT_URLCONF = "portal.urls"
ASGI_APPLICATION = "portal.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "portal" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context.shell",
            ],
        },
    },
]

DATABASES = {"default": databases.parse(SLIPWAY.database_url, SLIPWAY.data_dir)}
if SLIPWAY.env == "test" and DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, so that worker processes started by a test share it.
    DATABASES["default"]["TEST"] = {"NAME": str(SLIPWAY.data_dir / "tests.sqlite3")}
# Sign-in counts its tries here, so it must work, and limit, while Redis is away. The table comes with the migrations.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "slipway_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
if SLIPWAY.env == "test":
    # Tests sign in hundreds of times with passwords that guard nothing.
    PASSWORD_HASHERS = [f"django.contrib.auth.hashers.{name}PasswordHasher" for name in ("MD5", "PBKDF2")]
LOGIN_REDIRECT_URL = "/"
LOGIN_URL = "account_login"
globals().update(ALLAUTH_SETTINGS)
ACCOUNT_ALLOW_SIGNUPS = SLIPWAY.signup == "open"
# Rate limits and sessions must outlive a cache restart, so sessions stay in the database.
SESSION_ENGINE = "django.contrib.sessions.backends.db"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = SLIPWAY.data_dir / "static"
STATICFILES_DIRS = [ROOT / "portal" / "static"]
MEDIA_ROOT = SLIPWAY.data_dir / "storage"
_static_backend = (
    "whitenoise.storage.CompressedManifestStaticFilesStorage"
    if SLIPWAY.is_production
    else "django.contrib.staticfiles.storage.StaticFilesStorage"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _static_backend},
}
WHITENOISE_USE_FINDERS = not SLIPWAY.is_production
# Uploads are streamed to disk; the size is checked by the upload view against upload_max_bytes.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
# A specification filled in by form: 100 hyperparameters alone are 1,000 inputs.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 6000
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler", "portal.uploads.TemporaryFiles"]

DEFAULT_FROM_EMAIL = SLIPWAY.mail_from
# Mail is sent while somebody waits for a page, or a worker for its next step.
EMAIL_TIMEOUT = 10
if SLIPWAY.mail_url:
    globals().update(mail.parse(SLIPWAY.mail_url))
else:
    EMAIL_BACKEND = "portal.accounts.outbox.EmailBackend"

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
if SLIPWAY.is_production:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "worker-src": [SELF],
        "style-src": [SELF],
        "font-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}

_as_json = SLIPWAY.is_production if SLIPWAY.json_logs is None else SLIPWAY.json_logs
LOGGING = portal_logging.config(SLIPWAY.log_level, as_json=_as_json, secrets=portal_logging.secrets_in(SLIPWAY))
