"""The demo's mail, kept in the portal instead of sent."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.mail import EmailMessage, send_mail
from django.test import Client

from portal.accounts.models import OutgoingMail

pytestmark = pytest.mark.django_db
BACKEND = "portal.accounts.outbox.EmailBackend"


@pytest.fixture
def demo(settings: Any) -> None:
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"env": "demo"})
    settings.EMAIL_BACKEND = BACKEND


def test_mail_of_the_demo_is_kept_and_shown_with_its_links(client: Client, demo: None) -> None:
    assert send_mail("Hello", "Open http://testserver/x?a=1 now", "s@example.com", ["a@example.com"]) == 1
    assert OutgoingMail.objects.get().recipients == "a@example.com"
    page = client.get("/outbox/").content.decode()
    assert 'href="http://testserver/x?a=1"' in page
    assert "Demo only" in page


def test_mail_to_nobody_is_not_kept(demo: None) -> None:
    EmailMessage("Hello", "body", "s@example.com", []).send()
    assert not OutgoingMail.objects.exists()


def test_mail_is_shown_as_text_never_as_markup(client: Client, demo: None) -> None:
    send_mail("<b>x</b>", "<script>alert(1)</script>", "s@example.com", ["a@example.com"])
    page = client.get("/outbox/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_other_installations_have_no_outbox(client: Client) -> None:
    send_mail("Hello", "secret link", "s@example.com", ["a@example.com"])
    assert client.get("/outbox/").status_code == 404
