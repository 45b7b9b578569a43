"""Publishing the change set that was shown, against the stand-in over the wire."""

from __future__ import annotations

import json

import pytest

from tests.aws_fixtures import ALGORITHM, MODEL_PACKAGE, Aws
from tests.services.release_steps import Case, case
from workers.aws import catalog
from workers.steps import publish, register


@pytest.fixture
def registered(aws: Aws) -> Case:
    return register_first(case(aws))


def register_first(job: Case) -> Case:
    report = job.run(register)
    assert report.problem is None, job.log.lines
    job.release.resource_name = report.facts["name"]
    job.release.resource_arn = report.facts["arn"]
    job.release.change_set = report.facts["change_set"]
    return job


def product_of(job: Case) -> dict[str, object]:
    client = job.aws.clients.client("marketplace-catalog")
    entity = client.describe_entity(Catalog="AWSMarketplace", EntityId=job.release.version.listing.product_id)
    return dict(json.loads(entity["Details"]))


@pytest.mark.parametrize("text", [ALGORITHM, MODEL_PACKAGE], ids=["algorithm", "model package"])
def test_the_product_gets_the_version(aws: Aws, text: str) -> None:
    job = register_first(case(aws, text))
    report = job.run(publish)
    assert report.problem is None, job.log.lines
    assert report.facts["status"] == "SUCCEEDED"
    assert report.facts["change_set_id"]
    assert [version["VersionTitle"] for version in product_of(job)["Versions"]] == ["1.0.0"]  # type: ignore[attr-defined]


def test_exactly_what_was_shown_is_sent(registered: Case) -> None:
    report = registered.run(publish)
    client = registered.aws.clients.client("marketplace-catalog")
    sent = client.describe_change_set(Catalog="AWSMarketplace", ChangeSetId=report.facts["change_set_id"])
    assert sent["Intent"] == "APPLY"
    assert json.loads(sent["ChangeSet"][0]["Details"]) == registered.release.change_set[0]["DetailsDocument"]


def test_checking_alone_publishes_nothing(registered: Case) -> None:
    assert product_of(registered)["Versions"] == []


def test_a_lost_answer_publishes_once(registered: Case) -> None:
    registered.aws.standin.fail("StartChangeSet", "^APPLY:", drop=True)
    report = registered.run(publish)
    assert report.problem is None
    applied = registered.aws.clients.client("marketplace-catalog").list_change_sets(Catalog="AWSMarketplace")
    assert len(applied["ChangeSetSummaryList"]) == 2  # one to check, one to apply
    assert len(product_of(registered)["Versions"]) == 1  # type: ignore[arg-type]


def test_an_attempt_after_a_dead_worker_finds_the_running_change_set(registered: Case) -> None:
    registered.aws.standin.fail("StartChangeSet", "^APPLY:", seconds=2)
    first = registered.once(publish, registered.attempt(1))
    again = registered.run(publish, registered.attempt(2))
    assert again.facts["change_set_id"] == first.facts["change_set_id"]
    assert again.problem is None


def test_publishing_what_is_already_there_ends_well(registered: Case) -> None:
    registered.run(publish)
    started = registered.aws.standin.calls("StartChangeSet", "APPLY")
    again = registered.run(publish, registered.attempt(2))
    assert again.problem is None
    assert again.facts["already_listed"] is True
    assert registered.aws.standin.calls("StartChangeSet", "APPLY") == started


def test_the_marketplaces_own_reasons_are_shown(registered: Case) -> None:
    fault = {"failure_reason": "Findings in the image.", "error_code": "SCAN_ERROR"}
    registered.aws.standin.fail("StartChangeSet", "^APPLY:", **fault)
    report = registered.run(publish)
    assert report.problem is not None
    assert report.problem.code == "PUBLISH-REFUSED"
    assert [(each.label, each.text) for each in report.problem.evidence] == [("SCAN_ERROR", "Findings in the image.")]


def test_pressing_publish_again_after_a_refusal_starts_anew(registered: Case) -> None:
    registered.aws.standin.fail("StartChangeSet", "^APPLY:", failure_reason="Not now.")
    refused = registered.run(publish)
    again = registered.run(publish, registered.attempt(2))
    assert again.problem is None, registered.log.lines
    assert again.facts["change_set_id"] != refused.facts["change_set_id"]


def test_a_fault_of_the_marketplace_is_not_the_sellers(registered: Case) -> None:
    registered.aws.standin.fail("StartChangeSet", "^APPLY:", failure_reason="Oops.", failure_code="SERVER_FAULT")
    report = registered.run(publish)
    assert report.problem is not None
    assert report.problem.code == "PUBLISH-AWS-FAILED"


def start_other(job: Case, seconds: float) -> None:
    """Somebody else's change set on the same product, as from the Management Portal."""
    change_set = json.loads(json.dumps(job.release.change_set))
    change_set[0]["DetailsDocument"]["Version"]["VersionTitle"] = "other"
    job.aws.standin.fail("StartChangeSet", "^APPLY:", seconds=seconds, failure_reason="Withdrawn.")
    catalog.start(job.aws.clients, change_set, intent="APPLY", token="other", name="other")  # noqa: S106


def test_a_busy_product_is_waited_for(registered: Case) -> None:
    start_other(registered, 1.5)
    report = registered.run(publish)
    assert report.problem is None
    assert any("busy" in line for line in registered.log.lines)


def test_a_product_that_stays_busy_is_told(registered: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "BUSY_POLLS", 2)
    start_other(registered, 60)
    report = registered.run(publish)
    assert report.problem is not None
    assert report.problem.code == "PUBLISH-BUSY"


def test_without_a_shown_change_set_nothing_is_sent(registered: Case) -> None:
    registered.release.change_set = []
    report = registered.run(publish)
    assert report.problem is not None
    assert report.problem.code == "PUBLISH-NOTHING-SHOWN"
    assert registered.aws.standin.calls("StartChangeSet", "APPLY") == 0
