"""A button pressed twice asks once."""

from __future__ import annotations

from typing import Any

import pytest

from listings.models import AuditEvent, Waiver
from listings.services import waivers

pytestmark = pytest.mark.django_db


def test_asking_again_for_what_is_not_yet_decided_is_asking_once(seller: Any, draft: Any) -> None:
    first = waivers.ask(seller, draft, code="GATE-OS", subject="debian:12", reason="our base")
    assert waivers.ask(seller, draft, code="GATE-OS", subject="debian:12", reason="our base") == first
    assert waivers.ask(seller, draft, code="GATE-OS", subject="debian:11", reason="our base") != first
    assert Waiver.objects.count() == 2
    assert AuditEvent.objects.filter(action="waiver.ask").count() == 2


def test_a_refused_waiver_may_be_asked_for_again(seller: Any, admin: Any, draft: Any) -> None:
    first = waivers.ask(seller, draft, code="GATE-OS", subject="debian:12", reason="our base")
    waivers.refuse(admin, first, reason="upgrade")
    assert waivers.ask(seller, draft, code="GATE-OS", subject="debian:12", reason="please") != first
