"""Connections: whom Slipway becomes, what it does once, and what each refusal is called."""

from __future__ import annotations

import hashlib
import io
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from listings import problems
from listings.models import Team
from listings.problems import Owner, ProblemError
from listings.services import teams
from tests.aws_fixtures import REGION, Aws
from tests.contract_rows import detects
from workers.aws import ecr, s3, sessions
from workers.aws.errors import aws_errors
from workers.aws.sessions import Clients, Connection


def raised(call: Any, *args: Any, **params: Any) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        call(*args, **params)
    return caught.value


def test_a_team_gets_one_set_of_clients_until_its_connection_changes(aws: Aws) -> None:
    assert sessions.session_for(aws.team) is aws.clients
    changed = SimpleNamespace(**vars(aws.team) | {"aws_external_id": uuid.uuid4()})
    assert sessions.session_for(changed) is not aws.clients


def test_the_role_is_assumed_once_for_many_calls(aws: Aws) -> None:
    aws.clients.verify_account()
    ecr.authorization(aws.clients)
    ecr.authorization(aws.clients)
    assert aws.standin.calls("AssumeRole", aws.team.aws_role_arn) == 1


def test_a_team_that_is_not_connected_is_told_what_is_missing(aws: Aws) -> None:
    bare = SimpleNamespace(**vars(aws.team) | {"aws_region": "", "aws_role_arn": ""})
    error = raised(sessions.session_for, bare)
    assert error.code == "AWS-NOT-CONNECTED"
    assert error.report.params["missing"] == "Region, role ARN"


def test_a_role_that_may_not_be_assumed_is_told_with_awss_words(aws: Aws) -> None:
    rule = {"code": "AccessDenied", "message": "is not authorized to perform: sts:AssumeRole", "status": 403}
    aws.standin.fail("AssumeRole", error=rule)
    error = raised(aws.clients.verify_account)
    assert error.code == "AWS-ASSUME-ROLE"
    assert "sts:AssumeRole" in error.report.evidence[0].text


@detects(20, "AWS-ACCOUNT-MISMATCH")
def test_a_role_of_another_account_is_noticed(aws: Aws) -> None:
    other = "arn:aws:iam::999988887777:role/slipway"
    clients = Clients(Connection(aws.team.aws_account_id, REGION, other, "external", aws.standin.url))
    error = raised(clients.verify_account)
    assert error.code == "AWS-ACCOUNT-MISMATCH"
    assert error.report.params["actual"] == "999988887777"


def test_nobody_answering_is_awss_side_and_can_be_retried() -> None:
    clients = Clients(
        Connection("111122223333", REGION, "arn:aws:iam::111122223333:role/x", "external", "http://127.0.0.1:9")
    )
    error = raised(clients.verify_account)
    assert error.code == "AWS-UNREACHABLE"
    assert problems.get(error.code).owner is Owner.AWS


@pytest.mark.parametrize(
    ("code", "status", "problem"),
    [
        ("AccessDeniedException", 400, "AWS-ACCESS-DENIED"),
        ("ExpiredTokenException", 400, "AWS-EXPIRED-TOKEN"),
        ("ResourceLimitExceeded", 400, "AWS-LIMIT"),
        ("UnrecognizedClientException", 400, "AWS-NO-CREDENTIALS"),
        ("InvalidParameterException", 400, "AWS-REFUSED"),
    ],
)
def test_each_refusal_has_its_own_problem(aws: Aws, code: str, status: int, problem: str) -> None:
    aws.standin.fail("CreateRepository", error={"code": code, "message": "no", "status": status})
    assert raised(ecr.ensure_repository, aws.clients, "acme/x").code == problem


def test_a_request_that_does_not_fit_the_service_model_is_our_own_fault(aws: Aws) -> None:
    with pytest.raises(ProblemError) as caught, aws_errors("try"):
        aws.clients.client("sagemaker").create_algorithm(AlgorithmName="x")
    assert caught.value.code == "AWS-REQUEST-INVALID"
    assert problems.get(caught.value.code).owner is Owner.PLATFORM


def test_a_repository_is_made_once_with_immutable_tags_and_scanning(aws: Aws) -> None:
    uri = ecr.ensure_repository(aws.clients, "acme/trees")
    assert ecr.ensure_repository(aws.clients, "acme/trees") == uri
    found = aws.clients.client("ecr").describe_repositories(repositoryNames=["acme/trees"])["repositories"][0]
    assert uri == f"{aws.team.aws_account_id}.dkr.ecr.{REGION}.amazonaws.com/acme/trees"
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}


def test_a_repository_whose_tags_can_be_overwritten_is_refused(aws: Aws) -> None:
    aws.clients.client("ecr").create_repository(repositoryName="acme/loose")
    assert raised(ecr.ensure_repository, aws.clients, "acme/loose").code == "AWS-REPOSITORY-MUTABLE"


def place(aws: Aws, content: bytes, bucket: str = "") -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    body = io.BytesIO(content)
    body.seek(3)  # where the reader left off must not matter
    return s3.put_by_digest(
        aws.clients, bucket or aws.team.s3_bucket, "slipway", "row.csv", body, sha256=sha256, size=len(content)
    )


def test_an_object_is_sent_once(aws: Aws) -> None:
    content = b"a,b,c\n" * 1000
    uri = place(aws, content)
    assert place(aws, content) == uri
    assert aws.standin.calls("PutObject", aws.team.s3_bucket) == 1
    key = uri.removeprefix(f"s3://{aws.team.s3_bucket}/")
    assert aws.clients.client("s3").get_object(Bucket=aws.team.s3_bucket, Key=key)["Body"].read() == content


def test_a_large_object_arrives_whole_in_parts(aws: Aws) -> None:
    content = bytes(range(256)) * 70_000  # 17.9 MB: two parts
    key = place(aws, content).removeprefix(f"s3://{aws.team.s3_bucket}/")
    assert aws.standin.calls("UploadPart", aws.team.s3_bucket) == 2
    assert aws.clients.client("s3").get_object(Bucket=aws.team.s3_bucket, Key=key)["Body"].read() == content


def test_a_bucket_that_is_not_there_is_named(aws: Aws) -> None:
    error = raised(place, aws, b"12345", f"no-such-bucket-{uuid.uuid4().hex[:8]}")
    assert error.code == "AWS-BUCKET-MISSING"


def test_a_bucket_in_another_region_is_refused(aws: Aws) -> None:
    import requests

    name = f"far-{uuid.uuid4().hex[:8]}"
    bucket = {"account": aws.team.aws_account_id, "region": "eu-west-1", "name": name}
    requests.post(f"{aws.standin.url}/_standin/buckets", json=bucket, timeout=10).raise_for_status()
    assert raised(s3.ensure_bucket, aws.clients, name).code == "AWS-BUCKET-REGION"
    s3.ensure_bucket(aws.clients, aws.team.s3_bucket)


@detects(23, "TEAM-AWS-FIELD")
@pytest.mark.parametrize("role", ["validation", "role/validation", "arn:aws:iam::111122223333:user/validation"])
def test_a_validation_role_is_given_by_its_whole_arn(seller: Any, team: Team, role: str) -> None:
    good = {"validation_role_arn": "arn:aws:iam::111122223333:role/validation"}
    teams.connect_aws(seller, team, good)
    with pytest.raises(ProblemError) as refused:
        teams.connect_aws(seller, team, {"validation_role_arn": role})
    assert refused.value.code == "TEAM-AWS-FIELD"
    team.refresh_from_db()
    assert team.validation_role_arn == good["validation_role_arn"]
