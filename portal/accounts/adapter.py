"""Where django-allauth asks this project what to do."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from listings.models import Invitation
from listings.problems import ProblemError
from listings.services import invitations
from listings.views.invitations import SESSION_INVITATION


def open_invitation(token: str) -> Invitation | None:
    """What a session's link leads to, while it can be accepted."""
    try:
        found = invitations.find(token)
        invitations.require_open(found)
    except ProblemError:
        return None
    return found


def invited_address(request: HttpRequest) -> str:
    """The address of the invitation by which this visitor came, or nothing."""
    found = open_invitation(request.session.get(SESSION_INVITATION, ""))
    return found.email if found else ""


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Where sign-up is closed, an open invitation opens it; for its address only, which the form sees to."""
        return bool(settings.ACCOUNT_ALLOW_SIGNUPS) or invited_address(request) != ""

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Who came by an invitation gets back to it, also after confirming the address elsewhere."""
        token = request.session.pop(SESSION_INVITATION, "")
        if not open_invitation(token):
            found = None if request.user.memberships.exists() else invitations.waiting_for(request.user)
            token = invitations.token_of(found) if found else ""
        return reverse("invitation", args=[token]) if token else str(super().get_login_redirect_url(request))

    def populate_username(self, request: HttpRequest, user: Any) -> None:
        """There are no user names."""

    def format_email_subject(self, subject: str) -> str:
        return f"Slipway: {subject}"

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Mails name this installation by its public address, not by the request's Host header."""
        public = str(settings.SLIPWAY.public_url)
        context = {**context, "portal_url": public.rstrip("/"), "portal_host": urlsplit(public).netloc}
        super().send_mail(template_prefix, email, context)

    def get_client_ip(self, request: HttpRequest) -> str:
        """The peer's address: rate limits must not believe a header that anybody can send."""
        return str(request.META.get("REMOTE_ADDR", "")) or "0.0.0.0"  # noqa: S104
