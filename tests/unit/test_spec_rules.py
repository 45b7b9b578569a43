"""Rules between fields, what publication needs, names, and both round trips."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from listings.spec import aws_name, from_data, parse, parse_bytes, publication_problems
from listings.spec.aws import limits, realtime_instance_types, training_instance_types, transform_instance_types
from listings.starters import starter_file
from tests.unit.spec_fixtures import ALGORITHM, MODEL_PACKAGE, changed, data_of, problems_of

SAMPLES = Path(__file__).parents[2] / "samples"
RANGE = 'Range: {IntegerParameterRangeSpecification: {MinValue: "1", MaxValue: "20"}}'
HYPER = "training.SupportedHyperParameters[0]"


def test_the_small_specs_that_other_tests_change_are_valid():
    assert problems_of(ALGORITHM) == problems_of(MODEL_PACKAGE) == ()


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("accuracy=([0-9.]+)", "accuracy=([0-9.]+", "SPEC-REGEX", "training.MetricDefinitions[0].Regex"),
        ("accuracy=([0-9.]+)", "accuracy=[0-9.]+", "SPEC-REGEX-GROUPS", "training.MetricDefinitions[0].Regex"),
        ("accuracy=([0-9.]+)", "(a)=([0-9.]+)", "SPEC-REGEX-GROUPS", "training.MetricDefinitions[0].Regex"),
        ("MetricName: accuracy", "MetricName: accuracu", "SPEC-OBJECTIVE-METRIC",
         "training.SupportedTuningJobObjectiveMetrics[0].MetricName"),
        ("SupportedTuningJobObjectiveMetrics: [{Type: Maximize, MetricName: accuracy}]",
         "SupportsDistributedTraining: false", "SPEC-TUNABLE-OBJECTIVE", f"{HYPER}.IsTunable"),
        ("[{Name: accuracy,", "[{Name: accuracy, Regex: (a)}, {Name: accuracy,", "SPEC-DUPLICATE-NAME",
         "training.MetricDefinitions[1].Name"),
        ('MaxValue: "20"', 'MaxValue: "0"', "SPEC-RANGE-ORDER", f"{HYPER}.Range.IntegerParameterRangeSpecification"),
        ('MaxValue: "20"', 'MaxValue: "2.5"', "SPEC-RANGE-NUMBER",
         f"{HYPER}.Range.IntegerParameterRangeSpecification.MaxValue"),
        ("IntegerParameterRange", "ContinuousParameterRange", "SPEC-RANGE-MEMBER", f"{HYPER}.Range"),
        (RANGE, "IsRequired: false", "SPEC-TUNABLE-RANGE", f"{HYPER}.IsTunable"),
        ('DefaultValue: "5"', 'DefaultValue: "50"', "SPEC-HYPERPARAMETER-VALUE", f"{HYPER}.DefaultValue"),
        ('DefaultValue: "5"', 'DefaultValue: "five"', "SPEC-HYPERPARAMETER-VALUE", f"{HYPER}.DefaultValue"),
        ('max_depth: "4"', 'max_depth: "0"', "SPEC-HYPERPARAMETER-VALUE", "tests.training.hyperparameters.max_depth"),
        ('max_depth: "4"', 'max_dept: "4"', "SPEC-HYPERPARAMETER-UNDECLARED",
         "tests.training.hyperparameters.max_dept"),
        ("channels: {train: {", "channels: {trian: {path: x}, train: {", "SPEC-CHANNEL-UNDECLARED",
         "tests.training.channels.trian"),
        ("channels: {train: {path: sample/train, content_type: text/csv}}", "channels: {}", "SPEC-CHANNEL-MISSING",
         "tests.training.channels"),
        ("path: sample/train, content_type: text/csv", "path: sample/train, content_type: text/tsv",
         "SPEC-CONTENT-TYPE-UNDECLARED", "tests.training.channels.train.content_type"),
        ("body: sample/request.csv, content_type: text/csv", "body: sample/request.csv, content_type: text/tsv",
         "SPEC-CONTENT-TYPE-UNDECLARED", "tests.inference.requests[0].content_type"),
        ("accept: text/csv", "accept: text/tsv", "SPEC-ACCEPT-UNDECLARED", "tests.inference.requests[0].accept"),
        ("status: 200", "status: 415", "SPEC-NO-GOOD-REQUEST", "tests.inference.requests"),
        ("training:\n    instance_type: ml.m5.large", "training:\n    instance_type: ml.m5.xlarge",
         "SPEC-INSTANCE-UNLISTED", "tests.training.instance_type"),
        ("inference:\n    instance_type: ml.m5.large", "inference:\n    instance_type: ml.m5.xlarge",
         "SPEC-INSTANCE-UNLISTED", "tests.inference.instance_type"),
        ("title: Trees", "recommended_instance_types: {Training: ml.m5.xlarge}", "SPEC-INSTANCE-UNLISTED",
         "listing.recommended_instance_types.Training"),
        ("title: Trees", f"keywords: [{', '.join(f'{n:050d}' for n in range(6))}]", "SPEC-LENGTH", "listing.keywords"),
        ("build: {", "build: {args: {PIP_TOKEN: x}, ", "SPEC-BUILD-SECRET", "build.args.PIP_TOKEN"),
        ("build: {", "artifact: {path: a}\nbuild: {", "SPEC-SECTION-FOREIGN", "artifact"),
        ("SupportedTransformInstanceTypes: [ml.m5.large]",
         "SupportedTransformInstanceTypes: [ml.m5.large, ml.m5.large]",
         "SPEC-DUPLICATE-NAME", "inference.SupportedTransformInstanceTypes[1]"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_named_with_its_place(old, new, code, path):
    (problem,) = problems_of(changed(old, new))
    assert (problem.code, problem.path) == (code, path)
    assert problem.line is not None
    assert problem.message
    assert problem.remedy


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (ALGORITHM.replace("kind: Algorithm", "kind: ModelPackage"), {"SPEC-SECTION-FOREIGN"}),
        (MODEL_PACKAGE + "  training: {instance_type: ml.m5.large}\n", {"SPEC-TEST-FOREIGN"}),
        (ALGORITHM[: ALGORITHM.index("inference:")] + ALGORITHM[ALGORITHM.index("tests:") :], {"SPEC-TEST-FOREIGN"}),
        (ALGORITHM.replace("IsRequired: true", "IsRequired: false").replace(
            "{train: {path: sample/train, content_type: text/csv}}", "{}"), {"SPEC-CHANNEL-MISSING"}),
        (MODEL_PACKAGE.replace("kind: ModelPackage", "kind: Algorithm").replace("artifact: {path: model.tar.gz}\n", ""),
         {"SPEC-SECTION-MISSING"}),
        ("slipway: 1\nkind: ModelPackage\n", {"SPEC-SECTION-MISSING"}),
        (ALGORITHM[: ALGORITHM.index("tests:")], {"SPEC-TEST-MISSING"}),
    ],
)  # fmt: skip
def test_sections_must_fit_the_kind(text, codes):
    assert {problem.code for problem in problems_of(text)} == codes


def test_a_required_hyperparameter_without_default_must_be_set_by_the_test():
    text = changed('IsTunable: true, DefaultValue: "5"', "IsTunable: true, IsRequired: true")
    assert problems_of(text) == ()
    (problem,) = problems_of(changed('hyperparameters: {max_depth: "4"}', "hyperparameters: {}", text))
    assert problem.code == "SPEC-HYPERPARAMETER-MISSING"


def test_a_training_test_needs_one_input_mode_for_all_its_channels():
    two = changed(
        "      SupportedInputModes: [File]\n",
        "      SupportedInputModes: [File]\n    - {Name: more,"
        " SupportedContentTypes: [text/csv], SupportedInputModes: [Pipe]}\n",
    )
    assert problems_of(two) == ()
    (problem,) = problems_of(changed("channels: {", "channels: {more: {path: sample/train}, ", two))
    assert problem.code == "SPEC-INPUT-MODE"


@pytest.mark.parametrize(
    ("kind", "bounds", "good", "bad"),
    [
        ("Continuous", "ContinuousParameterRangeSpecification: {MinValue: '0.1', MaxValue: '1e3'}",
         ["0.1", "1e2", "1000"], ["0.09", "inf", "nan", "1_0", "x", ""]),
        ("Integer", "IntegerParameterRangeSpecification: {MinValue: '-2', MaxValue: '3'}",
         ["-2", "0", "+3"], ["4", "1.0", "1e0", "0x1"]),
        ("Categorical", "CategoricalParameterRangeSpecification: {Values: [gini, '1']}", ["gini", "1"], ["Gini", "2"]),
    ],
)  # fmt: skip
def test_a_value_is_judged_by_type_and_range(kind, bounds, good, bad):
    text = changed("Type: Integer", f"Type: {kind}").replace(RANGE, f"Range: {{{bounds}}}")
    text = text.replace(', DefaultValue: "5"', "")
    for value in good:
        assert problems_of(changed('max_depth: "4"', f'max_depth: "{value}"', text)) == (), value
    for value in bad:
        assert [p.code for p in problems_of(changed('max_depth: "4"', f'max_depth: "{value}"', text))] == [
            "SPEC-HYPERPARAMETER-VALUE"
        ], value


def test_a_request_that_expects_a_refusal_may_send_anything():
    extra = ", {name: other, body: x, content_type: a/b, accept: c/d, expect: {status: 415}}"
    assert (
        problems_of(changed("content_type: text/csv}]", "content_type: text/csv}" + extra + "]", MODEL_PACKAGE)) == ()
    )


def test_parameters_of_a_content_type_do_not_matter():
    assert (
        problems_of(changed("content_type: text/csv, accept", "content_type: 'Text/CSV; charset=utf-8', accept")) == ()
    )


def test_limits_come_from_the_service_model_of_the_installed_botocore():
    assert limits("ChannelName").maximum == 64
    assert limits("EntityName").maximum == 63
    both = set(training_instance_types()) & set(transform_instance_types()) & set(realtime_instance_types())
    assert "ml.m5.large" in both
    assert not any(name.startswith("ml.m6g.") for name in transform_instance_types())


@pytest.mark.parametrize("name", ["decision-trees", "churn-predictor"])
def test_the_samples_are_complete_and_name_only_files_they_have(name):
    spec = parse_bytes((SAMPLES / name / "slipway.yaml").read_bytes())
    assert publication_problems(spec) == []
    assert (SAMPLES / name / spec.build.dockerfile).is_file()
    for _place, path in spec.sample_paths():
        assert (SAMPLES / name / path).exists(), path


def test_publication_names_each_thing_that_is_missing():
    missing = {problem.path for problem in publication_problems(parse(ALGORITHM))}
    assert {
        "listing.usage_instructions", "listing.sample_notebook_url", "listing.repository_url",
        "listing.input.description", "listing.output.sample",
        "listing.recommended_instance_types.Training", "listing.highlights",
    } <= missing  # fmt: skip
    assert "listing.title" not in missing
    starter = parse_bytes(starter_file("ModelPackage", "slipway.yaml"))
    assert all(problem.remedy and problem.message for problem in publication_problems(starter))


def test_an_algorithm_that_only_trains_cannot_be_certified():
    data = data_of(ALGORITHM)
    del data["inference"], data["tests"]["inference"]
    assert "inference" in {problem.path for problem in publication_problems(from_data(data))}


def test_aws_specifications_carry_image_digest_and_nothing_empty():
    spec = parse(ALGORITHM)
    training = spec.training_specification("image", "sha256:1")
    assert training["TrainingImage"] == "image"
    assert training["TrainingImageDigest"] == "sha256:1"
    assert training["SupportsDistributedTraining"] is False
    assert "Description" not in training["TrainingChannels"][0]
    inference = spec.inference_specification("image", "sha256:1")
    assert inference["Containers"] == [{"Image": "image", "ImageDigest": "sha256:1"}]
    assert "Environment" not in inference
    package = parse(MODEL_PACKAGE)
    assert package.training_specification() is None
    assert package.inference_specification("i", "d", ["s3://b/m"])["Containers"][0]["ModelDataUrl"] == "s3://b/m"
    assert spec.training_input_mode() == "File"


@given(slug=st.text(max_size=90), version=st.text(max_size=70))
def test_an_aws_name_always_fits_what_sagemaker_accepts(slug, version):
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", aws_name(slug, version))


@given(one=st.tuples(st.from_regex(r"[a-z0-9]+(-[a-z0-9]+){0,2}", fullmatch=True), st.just("1.0.0")),
       other=st.from_regex(r"[0-9]\.[0-9]\.[0-9](-[a-z]{1,3}(\.[0-9]|-[0-9])?)?", fullmatch=True))  # fmt: skip
def test_two_versions_of_a_listing_never_share_a_name(one, other):
    assert (aws_name(*one) == aws_name(one[0], other)) == (one[1] == other)


def test_ordinary_names_stay_readable():
    assert aws_name("churn-predictor", "1.10.0") == "churn-predictor-1-10-0"


_LINES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Co", "Cn"), include_characters="\n\t"), max_size=60)
_WORD = st.text(string.ascii_letters + string.digits + " :#-&*!|>'\"%@`{}[],?~", min_size=1, max_size=20)


def _with(texts: list[str], values: dict[str, str], words: list[str]) -> dict[str, Any]:
    data = data_of(ALGORITHM)
    data["listing"] |= {"usage_instructions": texts[0], "release_notes": texts[1], "highlights": words}
    data["build"]["args"] = values
    data["training"]["SupportedHyperParameters"].append({"Name": "free", "Type": "FreeText", "DefaultValue": texts[2]})
    return data


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(texts=st.lists(_LINES, min_size=3, max_size=3), words=st.lists(_WORD, max_size=3),
       values=st.dictionaries(st.from_regex(r"[A-Z]{2,6}", fullmatch=True), _WORD, max_size=3))  # fmt: skip
def test_a_spec_written_as_yaml_is_read_back_equal(texts, values, words):
    spec = from_data(_with(texts, values, words))
    assert parse(spec.to_yaml()) == spec


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
@given(st.text(st.sampled_from("slipway: 1\nkind-[]{}&*a'\"|>?!%@x\t#,~"), max_size=60))
def test_any_text_is_either_a_spec_or_a_coded_refusal(text):
    # problems_of lets anything but SpecErrors fly.
    assert all(problem.code.startswith("SPEC-") and problem.message for problem in problems_of(text))
