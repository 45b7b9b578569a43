"""Inference pipelines and models inside the image: the spec, its form, and what SageMaker is told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from listings.forms.spec_form import SpecForm
from listings.problems import ProblemError
from listings.spec import from_data, parse
from tests.spec_posting import sent
from tests.unit.spec_fixtures import ALGORITHM, MODEL_PACKAGE, changed, data_of, problems_of
from workers.aws.registration import register_request

LINKS = """\
  Environment: {LEVEL: info, STAGE: none}
  Containers:
    - {ContainerHostname: features, Environment: {STAGE: features}}
    - {ContainerHostname: model, Environment: {STAGE: model}, artifact: model.tar.gz}
tests:
"""
PIPELINE = changed("tests:\n", LINKS, changed("artifact: {path: model.tar.gz}\n", "", MODEL_PACKAGE))
IN_IMAGE = changed("path: model.tar.gz", "in_image: true", MODEL_PACKAGE)
PUSHED = {
    "repository_uri": "111122223333.dkr.ecr.us-east-1.amazonaws.com/acme/trees", "tag": "1", "digest": "sha256:1",
    "validation": {"transform": "s3://acme/samples/"},
}  # fmt: skip
TEAM = SimpleNamespace(s3_bucket="acme", validation_role_arn="arn:aws:iam::111122223333:role/validation")


def codes(text: str) -> set[str]:
    return {problem.code for problem in problems_of(text)}


def test_each_container_is_registered_with_its_own_environment_and_archive():
    pushed = PUSHED | {"artifact_uri": None, "artifact_uris": {"model": "s3://acme/model.tar.gz"}}
    request = register_request(parse(PIPELINE), pushed, TEAM, "trees-1")
    features, model = request.params["InferenceSpecification"]["Containers"]
    image = {"Image": f"{PUSHED['repository_uri']}:1", "ImageDigest": "sha256:1"}
    assert features == image | {
        "ContainerHostname": "features", "Environment": {"LEVEL": "info", "STAGE": "features"}
    }  # fmt: skip
    assert model == image | {
        "ContainerHostname": "model", "Environment": {"LEVEL": "info", "STAGE": "model"},
        "ModelDataUrl": "s3://acme/model.tar.gz",
    }  # fmt: skip


def test_an_archive_that_was_not_pushed_is_missed():
    with pytest.raises(ProblemError) as caught:
        register_request(parse(PIPELINE), PUSHED | {"artifact_uris": {}}, TEAM, "trees-1")
    assert caught.value.code == "REGISTER-FACTS-MISSING"


def test_a_model_in_the_image_is_registered_without_an_archive():
    request = register_request(parse(IN_IMAGE), PUSHED | {"artifact_uri": None}, TEAM, "trees-1")
    assert "ModelDataUrl" not in request.params["InferenceSpecification"]["Containers"][0]
    with pytest.raises(ProblemError):
        register_request(parse(MODEL_PACKAGE), PUSHED | {"artifact_uri": None}, TEAM, "trees-1")


def test_the_environment_of_each_container_is_the_common_one_under_its_own():
    assert parse(PIPELINE).container_environments() == [
        {"LEVEL": "info", "STAGE": "features"}, {"LEVEL": "info", "STAGE": "model"},
    ]  # fmt: skip
    assert parse(MODEL_PACKAGE).container_environments() == [{}]


def test_an_empty_variable_is_registered_as_it_was_tested():
    text = changed("Environment: {STAGE: model}", 'Environment: {STAGE: ""}', PIPELINE)
    pushed = PUSHED | {"artifact_uris": {"model": "s3://acme/model.tar.gz"}}
    spec = parse(text)
    registered = register_request(spec, pushed, TEAM, "trees-1").params["InferenceSpecification"]["Containers"]
    assert [container["Environment"] for container in registered] == spec.container_environments()
    assert spec.container_environments()[1] == {"LEVEL": "info", "STAGE": ""}


@pytest.mark.parametrize("value", ["x=1\nTOKEN=y", "x  ", "a: 1\nb: 2", '"quoted"', '"open', "", " ", "é"])
def test_the_form_keeps_any_value_of_a_pipelines_variable(value):
    data = data_of(PIPELINE)
    data["inference"]["Containers"][0]["Environment"] = {"CONF": value, "OTHER": "1"}
    spec = from_data(data)
    form = SpecForm("ModelPackage", sent(spec))
    assert form.is_valid(), form.shown
    assert form.spec == spec


def test_a_variable_given_twice_is_refused():
    data = sent(parse(PIPELINE))
    data["inference.Containers-0-environment"] = "A=1\nA=2"
    assert not SpecForm("ModelPackage", data).is_valid()


def test_a_pipeline_has_two_containers_of_different_names_and_belongs_to_a_model_package():
    second = "    - {ContainerHostname: model, Environment: {STAGE: model}, artifact: model.tar.gz}\n"
    assert codes(changed(second, "", PIPELINE)) == {"SPEC-COUNT"}
    assert codes(changed("ContainerHostname: model,", "ContainerHostname: features,", PIPELINE)) == {
        "SPEC-DUPLICATE-NAME"
    }  # fmt: skip
    assert codes(changed("ContainerHostname: model,", "ContainerHostname: a_b,", PIPELINE)) == {"SPEC-PATTERN"}
    links = "  Containers: [{ContainerHostname: a}, {ContainerHostname: b}]\ntests:\n"
    assert codes(changed("tests:\n", links)) == {"SPEC-SECTION-FOREIGN"}


def test_a_model_lies_in_one_place_only():
    assert codes(changed("path: model.tar.gz", "path: model.tar.gz, in_image: true", MODEL_PACKAGE)) == {
        "SPEC-ARTIFACT-TWICE"
    }  # fmt: skip
    assert codes(changed("kind: ModelPackage\n", "kind: ModelPackage\nartifact: {path: m.tar.gz}\n", PIPELINE)) == {
        "SPEC-ARTIFACT-TWICE"
    }  # fmt: skip


@pytest.mark.parametrize("text", [PIPELINE, IN_IMAGE], ids=["pipeline", "in-image"])
def test_the_form_and_the_file_hold_the_same(text):
    spec = parse(text)
    form = SpecForm("ModelPackage", sent(spec))
    assert form.is_valid(), form.shown
    assert form.spec == spec
    assert parse(spec.to_yaml()) == spec


def test_an_algorithms_form_offers_no_pipeline():
    sections = SpecForm("Algorithm", start=parse(ALGORITHM)).sections
    assert "Containers" not in [rows.rows.path for bound in sections for rows in bound.rows]
