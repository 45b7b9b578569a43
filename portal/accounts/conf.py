"""django-allauth's settings, kept beside the code that they steer. ``portal/settings.py`` takes them over."""

from __future__ import annotations

from typing import Any

ALLAUTH_SETTINGS: dict[str, Any] = {
    "ACCOUNT_ADAPTER": "portal.accounts.adapter.AccountAdapter",
    "ACCOUNT_USER_MODEL_USERNAME_FIELD": None,
    "ACCOUNT_LOGIN_METHODS": {"email"},
    "ACCOUNT_SIGNUP_FIELDS": ["email*", "password1*"],
    "ACCOUNT_FORMS": {"signup": "portal.accounts.forms.SignupForm"},
    "ACCOUNT_EMAIL_VERIFICATION": "mandatory",
    "ACCOUNT_EMAIL_SUBJECT_PREFIX": "",
    "ACCOUNT_EMAIL_NOTIFICATIONS": True,
    "ACCOUNT_LOGIN_ON_PASSWORD_RESET": False,
    "ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE": False,
    "ACCOUNT_LOGOUT_REDIRECT_URL": "account_login",
    "ACCOUNT_SESSION_REMEMBER": None,
    "ACCOUNT_REAUTHENTICATION_REQUIRED": True,
    "ACCOUNT_UNIQUE_EMAIL": True,
    "ACCOUNT_USER_DISPLAY": "portal.accounts.display.user_display",
    "MFA_SUPPORTED_TYPES": ["totp", "recovery_codes"],
    "MFA_TOTP_ISSUER": "Slipway",
    "MFA_TOTP_TOLERANCE": 1,
}

#: Lives as long as the choice matters; read before the user is known, so pages never flash.
THEME_COOKIE = "slipway_theme"
