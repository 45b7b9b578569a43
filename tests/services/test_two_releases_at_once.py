"""Two releases of one listing whose change sets are carried out at the same moment: one of them is the current one."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from listings.models import Listing, Release, Upload
from listings.reports import StepReport
from listings.services import leases, planning, releases, versions
from listings.states import ReleaseState
from tests import flow
from tests.aws_fixtures import spec_of


def publishing(seller: Any, admin: Any, listing: Listing, upload: Upload, number: str) -> Release:
    version = versions.create_version(seller, listing, number=number, source=upload)
    run = versions.submit_version(seller, version)
    flow.run_through(run, fetch=StepReport({"archive_sha256": "0" * 64, "spec": spec_of().as_json()}))
    release = releases.request_release(seller, version)
    releases.approve(admin, release)
    planning.plan(release)
    claim = flow.claim(release, "register")
    releases.begin_step(flow.step_of(release, "register"))
    facts = {"name": f"trees-{number}", "arn": f"arn:{number}", "change_set": [{}], "validation": {"outcome": "passed"}}
    leases.finish(claim.attempt.pk, claim.lease, StepReport(facts))
    release.refresh_from_db()
    releases.publish(admin, release)
    planning.plan(release)
    return release


@pytest.mark.django_db(transaction=True)
def test_the_later_one_supersedes_the_other(seller: Any, admin: Any, listing: Listing, upload: Upload) -> None:
    both = [publishing(seller, admin, listing, upload, number) for number in ("1.0.0", "2.0.0")]
    claims = [flow.claim(release, "publish") for release in both]
    at_once = threading.Barrier(2)

    def finish(claim: leases.Claim) -> None:
        try:
            at_once.wait(10)
            leases.finish(claim.attempt.pk, claim.lease, StepReport({"change_set_id": "cs", "status": "SUCCEEDED"}))
        finally:
            connection.close()

    workers = [threading.Thread(target=finish, args=(claim,)) for claim in claims]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    states = sorted(Release.objects.values_list("state", flat=True))
    assert states == [ReleaseState.PUBLISHED, ReleaseState.SUPERSEDED]
