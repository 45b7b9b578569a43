"""Registering with SageMaker, against the stand-in over the wire."""

from __future__ import annotations

import pytest
from botocore.config import Config

from listings.reports import CheckOutcome
from tests.aws_fixtures import ALGORITHM, MODEL_PACKAGE, OCI, Aws
from tests.services.release_steps import Case, case
from workers.aws import patience, sessions
from workers.steps import register

CREATE = {"Algorithm": "CreateAlgorithm", "ModelPackage": "CreateModelPackage"}


@pytest.fixture(params=[ALGORITHM, MODEL_PACKAGE], ids=["algorithm", "model package"])
def each(request: pytest.FixtureRequest, aws: Aws) -> Case:
    return case(aws, request.param)


def described(job: Case) -> dict[str, object]:
    client = job.aws.clients.client("sagemaker")
    if job.spec.kind == "Algorithm":
        return dict(client.describe_algorithm(AlgorithmName="trees-1-0-0"))
    return dict(client.describe_model_package(ModelPackageName="trees-1-0-0"))


def test_ends_with_the_arn_and_a_validated_change_set(each: Case) -> None:
    report = each.run(register)
    assert report.problem is None, each.log.lines
    kind = "algorithm" if each.spec.kind == "Algorithm" else "model-package"
    account = each.aws.team.aws_account_id
    assert report.facts["arn"] == f"arn:aws:sagemaker:us-east-1:{account}:{kind}/trees-1-0-0"
    assert report.facts["status"] == "Completed"
    assert report.facts["validation"]["outcome"] == "passed"
    details = report.facts["change_set"][0]["DetailsDocument"]["DeliveryOptions"][0]["Details"]
    assert report.facts["arn"] in next(iter(details.values())).values()
    assert {check.code for check in report.checks} == {
        "REGISTER-IMAGE-SCAN", "REGISTER-VALIDATION", "CHANGESET-INVALID"
    }  # fmt: skip
    assert {check.outcome for check in report.checks} == {CheckOutcome.PASS}


def test_sagemaker_holds_the_tested_digest_and_certifies_it(each: Case) -> None:
    each.run(register)
    held = described(each)
    container = held["InferenceSpecification"]["Containers"][0]  # type: ignore[index]
    assert container["ImageDigest"] == each.push["digest"]
    assert held["CertifyForMarketplace"] is True
    if each.spec.kind == "Algorithm":
        assert held["TrainingSpecification"]["TrainingImageDigest"] == each.push["digest"]  # type: ignore[index]
    else:
        assert container["ModelDataUrl"] == each.push["artifact_uri"]


def test_an_algorithms_validation_gets_its_channels_and_hyperparameters_as_strings(aws: Aws) -> None:
    job = case(aws)
    job.run(register)
    profile = described(job)["ValidationSpecification"]["ValidationProfiles"][0]  # type: ignore[index]
    training, transform = profile["TrainingJobDefinition"], profile["TransformJobDefinition"]
    assert training["HyperParameters"] == {"depth": "4"}
    assert [channel["ChannelName"] for channel in training["InputDataConfig"]] == ["train"]
    uri = training["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    assert uri == job.push["validation"]["training"]["train"]
    assert transform["TransformInput"]["ContentType"] == "text/csv"


def test_waiting_holds_no_worker_and_ends_by_polling(aws: Aws) -> None:
    aws.standin.fail("CreateAlgorithm", seconds=60)
    job = case(aws)
    report = job.once(register, job.attempt())
    assert report.poll_after
    assert report.facts["status"] in ("Pending", "InProgress")


def test_again_after_success_adopts_the_same_resource(each: Case) -> None:
    first = each.run(register)
    again = each.run(register, each.attempt(2))
    assert again.facts["arn"] == first.facts["arn"]
    assert again.problem is None
    assert each.aws.standin.calls(CREATE[each.spec.kind]) == 1


def test_a_lost_answer_creates_nothing_twice(each: Case) -> None:
    each.aws.standin.fail(CREATE[each.spec.kind], drop=True)
    report = each.run(register)
    assert report.problem is None, each.log.lines
    assert each.aws.standin.calls(CREATE[each.spec.kind]) == 2
    client = each.aws.clients.client("sagemaker")
    listed = (
        client.list_algorithms()["AlgorithmSummaryList"]
        if each.spec.kind == "Algorithm"
        else (client.list_model_packages()["ModelPackageSummaryList"])
    )
    assert len(listed) == 1


def test_a_lost_answer_to_the_check_of_the_change_set_starts_no_second_one(aws: Aws) -> None:
    aws.standin.fail("StartChangeSet", drop=True)
    report = case(aws).run(register)
    assert report.facts["validation"]["outcome"] == "passed"
    sets = aws.clients.client("marketplace-catalog").list_change_sets(Catalog="AWSMarketplace")
    assert len(sets["ChangeSetSummaryList"]) == 1


def test_the_name_of_another_resource_is_not_taken_over(aws: Aws) -> None:
    first, other = case(aws), case(aws)  # the same name, another image
    first.run(register)
    report = other.run(register)
    assert report.problem is not None
    assert report.problem.code == "REGISTER-NAME-TAKEN"
    assert "Digest" in report.problem.params["difference"] or "Image" in report.problem.params["difference"]
    assert "arn" not in report.facts


def test_a_resource_without_our_tag_is_adopted_when_it_is_the_same(aws: Aws) -> None:
    job = case(aws)
    job.run(register)
    aws.standin.fail("ListTags", times=9, error={"code": "AccessDeniedException", "message": "no", "status": 400})
    again = job.run(register, job.attempt(2))
    assert again.problem is None
    assert aws.standin.calls("CreateAlgorithm") == 1


def test_a_second_run_of_a_version_gets_a_name_of_its_own(aws: Aws) -> None:
    case(aws).run(register)
    report = case(aws, run_number=2).run(register)
    assert report.problem is None
    assert report.facts["name"].startswith("trees-1-0-0-r2")


@pytest.mark.parametrize(
    ("stage", "code"), [("image_scan", "REGISTER-IMAGE-SCAN"), ("validation", "REGISTER-VALIDATION")]
)
def test_awss_own_reason_is_shown(each: Case, stage: str, code: str) -> None:
    each.aws.standin.fail(CREATE[each.spec.kind], failure_reason="ClientError: exec train failed", stage=stage)
    report = each.run(register)
    assert report.problem is not None
    assert report.problem.code == "REGISTER-REFUSED"
    assert [evidence.text for evidence in report.problem.evidence] == ["ClientError: exec train failed"]
    assert [check.code for check in report.checks if check.outcome == CheckOutcome.FAIL] == [code]
    assert report.facts["arn"]


def test_a_failure_on_awss_side_is_not_the_sellers(aws: Aws) -> None:
    aws.standin.fail("CreateAlgorithm", failure_reason="InternalServerError: please retry")
    report = case(aws).run(register)
    assert report.problem is not None
    assert report.problem.code == "REGISTER-AWS-FAILED"


def test_resuming_after_a_failed_validation_replaces_the_failed_resource(each: Case) -> None:
    each.aws.standin.fail(CREATE[each.spec.kind], failure_reason="ClientError: no")
    assert each.run(register).problem is not None
    again = each.run(register, each.attempt(2))
    assert again.problem is None, each.log.lines
    assert each.aws.standin.calls(CREATE[each.spec.kind]) == 2


def test_an_oci_manifest_fails_the_way_it_does_on_aws(aws: Aws) -> None:
    report = case(aws, push=aws.push_facts(media_type=OCI)).run(register)
    assert report.problem is not None
    assert report.problem.code == "REGISTER-REFUSED"
    assert f"Unsupported manifest media type {OCI}" in report.problem.params["reason"]


def test_an_image_that_was_never_pushed_is_refused_at_once(aws: Aws) -> None:
    push = aws.push_facts() | {"digest": f"sha256:{'0' * 64}"}
    report = case(aws, push=push).run(register)
    assert report.problem is not None
    assert report.problem.code == "REGISTER-NOT-CREATED"
    assert "not found" in report.problem.params["message"]


def test_a_validation_input_that_is_not_in_the_bucket_fails_validation(aws: Aws) -> None:
    push = aws.push_facts()
    push["validation"]["training"] = {"train": f"s3://{aws.team.s3_bucket}/nothing/here"}
    report = case(aws, push=push).run(register)
    assert report.problem is not None
    assert "No S3 objects found" in report.problem.params["reason"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's own retries off, whose waits grow to half a minute."""
    patient = sessions.client_config
    once = Config(retries={"mode": "standard", "total_max_attempts": 1})
    monkeypatch.setattr(sessions, "client_config", lambda url: patient(url).merge(once))


@pytest.mark.usefixtures("impatient")
def test_throttling_passes_by_itself(aws: Aws) -> None:
    rule = {"code": "ThrottlingException", "message": "Rate exceeded", "status": 400}
    aws.standin.fail("DescribeAlgorithm", times=3, error=rule)
    report = case(aws).run(register)
    assert report.problem is None


@pytest.mark.usefixtures("impatient")
def test_throttling_without_end_is_told_as_awss(aws: Aws) -> None:
    rule = {"code": "ThrottlingException", "message": "Rate exceeded", "status": 400}
    aws.standin.fail("DescribeAlgorithm", times=None, error=rule)
    report = case(aws).run(register)
    assert report.problem is not None
    assert report.problem.code == "AWS-THROTTLED"
    assert aws.standin.calls("DescribeAlgorithm") == patience.STUMBLES + 1


def test_a_missing_permission_names_the_action(aws: Aws) -> None:
    rule = {"code": "AccessDeniedException", "message": "not authorized: sagemaker:CreateAlgorithm", "status": 400}
    aws.standin.fail("CreateAlgorithm", error=rule)
    report = case(aws).run(register)
    assert report.problem is not None
    assert report.problem.code == "AWS-ACCESS-DENIED"
    assert "sagemaker:CreateAlgorithm" in report.problem.params["message"]


def test_a_resource_that_vanishes_while_waiting_is_noticed(aws: Aws) -> None:
    job = case(aws)
    attempt = job.attempt()
    attempt.facts = job.once(register, attempt).facts | {"arn": "arn:of:this:attempt"}
    gone = {"code": "ValidationException", "message": "Algorithm does not exist.", "status": 400}
    aws.standin.fail("DescribeAlgorithm", error=gone)
    report = job.run(register, attempt)
    assert report.problem is not None
    assert report.problem.code == "REGISTER-GONE"


def test_a_refused_validate_intent_is_recorded_as_a_skip(aws: Aws) -> None:
    message = "Intent VALIDATE is not available for MachineLearningProduct@1.0"
    aws.standin.fail(
        "StartChangeSet", "^VALIDATE:", error={"code": "ValidationException", "message": message, "status": 422}
    )
    report = case(aws).run(register)
    assert report.problem is None
    assert report.facts["validation"]["outcome"] == "skipped"
    assert report.facts["validation"]["reason"] == message
    assert report.checks[-1].outcome == CheckOutcome.SKIP


def test_a_change_set_that_is_refused_for_its_content_is_not_taken_for_unchecked(aws: Aws) -> None:
    rule = {"code": "ValidationException", "message": "Value at 'changeSet' is malformed", "status": 422}
    aws.standin.fail("StartChangeSet", "^VALIDATE:", error=rule)
    report = case(aws).run(register)
    assert report.facts["validation"]["outcome"] == "failed"
    assert report.checks[-1].outcome == CheckOutcome.FAIL


def test_faults_that_the_check_finds_are_shown_and_the_resource_stays_registered(aws: Aws) -> None:
    fault = {"failure_reason": "Already used.", "error_code": "DUPLICATE_VERSION_TITLE"}
    aws.standin.fail("StartChangeSet", "^VALIDATE:", **fault)
    report = case(aws).run(register)
    assert report.problem is None
    assert report.facts["validation"]["outcome"] == "failed"
    assert report.facts["validation"]["errors"] == [{"code": "DUPLICATE_VERSION_TITLE", "message": "Already used."}]
    assert report.checks[-1].outcome == CheckOutcome.FAIL


def test_a_listing_without_product_keeps_the_arn_and_says_what_is_missing(aws: Aws) -> None:
    job = case(aws)
    product, job.release.version.listing.product_id = job.release.version.listing.product_id, ""
    report = job.run(register)
    assert report.problem is not None
    assert report.problem.code == "CHANGESET-INCOMPLETE"
    assert report.facts["arn"]
    job.release.version.listing.product_id = product
    assert job.run(register, job.attempt(2)).problem is None
    assert aws.standin.calls("CreateAlgorithm") == 1
