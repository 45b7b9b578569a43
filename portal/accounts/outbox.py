"""The demo's mail: kept in a table and shown on a page, because a demo has no mail server."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from portal.accounts.models import OutgoingMail


class EmailBackend(BaseEmailBackend):
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Keep each message; returns how many."""
        rows = [
            OutgoingMail(
                sender=message.from_email,
                recipients=", ".join(message.recipients()),
                subject=str(message.subject)[:300],
                body=str(message.body),
            )
            for message in email_messages
            if message.recipients()
        ]
        OutgoingMail.objects.bulk_create(rows)
        return len(rows)
