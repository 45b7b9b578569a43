"""Reading slipway.yaml: every refusal names its line, and one reading finds them all."""

from __future__ import annotations

import pytest

from listings.problems import get
from listings.spec import SpecErrors, VersionSpec, from_data, json_schema, parse, parse_bytes
from listings.spec.document import MAX_CHARACTERS
from tests.unit.spec_fixtures import ALGORITHM, changed, data_of, problems_of


def test_a_whole_spec_is_read_with_aws_own_names():
    spec = parse(ALGORITHM)
    assert spec.kind == "Algorithm"
    assert spec.training is not None
    assert spec.training.SupportedHyperParameters[0].Name == "max_depth"
    assert spec.tests.training is not None
    assert spec.tests.training.hyperparameters == {"max_depth": "4"}


def test_numbers_where_text_is_wanted_keep_what_was_written():
    spec = parse(changed('max_depth: "4"', "max_depth: 04").replace('DefaultValue: "5"', "DefaultValue: 5"))
    assert spec.tests.training.hyperparameters == {"max_depth": "04"}
    assert spec.training.SupportedHyperParameters[0].DefaultValue == "5"


def test_a_key_without_a_value_is_a_key_not_given():
    assert (
        parse(changed("build: {dockerfile: Dockerfile}", "build: {dockerfile: Dockerfile, target: }")).build.target
        is None
    )


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("slipway: 1", "slipway: 2", "SPEC-BOUNDS", "slipway"),
        ("slipway: 1\n", "", "SPEC-REQUIRED", "slipway"),
        ("kind: Algorithm\n", "", "SPEC-REQUIRED", "kind"),
        ("kind: Algorithm", "kind: Algoritm", "SPEC-CHOICE", "kind"),
        ("dockerfile: Dockerfile", "dockerfiel: Dockerfile", "SPEC-UNKNOWN-KEY", "build.dockerfiel"),
        ("dockerfile: Dockerfile", "dockerfile: ../Dockerfile", "SPEC-PATH", "build.dockerfile"),
        ("dockerfile: Dockerfile", "dockerfile: /Dockerfile", "SPEC-PATH", "build.dockerfile"),
        ("dockerfile: Dockerfile", "dockerfile: [a]", "SPEC-TYPE", "build.dockerfile"),
        ("dockerfile: Dockerfile", "dockerfile: !!python/name:os.system x", "SPEC-TAG", "build.dockerfile"),
        ("dockerfile: Dockerfile", "dockerfile: a, dockerfile: b", "SPEC-DUPLICATE-KEY", "build.dockerfile"),
        ("build: {dockerfile: Dockerfile}", "build: Dockerfile", "SPEC-TYPE", "build"),
        ("{Name: accuracy,", "{Name: \"a\\0b\",", "SPEC-CONTROL-CHARACTER", "training.MetricDefinitions[0].Name"),
        ("{Name: accuracy,", "{Name: \"\",", "SPEC-REQUIRED", "training.MetricDefinitions[0].Name"),
        ("{Name: accuracy,", "{", "SPEC-REQUIRED", "training.MetricDefinitions[0].Name"),
        ("Name: train\n", "Name: a b\n", "SPEC-PATTERN", "training.TrainingChannels[0].Name"),
        ("Name: train\n", f"Name: {'a' * 65}\n", "SPEC-LENGTH", "training.TrainingChannels[0].Name"),
        ("Description: Depth.", "Description: \"a\\nb\"", "SPEC-PRINTABLE",
         "training.SupportedHyperParameters[0].Description"),
        ("IsTunable: true", "IsTunable: 1", "SPEC-TYPE", "training.SupportedHyperParameters[0].IsTunable"),
        ("SupportedInputModes: [File]", "SupportedInputModes: []", "SPEC-COUNT",
         "training.TrainingChannels[0].SupportedInputModes"),
        ("SupportedInputModes: [File]", "SupportedInputModes: File", "SPEC-TYPE",
         "training.TrainingChannels[0].SupportedInputModes"),
        ("SupportedTrainingInstanceTypes: [ml.m5.large]", "SupportedTrainingInstanceTypes: [ml.m5.lagre]",
         "SPEC-CHOICE", "training.SupportedTrainingInstanceTypes[0]"),
        ("SupportedTrainingInstanceTypes: [ml.m5.large]", "SupportedTrainingInstanceTypes: []", "SPEC-REQUIRED",
         "training.SupportedTrainingInstanceTypes"),
        ("SupportedContentTypes: [text/csv, ", "SupportedContentTypes: [csv, ", "SPEC-MEDIA-TYPE",
         "inference.SupportedContentTypes[0]"),
        *(("SupportedContentTypes: [text/csv, ", f"SupportedContentTypes: ['{bad}', ", "SPEC-MEDIA-TYPE",
           "inference.SupportedContentTypes[0]") for bad in ("text/csv; q=→", "text/csv→", "text/csvé")),
        *(("SupportedResponseMIMETypes: [text/csv]", f"SupportedResponseMIMETypes: [{bad}]", "SPEC-MEDIA-TYPE",
           "inference.SupportedResponseMIMETypes[0]") for bad in ("text/csv→", "téxt/csv", r'"text/a\tb"')),
        ("SupportedResponseMIMETypes: [text/csv]", "SupportedResponseMIMETypes: [csv]", "SPEC-PATTERN",
         "inference.SupportedResponseMIMETypes[0]"),
        ("timeout_seconds: 60", "timeout_seconds: 5", "SPEC-BOUNDS", "tests.training.timeout_seconds"),
        ("timeout_seconds: 60", "timeout_seconds: soon", "SPEC-TYPE", "tests.training.timeout_seconds"),
        ("tolerance: 0.5", "tolerance: .nan", "SPEC-TYPE", "tests.inference.requests[0].expect.tolerance"),
        ("title: Trees", f"title: {'a' * 73}", "SPEC-LENGTH", "listing.title"),
        ("title: Trees", "repository_url: http://example.com", "SPEC-URL", "listing.repository_url"),
        ("title: Trees", "repository_url: https://[", "SPEC-URL", "listing.repository_url"),
        ("title: Trees", "highlights: [a, b, c, d]", "SPEC-COUNT", "listing.highlights"),
        ("title: Trees", "<<: {title: Trees}", "SPEC-YAML", "listing"),
        ("title: Trees", "? [a]\n  : b", "SPEC-TYPE", "listing"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_its_code_and_place(old, new, code, path):
    (problem,) = problems_of(changed(old, new))
    assert (problem.code, problem.path) == (code, path)
    assert problem.line is not None
    assert "{" not in problem.message.replace("{2}", "")
    assert problem.remedy


def test_the_line_named_is_the_line_of_the_value():
    text = changed("timeout_seconds: 60", "timeout_seconds: 5")
    (problem,) = problems_of(text)
    assert "timeout_seconds: 5" in text.splitlines()[problem.line - 1]


def test_a_near_miss_names_what_was_probably_meant():
    (key,) = problems_of(changed("dockerfile: Dockerfile", "dockerfiel: Dockerfile"))
    assert "did you mean dockerfile?" in key.message
    (value,) = problems_of(
        changed("SupportedTrainingInstanceTypes: [ml.m5.large]", "SupportedTrainingInstanceTypes: [ml.m5.lagre]")
    )
    assert "did you mean ml.m5.large?" in value.message


def test_one_reading_finds_field_errors_and_broken_rules_together():
    text = changed("kind: Algorithm", "kind: Algorithm\nbuld: {}").replace("tolerance: 0.5", "tolerance: x")
    text = text.replace('max_depth: "4"', 'max_dept: "4"').replace("[0-9.]+)", "[0-9.]+")
    assert [problem.code for problem in problems_of(text)] == [
        "SPEC-UNKNOWN-KEY", "SPEC-REGEX", "SPEC-HYPERPARAMETER-UNDECLARED", "SPEC-TYPE",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "SPEC-EMPTY"),
        ("# nothing\n", "SPEC-EMPTY"),
        ("[1, 2]", "SPEC-NOT-MAPPING"),
        ("just text", "SPEC-NOT-MAPPING"),
        ("kind: [", "SPEC-YAML"),
        ("kind: a: b", "SPEC-YAML"),
        ("a: 1\n---\nb: 2\n", "SPEC-YAML"),
        ("a: \x07", "SPEC-YAML"),
        ("a: *unknown", "SPEC-YAML"),
        ("a: " + "[" * 200 + "]" * 200, "SPEC-TOO-COMPLEX"),
        ("[" * 100_000, "SPEC-TOO-COMPLEX"),
        ("a: " + ", ".join("[1" for _ in range(3)) + "x" * MAX_CHARACTERS, "SPEC-TOO-LARGE"),
        ("a: [" + "1," * 60_000 + "1]", "SPEC-TOO-COMPLEX"),
        ("&a {b: *a}", "SPEC-TOO-COMPLEX"),
    ],
)
def test_what_is_not_a_spec_at_all_is_refused(text, code):
    (problem,) = problems_of(text)
    assert problem.code == code


def test_aliases_that_multiply_are_refused_quickly():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    (problem,) = problems_of("\n".join(lines))
    assert problem.code == "SPEC-TOO-COMPLEX"


def test_an_alias_that_is_used_once_or_twice_is_fine():
    text = changed(
        "SupportedTransformInstanceTypes: [ml.m5.large]", "SupportedTransformInstanceTypes: &types [ml.m5.large]"
    )
    text = text.replace(
        "SupportedRealtimeInferenceInstanceTypes: [ml.m5.large]", "SupportedRealtimeInferenceInstanceTypes: *types"
    )
    assert parse(text).inference.SupportedRealtimeInferenceInstanceTypes == ["ml.m5.large"]


def test_bytes_must_be_utf8_and_may_begin_with_a_mark():
    assert parse_bytes(b"\xef\xbb\xbf" + ALGORITHM.encode()) == parse(ALGORITHM)
    with pytest.raises(SpecErrors) as caught:
        parse_bytes(b"slipway: 1\nkind: \xff\n")
    assert [(p.code, p.line) for p in caught.value.problems] == [("SPEC-ENCODING", 2)]
    with pytest.raises(SpecErrors) as caught:
        parse_bytes(b"#" * (4 * MAX_CHARACTERS + 1))
    assert caught.value.problems[0].code == "SPEC-TOO-LARGE"


def test_form_data_is_the_same_spec_without_lines():
    data = data_of(ALGORITHM)
    assert from_data(data) == parse(ALGORITHM)
    data["tests"]["training"]["timeout_seconds"] = 5
    data["artifact"] = None
    with pytest.raises(SpecErrors) as caught:
        from_data(data)
    (problem,) = caught.value.problems
    assert (problem.code, problem.loc, problem.line) == ("SPEC-BOUNDS", ("tests", "training", "timeout_seconds"), None)


def test_form_line_ends_become_plain_ones():
    data = data_of(ALGORITHM)
    data["listing"]["usage_instructions"] = "one\r\ntwo\r\n"
    assert from_data(data).listing.usage_instructions == "one\ntwo\n"


def test_several_problems_make_one_report_with_each_as_evidence():
    with pytest.raises(SpecErrors) as caught:
        parse(changed("slipway: 1", "slipway: 2").replace("timeout_seconds: 60", "timeout_seconds: 5"))
    report = caught.value.as_report()
    assert report.code == "SPEC-INVALID"
    assert report.params["count"] == "2 problems"
    assert [evidence.label.split(",")[0] for evidence in report.evidence] == ["line 1", "line 24"]


def test_a_single_problem_is_reported_under_its_own_code():
    with pytest.raises(SpecErrors) as caught:
        parse(changed("slipway: 1", "slipway: 2"))
    assert caught.value.as_report().code == "SPEC-BOUNDS"


def test_every_code_that_reading_can_give_is_in_the_catalogue():
    for code in ("SPEC-INVALID", "SPEC-KIND-MISMATCH", "SPEC-SAMPLE-MISSING", "SPEC-PUBLICATION"):
        assert get(code).remedy


def test_what_was_stored_is_read_back_equal():
    spec = parse(ALGORITHM)
    assert VersionSpec.stored(spec.as_json()) == spec


def test_the_json_schema_requires_what_the_reader_requires_and_lists_instance_types():
    schema = json_schema()
    assert set(schema["required"]) == {"kind", "slipway"}
    training = schema["$defs"]["Training"]
    assert set(training["required"]) == {"SupportedTrainingInstanceTypes", "TrainingChannels"}
    assert "ml.m5.large" in training["properties"]["SupportedTrainingInstanceTypes"]["items"]["enum"]
    assert schema["$defs"]["Channel"]["properties"]["Name"]["maxLength"] == 64
