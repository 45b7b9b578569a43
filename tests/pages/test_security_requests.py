"""Requests that no browser of ours sends: forged hosts, NULs, and files from nobody."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from listings.models import Role
from portal import limits
from tests.asynchronous import run_async

pytestmark = pytest.mark.django_db(transaction=True)
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("path", ["/account/login/", "/", "/healthz"])
def test_a_forged_host_is_a_bad_request_and_no_fault_of_ours(path: str) -> None:
    answer = Client(raise_request_exception=False).get(path, HTTP_HOST="evil.test")
    assert answer.status_code == 400
    assert "not understood" in answer.content.decode()


def test_a_nul_is_a_bad_request(signed_in: Client, team: Any) -> None:
    signed_in.raise_request_exception = False
    for path in ("/search/?q=%00", f"/t/{team.slug}/listings/x/versions/1%00/", "/audit/?team=a%00"):
        assert signed_in.get(path).status_code == 400, path
    answer = signed_in.post(f"/t/{team.slug}/members/add/", "email=a%00b&role=owner", content_type=FORM)
    assert answer.status_code == 400


def test_files_are_taken_only_from_who_may_upload_them_to_the_team(signed_in: Client, team: Any, settings: Any) -> None:
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"upload_max_bytes": 32 << 20})
    key = signed_in.cookies["sessionid"].value

    def limit(path: str, cookie: str) -> int:
        scope = {"path": path, "headers": [(b"cookie", cookie.encode())]}
        return run_async(limits._limit(scope))

    small, large = limits.most_bytes("/"), limits.most_bytes("/t/x/uploads/")
    assert small < large
    upload = f"/t/{team.slug}/uploads/"
    assert limit(upload, f"a=b; sessionid={key}") == large
    assert limit(f"/t/{team.slug}/listings/x/versions/new/", f"sessionid={key}") == large
    assert limit(f"/t/{team.slug}/listings/x/versions/new/spec.yaml", f"sessionid={key}") == large
    assert limit(upload, "sessionid=forged") == small
    assert limit(upload, "") == small
    assert limit("/account/profile/", f"sessionid={key}") == small
    assert limit("/t/another-team/uploads/", f"sessionid={key}") == small
    team.memberships.update(role=Role.VIEWER)
    assert limit(upload, f"sessionid={key}") == small
    team.memberships.all().delete()
    assert limit(upload, f"sessionid={key}") == small
