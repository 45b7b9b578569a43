"""Every call that the container tried stands on its version's page."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from listings import links
from listings.models import Version
from listings.reports import ProblemReport, StepReport
from listings.services import versions
from tests import flow

pytestmark = pytest.mark.django_db

CALLS = [
    {"phase": "serve", "protocol": "dns", "host": "huggingface.co", "address": "", "port": 53, "count": 3,
     "first_seconds": 0.8, "hint": "", "log_line": 14},
    {"phase": "train", "protocol": "tcp", "host": "", "address": "169.254.169.254", "port": 80, "count": 1,
     "first_seconds": 0.1, "hint": "", "log_line": None},
    {"phase": "train", "protocol": "udp", "host": "", "address": "2001:db8::1", "port": 4433, "count": 7,
     "first_seconds": 2.5, "hint": "", "log_line": None},
]  # fmt: skip


@pytest.mark.parametrize("problem", [None, ProblemReport("TEST-TRAIN-EXIT", {"exit_code": "1"})])
def test_each_attempt_is_shown_whether_the_test_passed_or_failed(
    seller: Any, client: Client, draft: Version, problem: ProblemReport | None
) -> None:
    run = versions.submit_version(seller, draft)
    for name in ("fetch", "build", "inspect", "scan"):
        flow.end(run, name)
    flow.end(run, "test", StepReport({"outgoing": CALLS}, problem=problem))
    client.force_login(seller)
    page = client.get(links.version(draft)).content.decode()
    for wanted in ("huggingface.co", "169.254.169.254", "2001:db8::1", "4433"):
        assert wanted in page
