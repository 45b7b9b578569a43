"""The mail server's address: what stands percent-encoded in it is meant as it was before."""

from __future__ import annotations

from smtplib import SMTP
from typing import Any

import pytest

from portal import mail


def test_user_and_password_are_decoded() -> None:
    found = mail.parse("smtp+tls://me%40example.com:p%40ss%2Fw%3Ard%25@mail.example.com:587")
    assert (found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"]) == ("me@example.com", "p@ss/w:rd%")
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"]) == ("mail.example.com", 587)


@pytest.mark.parametrize(
    ("scheme", "starttls", "tls"), [("smtp", False, False), ("smtp+tls", True, False), ("smtps", False, True)]
)
def test_the_scheme_says_how_it_is_encrypted(scheme: str, starttls: bool, tls: bool) -> None:
    found = mail.parse(f"{scheme}://mail.example.com")
    assert (found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"]) == (starttls, tls)
    assert (found["EMAIL_PORT"], found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"]) == (25, "", "")


def test_the_password_reaches_the_mail_server_decoded(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    from django.core.mail import get_connection

    for name, value in mail.parse("smtp://me%40x.example:a%2Bb@127.0.0.1:1").items():
        setattr(settings, name, value)
    given: list[tuple[str, str]] = []
    monkeypatch.setattr(SMTP, "__init__", lambda self, *args, **named: None)
    monkeypatch.setattr(SMTP, "login", lambda self, user, password: given.append((user, password)))
    get_connection().open()
    assert given == [("me@x.example", "a+b")]
