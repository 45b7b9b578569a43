"""``kill -9`` of the control worker in the middle of registering and publishing: AWS is asked once, and tells once."""

from __future__ import annotations

from typing import Any

import pytest

from listings.models import Attempt, Listing, Release, Team, Version
from listings.reports import StepReport
from listings.services import releases, versions
from listings.states import RELEASE_STEPS, ReleaseState
from tests import flow
from tests.aws_fixtures import Aws, spec_of
from tests.crash import matrix
from tests.crash.middle import Catcher, strike
from tests.stack import Stack, wait_until
from workers.engine import Engine

#: How long AWS lets wait for its answer once it has acted.
HOLD_SECONDS = 3


@pytest.fixture
def release(seller: Any, aws_team: Team, listing: Listing, draft: Version, aws: Aws) -> Release:
    """In review: a run that has passed, and what its push left in the registry and the bucket."""
    assert aws.team.aws_account_id == aws_team.aws_account_id
    # The stand-in outlives the test, and a product belongs to one account.
    listing.product_id = f"prod-{aws.team.aws_account_id}"
    listing.save()
    run = versions.submit_version(seller, draft)
    fetch, pushed = StepReport({"archive_sha256": "0" * 64, "spec": spec_of().as_json()}), aws.push_facts()
    built = StepReport({"digest": pushed["digest"], "staging_repository": "staging/abc"})
    flow.run_through(run, fetch=fetch, build=built, push=StepReport(pushed))
    return releases.request_release(seller, draft)


def algorithms(aws: Aws) -> list[str]:
    return [
        found["AlgorithmArn"] for found in aws.clients.client("sagemaker").list_algorithms()["AlgorithmSummaryList"]
    ]


def change_sets(aws: Aws) -> list[str]:
    """The intents of all change sets of the account, sorted."""
    catalog = aws.clients.client("marketplace-catalog")
    rows = catalog.list_change_sets(Catalog="AWSMarketplace")["ChangeSetSummaryList"]
    described = (catalog.describe_change_set(Catalog="AWSMarketplace", ChangeSetId=row["ChangeSetId"]) for row in rows)
    return sorted(change_set["Intent"] for change_set in described)


def published_versions(aws: Aws, product: str) -> list[str]:
    entity = aws.clients.client("marketplace-catalog").describe_entity(Catalog="AWSMarketplace", EntityId=product)
    return [
        source["AlgorithmArn"] for version in entity["DetailsDocument"]["Versions"] for source in version["Sources"]
    ]


def reaches(release: Release, state: ReleaseState) -> bool:
    release.refresh_from_db()
    latest = Attempt.objects.filter(step__release=release).latest("created_at")
    assert latest.state not in ("failed", "errored"), (latest.problem_code, latest.problem_params)
    return release.state == state


@pytest.mark.timeout(200)
@pytest.mark.parametrize("victim", matrix.RELEASE)
def test_a_kill_in_each_step_costs_what_the_table_says(
    victim: str, stack: Stack, engine: Engine, admin: Any, release: Release, aws: Aws
) -> None:
    assert (algorithms(aws), change_sets(aws)) == ([], [])
    worker = stack.control_worker()
    stack.beat()
    catcher, struck = Catcher(stack, engine), []
    # AWS has acted, and the worker does not know it yet.
    aws.standin.fail("CreateAlgorithm", hold=HOLD_SECONDS)
    aws.standin.fail("StartChangeSet", "^APPLY:", hold=HOLD_SECONDS)
    for step, press, acted, wanted in (
        ("register", releases.approve, lambda: len(algorithms(aws)) == 1, ReleaseState.REGISTERED),
        ("publish", releases.publish, lambda: "APPLY" in change_sets(aws), ReleaseState.PUBLISHED),
    ):
        press(admin, release)
        attempt, child = catcher.stop_in([step], worker, acted)
        struck.append(attempt)
        worker = strike(victim, stack, "control", worker, child)
        catcher.let_go(worker)
        wait_until(f"the release is {wanted}", lambda state=wanted: reaches(release, state), 60)  # type: ignore[misc]

    found = {
        step: [a.state for a in Attempt.objects.filter(step__release=release, step__name=step).order_by("number")]
        for step in RELEASE_STEPS
    }
    assert found == matrix.RELEASE[victim], stack.log("control")[-3000:]
    assert algorithms(aws) == [release.resource_arn]
    assert change_sets(aws) == ["APPLY", "VALIDATE"]
    assert published_versions(aws, release.version.listing.product_id) == [release.resource_arn]
    for attempt in struck:
        wait_until(f"the log of {attempt} is kept", lambda pk=attempt.pk: Attempt.objects.get(pk=pk).log_id, 30)  # type: ignore[misc]
