"""Signing up, in and out; password reset; two factors; profile."""

from __future__ import annotations

import re
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import hotp_value, yield_hotp_counters_from_time
from django.core import mail
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.test import Client

from portal.accounts.models import User

pytestmark = pytest.mark.django_db
PASSWORD = "a-long-passphrase"


def link_in(body: str) -> str:
    found = re.search(r"http://testserver(/\S+)", body)
    assert found, body
    return found.group(1)


def sign_in(client: Client, email: str, password: str = PASSWORD) -> Any:
    return client.post("/account/login/", {"login": email, "password": password})


def sign_up(client: Client, email: str = "new@example.com") -> Any:
    return client.post(
        "/account/signup/", {"full_name": "  Nora New ", "email": email, "password1": "correct-horse-battery"}
    )


def test_signing_up_sends_a_link_that_opens_the_account(client: Client) -> None:
    assert sign_up(client).headers["Location"] == "/account/confirm-email/"
    user = User.objects.get()
    assert (user.full_name, user.email) == ("Nora New", "new@example.com")
    assert sign_in(client, user.email, "correct-horse-battery").headers["Location"] == "/account/confirm-email/"

    [first, *_] = mail.outbox
    assert first.subject == "Slipway: confirm your e-mail address"
    path = link_in(first.body)
    assert b"new@example.com belongs to Nora New" in client.get(path).content
    client.post(path)
    assert sign_in(client, user.email, "correct-horse-battery").headers["Location"] == "/"


def test_a_page_that_needs_an_account_leads_through_sign_in_and_back(client: Client, seller: Any) -> None:
    asked = client.get("/notices/")
    assert asked.headers["Location"] == "/account/login/?next=/notices/"
    answer = client.post(asked.headers["Location"], {"login": seller.email, "password": PASSWORD, "next": "/notices/"})
    assert answer.headers["Location"] == "/notices/"


def test_addresses_are_one_whatever_their_case(client: Client, seller: Any) -> None:
    assert sign_in(client, "SALLY@Example.com").status_code == 302
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(email="Sally@example.com", full_name="Twin")


def test_signing_up_with_a_taken_address_tells_only_its_owner(client: Client, seller: Any) -> None:
    assert sign_up(client, seller.email).headers["Location"] == "/account/confirm-email/"
    assert User.objects.count() == 1
    [message] = mail.outbox
    assert message.subject == "Slipway: you already have an account"
    assert link_in(message.body) == "/account/password/reset/"


def test_a_wrong_password_keeps_the_address_and_says_why(client: Client, seller: Any) -> None:
    page = sign_in(client, seller.email, "wrong").content.decode()
    assert seller.email in page
    assert 'role="alert"' in page
    assert "not correct" in page


def test_a_forgotten_password_can_be_chosen_anew_once(client: Client, seller: Any) -> None:
    client.post("/account/password/reset/", {"email": seller.email})
    [message] = mail.outbox
    path = link_in(message.body)
    form = client.get(path, follow=True)
    address = form.redirect_chain[-1][0]
    client.post(address, {"password1": "another-long-phrase", "password2": "another-long-phrase"})
    assert sign_in(client, seller.email, "another-long-phrase").status_code == 302
    assert b"no longer works" in Client().get(path, follow=True).content


def test_a_second_factor_is_asked_for_once_it_is_on(client: Client, seller: Any) -> None:
    sign_in(client, seller.email)
    asked = client.get("/account/2fa/totp/activate/").headers["Location"]
    assert b"Confirm it is you" in client.get(asked).content
    page = client.post(asked, {"password": PASSWORD}, follow=True).content.decode()
    [secret] = re.findall(r'id="totp-secret">([A-Z2-7]+)<', page)
    code = f"{hotp_value(secret, next(yield_hotp_counters_from_time())):06}"
    assert client.post("/account/2fa/totp/activate/", {"code": code}).status_code == 302
    codes = client.get("/account/2fa/recovery-codes/").content.decode()
    [recovery, *_] = re.findall(r"<li>([0-9a-z-]{8,})</li>", codes)

    other = Client()
    assert sign_in(other, seller.email).headers["Location"].startswith("/account/2fa/authenticate/")
    assert other.get("/notices/").status_code == 302
    assert other.post("/account/2fa/authenticate/", {"code": recovery}).headers["Location"] == "/"
    assert other.get("/notices/").status_code == 200


def test_createsuperuser_makes_an_admin_who_can_sign_in_at_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", email="Root@Example.com", full_name="Root", interactive=False, verbosity=0)
    user = User.objects.get()
    assert user.is_staff
    assert user.email == "root@example.com"
    assert sign_in(client, "root@example.com").headers["Location"] == "/"
    assert mail.outbox == []


def test_sign_up_can_be_closed(client: Client, settings: Any) -> None:
    settings.ACCOUNT_ALLOW_SIGNUPS = False
    assert b"Sign-up is closed" in client.get("/account/signup/").content
    sign_up(client)
    assert User.objects.count() == 0


def test_a_profile_without_a_name_is_refused_and_kept(signed_in: Client, seller: Any) -> None:
    answer = signed_in.post("/account/profile/", {"full_name": "", "theme": "dark"})
    assert answer.status_code == 422
    assert b"This field is required" in answer.content
    seller.refresh_from_db()
    assert seller.full_name == "Sally"


def test_signing_out_ends_the_session(signed_in: Client) -> None:
    assert signed_in.post("/account/logout/").headers["Location"] == "/account/login/"
    assert signed_in.get("/notices/").status_code == 302
