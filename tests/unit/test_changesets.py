"""The change set: built from the spec in the Catalog's own spelling, and checked before anyone sends it."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest

from listings import changesets
from tests.aws_fixtures import ALGORITHM, MODEL_PACKAGE, spec_of

ROLE = "arn:aws:iam::111122223333:role/access"
ARN = {
    "Algorithm": "arn:aws:sagemaker:us-east-1:111122223333:algorithm/trees-1-0-0",
    "ModelPackage": "arn:aws:sagemaker:us-east-1:111122223333:model-package/trees-1-0-0",
}


def build(spec: dict[str, Any], **changes: str) -> changesets.ChangeSet:
    given = {"arn": ARN[spec["kind"]], "product_id": "prod-abcdefghijklm", "access_role_arn": ROLE, "version": "1.0.0"}
    return changesets.build(spec, **{**given, **changes})


def fields(spec: dict[str, Any], **changes: str) -> dict[str, str]:
    """Field -> code of what is wrong with the change set."""
    return {found.field: found.code for found in changesets.problems(build(spec, **changes), spec)}


@pytest.fixture(params=[ALGORITHM, MODEL_PACKAGE], ids=["algorithm", "model package"])
def spec(request: pytest.FixtureRequest) -> dict[str, Any]:
    return deepcopy(spec_of(request.param).as_json())


def test_a_complete_spec_gives_one_change_without_problems(spec: dict[str, Any]) -> None:
    change_set = build(spec)
    assert [change["ChangeType"] for change in change_set] == ["AddDeliveryOptions"]
    assert change_set[0]["Entity"] == {"Type": "MachineLearningProduct@1.0", "Identifier": "prod-abcdefghijklm"}
    assert changesets.problems(change_set, spec) == ()


def test_the_delivery_option_is_spelled_as_the_published_shapes_spell_it() -> None:
    for text, option, arn_field in (
        (ALGORITHM, "SageMakerAlgorithmDeliveryOptionDetails", "SageMakerAlgorithmArn"),
        (MODEL_PACKAGE, "SageMakerModelPackageDeliveryOptionDetails", "SageMakerModelPackageArn"),
    ):
        spec = spec_of(text).as_json()
        details = build(spec)[0]["DetailsDocument"]["DeliveryOptions"][0]["Details"]
        assert list(details) == [option]
        assert details[option][arn_field] == ARN[spec["kind"]]


def test_an_algorithm_recommends_a_training_type_and_a_model_package_does_not() -> None:
    def recommended(text: str) -> set[str]:
        details = build(spec_of(text).as_json())[0]["DetailsDocument"]["DeliveryOptions"][0]["Details"]
        return set(next(iter(details.values()))["RecommendedInstanceTypes"])

    assert recommended(ALGORITHM) == {"Training", "BatchTransform", "RealtimeInference"}
    assert recommended(MODEL_PACKAGE) == {"BatchTransform", "RealtimeInference"}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("usage_instructions", "UsageInstructions"),
        ("sample_notebook_url", "SampleNotebookUrl"),
        ("repository_url", "RepositoryUrl"),
        ("release_notes", "ReleaseNotes"),
        ("input.description", "InputProperties.Description"),
        ("input.sample", "InputProperties.SampleInput"),
        ("output.description", "OutputProperties.Description"),
        ("output.sample", "OutputProperties.SampleOutput"),
    ],
)
def test_each_required_text_left_empty_is_named(spec: dict[str, Any], path: str, field: str) -> None:
    *parents, last = path.split(".")
    part = spec["listing"]
    for parent in parents:
        part = part[parent]
    part[last] = ""
    assert fields(spec) == {field: "CHANGESET-FIELD-MISSING"}
    found = changesets.problems(build(spec), spec)[0]
    assert found.spec_field == f"listing.{path}"


def test_no_empty_text_or_list_is_sent(spec: dict[str, Any]) -> None:
    def walk(value: Any) -> None:
        assert value not in ("", None, [], {})
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(each)

    spec["listing"]["usage_instructions"] = ""
    spec["listing"]["input"] = {"description": "x", "limitations": "", "sample": "", "parameters": []}
    walk(build(spec)[0]["DetailsDocument"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"product_id": "product-1"}, "Identifier"),
        ({"access_role_arn": "arn:aws:iam::111122223333:role/with/path"}, "AccessRoleArn"),
        ({"version": "x" * 65}, "VersionTitle"),
    ],
)
def test_what_the_catalog_would_refuse_is_named(spec: dict[str, Any], change: dict[str, str], field: str) -> None:
    assert fields(spec, **change) == {field: "CHANGESET-FIELD-INVALID"}


def test_an_arn_of_the_other_kind_is_refused() -> None:
    spec = spec_of(ALGORITHM).as_json()
    assert fields(spec, arn=ARN["ModelPackage"]) == {"SageMakerAlgorithmArn": "CHANGESET-FIELD-INVALID"}


def test_an_address_without_a_dotted_host_is_refused(spec: dict[str, Any]) -> None:
    spec["listing"]["repository_url"] = "https://localhost/repository"
    assert fields(spec) == {"RepositoryUrl": "CHANGESET-FIELD-INVALID"}


def test_a_recommendation_outside_the_supported_types_is_refused(spec: dict[str, Any]) -> None:
    spec["listing"]["recommended_instance_types"]["BatchTransform"] = "ml.m5.xlarge"
    assert fields(spec) == {"RecommendedInstanceTypes.BatchTransform": "CHANGESET-FIELD-INVALID"}


def test_a_parameter_without_description_is_named(spec: dict[str, Any]) -> None:
    spec["listing"]["input"]["parameters"] = [{"name": "age", "description": "", "constraints": "", "required": True}]
    assert fields(spec) == {"InputProperties.Parameters[0].Description": "CHANGESET-FIELD-MISSING"}
    sent = build(spec)[0]["DetailsDocument"]["DeliveryOptions"][0]["Details"]
    assert next(iter(sent.values()))["InputProperties"]["Parameters"] == [{"Name": "age", "Required": True}]


def test_the_versions_notes_stand_in_for_release_notes(spec: dict[str, Any]) -> None:
    spec["listing"]["release_notes"] = ""
    version = build(spec, release_notes="From the form.")[0]["DetailsDocument"]["Version"]
    assert version == {"VersionTitle": "1.0.0", "ReleaseNotes": "From the form."}


def test_what_is_missing_is_known_before_registration() -> None:
    listing = SimpleNamespace(product_id="prod-abcdefghijklm", team=SimpleNamespace(access_role_arn=ROLE))
    assert changesets.missing_fields(spec_of(), listing) == ()
    bare = SimpleNamespace(product_id="", team=SimpleNamespace(access_role_arn=""))
    assert changesets.missing_fields(spec_of(), bare) == ("the listing's product id", "the team's access role")
