"""The stand-in behaves as AWS does where Slipway depends on it. Called through boto3, over the wire."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from listings import changesets
from tests.aws_fixtures import MODEL_PACKAGE, REGION, SECONDS, Aws, spec_of, start_standin
from tests.registry_fixtures import Registry
from workers.aws import ecr, registration
from workers.aws.sessions import Clients, Connection
from workers.aws.standin.request import PLATFORM_ACCOUNT, account_of


def request_for(aws: Aws, name: str = "trees", text: str | None = None) -> dict[str, Any]:
    spec = spec_of(text) if text else spec_of()
    return deepcopy(registration.register_request(spec, aws.push_facts(), aws.team, name).request())


def refusal(call: Any, **params: Any) -> tuple[str, str]:
    """(code, message) of the refusal that the call must meet."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def settle(describe: Any) -> dict[str, Any]:
    """Describe until the status is final."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer: dict[str, Any] = describe()
        status = next(answer[k] for k in ("AlgorithmStatus", "ModelPackageStatus", "Status") if k in answer)
        if status in ("Completed", "Failed", "SUCCEEDED", "FAILED"):
            return answer
        time.sleep(SECONDS / 4)
    raise AssertionError("never final")


@pytest.fixture
def sagemaker(aws: Aws) -> Any:
    return aws.clients.client("sagemaker")


@pytest.fixture
def catalog(aws: Aws) -> Any:
    return aws.clients.client("marketplace-catalog")


# --- SageMaker


def test_status_moves_from_pending_to_completed(aws: Aws, sagemaker: Any) -> None:
    aws.standin.fail("CreateAlgorithm", seconds=1.2)
    request = request_for(aws)
    sagemaker.create_algorithm(**request)
    seen = []
    while not seen or seen[-1] != "Completed":
        status = sagemaker.describe_algorithm(AlgorithmName="trees")["AlgorithmStatus"]
        if status not in seen:
            seen.append(status)
    assert seen in (["Pending", "InProgress", "Completed"], ["InProgress", "Completed"])


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (("AlgorithmName",), "not a name!", "regular expression"),
        (("AlgorithmName",), "x" * 64, "at most 63"),
        (("TrainingSpecification", "SupportedTrainingInstanceTypes"), ["ml.nothing"], "enum value set"),
        (("TrainingSpecification", "TrainingImageDigest"), "sha256:short", "regular expression"),
        (("ValidationSpecification", "ValidationRole"), "just-a-name-of-a-role-here", "regular expression"),
    ],
)
def test_inputs_are_checked_beyond_what_botocore_checks(
    aws: Aws, sagemaker: Any, path: tuple[str, ...], value: Any, word: str
) -> None:
    request = request_for(aws)
    part = request
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    code, message = refusal(sagemaker.create_algorithm, **request)
    assert code == "ValidationException"
    assert word in message
    assert path[-1] in message


def test_a_missing_required_field_is_refused_by_the_server_too(aws: Aws, sagemaker: Any) -> None:
    request = request_for(aws)
    del request["TrainingSpecification"]["TrainingChannels"]
    unchecked = sagemaker.meta.config.merge(boto3.session.Config(parameter_validation=False))
    client = aws.clients._session.client(  # type: ignore[attr-defined]
        "sagemaker", region_name=REGION, endpoint_url=aws.standin.url, config=unchecked
    )
    code, message = refusal(client.create_algorithm, **request)
    assert code == "ValidationException"
    assert "TrainingChannels" in message
    assert "must not be null" in message


def test_a_taken_name_is_refused(aws: Aws, sagemaker: Any) -> None:
    sagemaker.create_algorithm(**request_for(aws))
    assert refusal(sagemaker.create_algorithm, **request_for(aws))[0] == "ValidationException"
    package = request_for(aws, text=MODEL_PACKAGE)
    arn = sagemaker.create_model_package(**package)["ModelPackageArn"]
    assert sagemaker.create_model_package(**package)["ModelPackageArn"] == arn  # the same client token
    package["ClientToken"] = "other"  # noqa: S105
    assert refusal(sagemaker.create_model_package, **package)[0] == "ConflictException"


@pytest.mark.parametrize(("field", "wrong"), [("account", "999999999999"), ("Region", "eu-west-1")])
def test_an_image_elsewhere_is_refused(aws: Aws, sagemaker: Any, field: str, wrong: str) -> None:
    request = request_for(aws)
    right = aws.team.aws_account_id if field == "account" else REGION
    specification = request["TrainingSpecification"]
    specification["TrainingImage"] = specification["TrainingImage"].replace(right, wrong)
    assert f"is in {field} {wrong}" in refusal(sagemaker.create_algorithm, **request)[1]


def test_model_data_must_be_in_the_callers_bucket(aws: Aws, sagemaker: Any) -> None:
    request = request_for(aws, text=MODEL_PACKAGE)
    container = request["InferenceSpecification"]["Containers"][0]
    container["ModelDataUrl"] = f"s3://{aws.team.s3_bucket}/none.tar.gz"
    assert "Could not find model data" in refusal(sagemaker.create_model_package, **request)[1]


def test_another_accounts_resources_are_not_seen(aws: Aws, sagemaker: Any) -> None:
    sagemaker.create_algorithm(**request_for(aws))
    other = "210987654321"
    clients = Clients(Connection(other, REGION, f"arn:aws:iam::{other}:role/x", "external", aws.standin.url))
    assert "does not exist" in refusal(clients.client("sagemaker").describe_algorithm, AlgorithmName="trees")[1]
    assert clients.client("sagemaker").list_algorithms()["AlgorithmSummaryList"] == []


def test_only_what_is_settled_can_be_deleted(aws: Aws, sagemaker: Any) -> None:
    aws.standin.fail("CreateAlgorithm", seconds=1)
    sagemaker.create_algorithm(**request_for(aws))
    assert refusal(sagemaker.delete_algorithm, AlgorithmName="trees")[0] == "ConflictException"
    settle(lambda: sagemaker.describe_algorithm(AlgorithmName="trees"))
    sagemaker.delete_algorithm(AlgorithmName="trees")
    assert "does not exist" in refusal(sagemaker.describe_algorithm, AlgorithmName="trees")[1]


def test_a_failed_scan_leaves_the_validation_unstarted(aws: Aws, sagemaker: Any) -> None:
    aws.standin.fail("CreateAlgorithm", "^trees$", failure_reason="2 critical findings", stage="image_scan")
    sagemaker.create_algorithm(**request_for(aws))
    details = settle(lambda: sagemaker.describe_algorithm(AlgorithmName="trees"))["AlgorithmStatusDetails"]
    assert [(item["Status"], item["FailureReason"]) for item in details["ImageScanStatuses"]] == [
        ("Failed", "2 critical findings")
    ]
    assert [item["Status"] for item in details["ValidationStatuses"]] == ["NotStarted"]


def test_slipways_own_identity_may_only_assume_roles(aws: Aws) -> None:
    own = boto3.Session("slipway", "slipway", region_name=REGION)
    client = own.client("sagemaker", endpoint_url=aws.standin.url)
    assert refusal(client.list_algorithms)[0] == "AccessDeniedException"


# --- ECR and S3


def test_the_ecr_sign_in_opens_the_registry(aws: Aws) -> None:
    token = ecr.authorization(aws.clients)
    answer = requests.get(f"{token.endpoint}/v2/", auth=(token.username, token.password), timeout=10)
    assert answer.status_code == 200
    assert token.insecure
    assert token.expires_at.timestamp() > time.time() + 3600


def test_manifests_are_read_from_the_registry(aws: Aws) -> None:
    digest = aws.put_image("acme/read")
    assert ecr.manifest_media_type(aws.clients, "acme/read", digest) == ecr.DOCKER_V2S2
    assert ecr.manifest_media_type(aws.clients, "acme/read", f"sha256:{'0' * 64}") is None


def test_an_access_key_tells_its_account(aws: Aws) -> None:
    key = aws.clients._session.get_credentials().get_frozen_credentials().access_key  # type: ignore[union-attr]
    assert account_of(key) == aws.team.aws_account_id
    assert account_of("slipway") == PLATFORM_ACCOUNT


# --- Catalog


@pytest.fixture
def change_set(aws: Aws, sagemaker: Any) -> changesets.ChangeSet:
    request = request_for(aws)
    arn = sagemaker.create_algorithm(**request)["AlgorithmArn"]
    settle(lambda: sagemaker.describe_algorithm(AlgorithmName="trees"))
    return changesets.build(
        spec_of().as_json(),
        arn=arn,
        product_id=f"prod-{uuid.uuid4().hex[:13]}",
        access_role_arn=aws.team.access_role_arn,
        version="1.0.0",
    )


def run_change_set(catalog: Any, change_set: changesets.ChangeSet, **params: Any) -> dict[str, Any]:
    answer = catalog.start_change_set(Catalog="AWSMarketplace", ChangeSet=change_set, **params)
    found: dict[str, Any] = settle(
        lambda: catalog.describe_change_set(Catalog="AWSMarketplace", ChangeSetId=answer["ChangeSetId"])
    )
    return found


def error_codes(answer: dict[str, Any]) -> list[str]:
    return [error["ErrorCode"] for error in answer["ChangeSet"][0]["ErrorDetailList"]]


def option_of(change_set: changesets.ChangeSet) -> dict[str, Any]:
    details = change_set[0]["DetailsDocument"]["DeliveryOptions"][0]["Details"]
    return dict.__getitem__(details, next(iter(details)))  # the very object, so that it can be changed


def test_a_complete_change_set_succeeds_and_a_second_version_of_it_is_a_duplicate(
    catalog: Any, change_set: changesets.ChangeSet
) -> None:
    assert run_change_set(catalog, change_set)["Status"] == "SUCCEEDED"
    again = run_change_set(catalog, change_set)
    assert again["Status"] == "FAILED"
    assert again["FailureCode"] == "CLIENT_ERROR"
    assert error_codes(again) == ["DUPLICATE_VERSION_TITLE", "DUPLICATE_ASSET"]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("UsageInstructions", None, "MISSING_USAGE_INSTRUCTIONS"),
        ("SampleNotebookUrl", "ftp://example.com", "INVALID_SAMPLE_NOTEBOOK_URL"),
        ("RepositoryUrl", None, "MISSING_REPOSITORY_URL"),
        ("InputProperties", {"Description": "x"}, "MISSING_INPUT_PROPERTIES_SAMPLE_INPUT"),
        ("OutputProperties", {"SampleOutput": {"BatchTransformText": "x"}}, "MISSING_OUTPUT_PROPERTIES_DESCRIPTION"),
        ("AccessRoleArn", "arn:aws:iam::111122223333:role/a/path", "INVALID_ACCESS_ROLE"),
        ("SageMakerAlgorithmArn", "arn:aws:sagemaker:us-east-1:111122223333:algorithm/none", "ASSET_NOT_FOUND"),
        ("SageMakerAlgorithmArn", "not-an-arn", "INVALID_ASSET_ARN"),
        (
            "RecommendedInstanceTypes",
            {"Training": "ml.m5.large", "BatchTransform": "ml.m5.large", "RealtimeInference": "ml.p3.2xlarge"},
            "INVALID_RECOMMENDED_INSTANCE_TYPE",
        ),
    ],
)
def test_each_fault_is_named_by_its_code(
    catalog: Any, change_set: changesets.ChangeSet, field: str, value: Any, code: str
) -> None:
    option = option_of(change_set)
    if value is None:
        del option[field]
    else:
        option[field] = value
    assert error_codes(run_change_set(catalog, change_set, Intent="VALIDATE")) == [code]


def test_a_resource_that_failed_validation_cannot_be_listed(
    aws: Aws, sagemaker: Any, catalog: Any, change_set: changesets.ChangeSet
) -> None:
    aws.standin.fail("CreateAlgorithm", "failing", failure_reason="no")
    created = sagemaker.create_algorithm(**request_for(aws, "failing"))
    option_of(change_set)["SageMakerAlgorithmArn"] = created["AlgorithmArn"]
    settle(lambda: sagemaker.describe_algorithm(AlgorithmName="failing"))
    assert error_codes(run_change_set(catalog, change_set)) == ["ASSET_VALIDATION_EXCEPTION"]


def test_a_product_is_locked_while_a_change_set_runs(aws: Aws, catalog: Any, change_set: changesets.ChangeSet) -> None:
    aws.standin.fail("StartChangeSet", seconds=60)
    catalog.start_change_set(Catalog="AWSMarketplace", ChangeSet=change_set)
    code, message = refusal(catalog.start_change_set, Catalog="AWSMarketplace", ChangeSet=change_set)
    assert code == "ResourceInUseException"
    assert change_set[0]["Entity"]["Identifier"] in message


def test_a_client_token_starts_a_change_set_once_and_no_other(catalog: Any, change_set: changesets.ChangeSet) -> None:
    token = uuid.uuid4().hex
    given = {"Catalog": "AWSMarketplace", "ClientRequestToken": token}
    first = catalog.start_change_set(ChangeSet=change_set, **given)
    assert catalog.start_change_set(ChangeSet=change_set, **given)["ChangeSetId"] == first["ChangeSetId"]
    option_of(change_set)["UsageInstructions"] = "Something else."
    assert refusal(catalog.start_change_set, ChangeSet=change_set, **given)[0] == "ValidationException"


def test_details_may_come_as_text(catalog: Any, change_set: changesets.ChangeSet) -> None:
    document = change_set[0].pop("DetailsDocument")
    change_set[0]["Details"] = json.dumps(document)
    assert run_change_set(catalog, change_set)["Status"] == "SUCCEEDED"


def test_another_accounts_product_does_not_exist(aws: Aws, catalog: Any, change_set: changesets.ChangeSet) -> None:
    run_change_set(catalog, change_set)
    other = "210987654322"
    clients = Clients(Connection(other, REGION, f"arn:aws:iam::{other}:role/x", "external", aws.standin.url))
    describe = clients.client("marketplace-catalog").describe_entity
    product = change_set[0]["Entity"]["Identifier"]
    assert refusal(describe, Catalog="AWSMarketplace", EntityId=product)[0] == "ResourceNotFoundException"


# --- The program itself


def stop(server: subprocess.Popen[str]) -> None:
    """Without warning, as a demo may end."""
    server.kill()
    server.communicate(timeout=20)


def test_what_was_made_outlives_a_restart(registry: Registry, tmp_path: Path, settings: Any) -> None:
    state = tmp_path / "state.json"
    account = "444455556666"
    arguments = ("--state", str(state), "--bucket", f"{account}:{REGION}:kept-bucket")
    connection = {"account_id": account, "region": REGION, "role_arn": f"arn:aws:iam::{account}:role/x"}
    team = SimpleNamespace(
        aws_account_id=account, s3_bucket="kept-bucket", validation_role_arn=f"arn:aws:iam::{account}:role/validation"
    )
    server, url = start_standin(registry, tmp_path, *arguments)
    try:
        clients = Clients(Connection(**connection, external_id="external", endpoint_url=url))
        aws = Aws(None, registry, team, clients)  # type: ignore[arg-type]
        created = clients.client("sagemaker").create_algorithm(**request_for(aws))["AlgorithmArn"]
    finally:
        stop(server)
    port = ("--port", url.rpartition(":")[2])  # the same clients, with the keys that they hold
    server, _ = start_standin(registry, tmp_path, *arguments, *port)
    try:
        described = clients.client("sagemaker").describe_algorithm(AlgorithmName="trees")
        assert described["AlgorithmArn"] == created
        source = described["ValidationSpecification"]["ValidationProfiles"][0]["TransformJobDefinition"]
        key = source["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"].removeprefix("s3://kept-bucket/")
        assert clients.client("s3").get_object(Bucket="kept-bucket", Key=key)["Body"].read() == b"1,2\n"
    finally:
        stop(server)


def test_calls_are_counted_by_operation_and_name(aws: Aws, sagemaker: Any) -> None:
    for _ in range(3):
        refusal(sagemaker.describe_algorithm, AlgorithmName="counted")
    assert aws.standin.calls("DescribeAlgorithm", "counted") == 3


def test_a_rule_that_cannot_be_read_is_refused(aws: Aws) -> None:
    for rule in ({"operation": "X", "nonsense": 1}, {"operation": "X", "name": "("}):
        assert requests.post(f"{aws.standin.url}/_standin/faults", json=rule, timeout=10).status_code == 400
