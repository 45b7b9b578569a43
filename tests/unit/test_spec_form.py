"""The specification's form stands for the typed model, field by field, both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.http import QueryDict
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from listings import spec
from listings.forms.spec_form import EXTRA_ROWS, GIVEN, MOST_ROWS, SpecForm
from listings.forms.spec_table import SECTIONS, in_words
from tests.spec_posting import sent
from tests.unit.spec_fixtures import ALGORITHM, MODEL_PACKAGE, changed
from tests.unit.spec_strategies import specs

ROOT = Path(settings.BASE_DIR)
FILES = sorted([*ROOT.glob("samples/*/slipway.yaml"), *ROOT.glob("listings/starter_files/*/slipway.yaml")])
PARAMETERS = "training.SupportedHyperParameters"


def read_back(given: spec.VersionSpec, **typed: Any) -> SpecForm:
    """The form of ``given``, sent with ``typed`` in place of what it shows; ``__`` in names stands for ``-``."""
    data = sent(given)
    for name, value in typed.items():
        data.setlist(name, value) if isinstance(value, list) else data.__setitem__(name, value)
    form = SpecForm(given.kind, data)
    form.is_valid()
    return form


def errors_at(form: SpecForm, name: str) -> list[str]:
    """The messages beside the input called ``name``."""
    for bound in form.sections:
        for part in (bound.form, *(each for rows in bound.rows for each in rows.formset.forms)):
            for field in part.fields:
                if part.add_prefix(field) == name:
                    return list(part.errors.get(field, []))
    raise AssertionError(f"no input {name}")


def test_there_are_files_to_try() -> None:
    assert len(FILES) == 4


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_samples_and_starters_come_back_as_they_were(path: Path) -> None:
    given = spec.parse(path.read_text())
    assert read_back(given).spec == given


@given(specs())
@hypothesis_settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_specification_comes_back_as_it_was(given: spec.VersionSpec) -> None:
    form = read_back(given)
    assert form.shown == []
    assert form.spec == given
    assert spec.parse(given.to_yaml()) == form.spec


def test_every_field_of_the_model_has_an_input() -> None:
    full = spec.parse((ROOT / "samples/decision-trees/slipway.yaml").read_text())
    names = [name for name in sent(full) if not name.endswith("_FORMS")]
    places = {"".join(each for each in name if not each.isdigit()).replace("--", "-") for name in names}
    for model, prefix in (
        ("HyperParameter", f"{PARAMETERS}-"), ("Channel", "training.TrainingChannels-"),
        ("RequestSample", "tests.inference.requests-"), ("Inference", "inference-"), ("Training", "training-"),
        ("ListingText", "listing-"), ("InputText", "listing-data-input."), ("OutputText", "listing-data-output."),
        ("InputParameter", "listing.input.parameters-"), ("OutputParameter", "listing.output.parameters-"),
        ("Build", "build-"), ("TrainingTest", "tests-training-"), ("InferenceTest", "tests-inference-"),
    ):  # fmt: skip
        fields = spec.json_schema()["$defs"][model]["properties"]
        for field in set(fields) - {"Range"}:
            shown = [place for place in places if place.startswith(f"{prefix}{field}")]
            rows = [part.path for each in SECTIONS for part in each.parts if hasattr(part, "noun")]
            flag = fields[field].get("type") == "boolean"  # an empty box is not sent
            assert shown or flag or any(path.endswith(field) for path in rows) or field in ("input", "output"), field


@pytest.mark.parametrize(
    ("name", "value", "place", "said"),
    [
        ("training-SupportedTrainingInstanceTypes", "ml.m5.larg", None, "did you mean ml.m5.large"),
        ("training-SupportedTrainingInstanceTypes", "", None, "Fill this in"),
        ("training-SupportedTrainingInstanceTypes", "ml.m5.large, ml.m5.large", None, "already"),
        ("build-dockerfile", "../Dockerfile", None, "leads out of the source"),
        (f"{PARAMETERS}-0-Name", "", None, "Fill this in"),
        (f"{PARAMETERS}-0-DefaultValue", "99", None, "outside 1 to 20"),
        (f"{PARAMETERS}-0-max", "many", None, "not a number"),
        (f"{PARAMETERS}-0-max", "0", f"{PARAMETERS}-0-min", "greater than"),
        (f"{PARAMETERS}-0-Type", "FreeText", f"{PARAMETERS}-0-min", "no Range"),
        ("training.MetricDefinitions-0-Regex", "accuracy=[0-9]", None, "group"),
        ("training.SupportedTuningJobObjectiveMetrics-0-MetricName", "loss", None, "loss"),
        ("training.TrainingChannels-0-SupportedContentTypes", "csv", None, "type/subtype"),
        ("inference-SupportedContentTypes", "csv", None, "type/subtype"),
        ("tests-training-timeout_seconds", "soon", None, "whole number"),
        ("tests-training-timeout_seconds", "5", None, "between 10"),
        ("tests-training-instance_type", "ml.p3.2xlarge", None, "ml.p3.2xlarge"),
        ("tests.training.hyperparameters-0-value", "40", None, "outside 1 to 20"),
        ("tests.training.hyperparameters-0-key", "depth", None, "depth"),
        ("tests.training.channels-0-key", "train2", None, "train2"),
        ("tests.training.channels-0-path", "/etc/passwd", None, "absolute"),
        ("tests.inference.requests-0-expect.status", "9", None, "between 100"),
        ("tests.inference.requests-0-expect.tolerance", "nan", None, "number"),
        ("tests.inference.requests-0-content_type", "text/xml", None, "text/xml"),
        ("listing-title", "x" * 73, None, "73"),
        ("listing-sample_notebook_url", "http://example.com", None, "https"),
        ("listing-recommended_instance_types.Training", "ml.m5.xlarge", None, "ml.m5.xlarge"),
    ],
)
def test_a_problem_is_shown_at_its_input(name: str, value: str, place: str | None, said: str) -> None:
    form = read_back(spec.parse(ALGORITHM), **{name: value})
    assert form.spec is None
    assert any(said in message for message in errors_at(form, place or name)), [str(each) for each in form.shown]
    assert all(each.anchor for each in form.shown)


def test_what_a_list_lacks_is_said_above_its_rows() -> None:
    form = read_back(spec.parse(MODEL_PACKAGE), **{"tests.inference.requests-0-DELETE": "on"})
    rows = next(rows for bound in form.sections for rows in bound.rows if rows.rows.path == "requests")
    assert rows.errors == ["Fill this in."]
    assert [(each.label, each.anchor) for each in form.shown] == [("Requests", "rows-tests.inference.requests")]


def test_a_problem_of_a_later_row_is_not_shown_at_an_earlier_one() -> None:
    """Blank and removed rows are no items: places are counted without them."""
    given = spec.parse((ROOT / "samples/decision-trees/slipway.yaml").read_text())
    form = read_back(given, **{f"{PARAMETERS}-0-DELETE": "on", f"{PARAMETERS}-2-DefaultValue": "twoing"})
    assert errors_at(form, f"{PARAMETERS}-2-DefaultValue")
    assert not errors_at(form, f"{PARAMETERS}-1-DefaultValue")


def test_a_name_given_twice_is_refused_and_not_lost() -> None:
    given = spec.parse(
        changed("args: {}", "args: {A: '1'}", ALGORITHM.replace("{dockerfile: Dockerfile}", "{args: {}}"))
    )
    form = read_back(given, **{"build.args-1-key": "A", "build.args-1-value": "2"})
    assert form.spec is None
    assert "already" in errors_at(form, "build.args-1-key")[0]


def test_a_secret_as_build_argument_is_refused_at_its_name() -> None:
    form = read_back(spec.parse(ALGORITHM), **{"build.args-0-key": "API_TOKEN", "build.args-0-value": "x"})
    assert errors_at(form, "build.args-0-key")
    assert not errors_at(form, "build.args-0-value")


@pytest.mark.parametrize(
    ("key", "value", "at"),
    [("not a name", "x", "key"), ("K" * 1025, "x", "key"), ("KEY", "v" * 1025, "value"), ("", "x", "key")],
)
def test_of_a_pair_the_faulty_half_is_marked(key: str, value: str, at: str) -> None:
    form = read_back(
        spec.parse(ALGORITHM), **{"inference.Environment-0-key": key, "inference.Environment-0-value": value}
    )
    marked = [half for half in ("key", "value") if errors_at(form, f"inference.Environment-0-{half}")]
    assert marked == [at]


def test_empty_rows_count_for_nothing_and_spare_ones_can_be_filled() -> None:
    """Without script there are always rows to spare."""
    given = spec.parse(ALGORITHM)
    assert read_back(given).spec == given
    name = "training.MetricDefinitions"
    form = read_back(given, **{f"{name}-2-Name": "loss", f"{name}-2-Regex": "loss=(.+)"})
    assert form.spec
    assert form.spec.training
    assert [metric.Name for metric in form.spec.training.MetricDefinitions] == ["accuracy", "loss"]


def test_rows_can_be_lengthened_but_not_without_end() -> None:
    data = sent(spec.parse(ALGORITHM))
    before = int(data[f"{PARAMETERS}-TOTAL_FORMS"])

    def length(more: str) -> int:
        form = SpecForm("Algorithm", data, more=more)
        return next(
            len(rows.formset.forms) for each in form.sections for rows in each.rows if PARAMETERS in rows.formset.prefix
        )

    assert length(PARAMETERS) == before + EXTRA_ROWS
    assert length("training.TrainingChannels") == before
    data[f"{PARAMETERS}-TOTAL_FORMS"] = "999999999"
    assert length(PARAMETERS) == MOST_ROWS


def test_an_algorithm_may_do_without_inference() -> None:
    data = sent(spec.parse(ALGORITHM))
    del data[f"inference-{GIVEN}"]
    form = SpecForm("Algorithm", data)
    assert form.is_valid()
    assert form.spec
    assert (form.spec.inference, form.spec.tests.inference) == (None, None)
    assert read_back(form.spec).spec == form.spec


@pytest.mark.parametrize("kind", ["Algorithm", "ModelPackage"])
def test_a_form_sent_empty_names_what_is_needed(kind: str) -> None:
    form = SpecForm(kind, QueryDict(f"inference-{GIVEN}=on"))
    assert not form.is_valid()
    assert {"Instance types for batch transform", "Requests"} <= {each.label for each in form.shown}


def test_texts_speak_of_the_forms_own_names() -> None:
    said = in_words("“x” is not among training.SupportedHyperParameters.")
    assert said == "“x” is not among “Training: Hyperparameters”."
