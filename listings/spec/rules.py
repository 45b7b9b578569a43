"""Rules between fields: what AWS would find out hours later, or a buyer after that.

Each rule names the parts of the spec that it reads, and is left out when one of them is faulty in
itself: a wrong value is reported once, not together with everything that follows from it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from listings.spec import parameters
from listings.spec.errors import Loc
from listings.spec.models import VersionSpec
from listings.spec.types import media_type, nearest

#: One container alone is no pipeline; SageMaker chains up to 15.
SMALLEST_PIPELINE = 2
_SECRET_NAME = re.compile(r"(?i)(^|_)(token|secret|password|passwd|api_?key|private_?key|access_?key)(_|$)")


@dataclass(frozen=True, slots=True)
class Broken:
    code: str
    loc: Loc
    params: dict[str, str] = field(default_factory=dict)


Rule = Callable[[VersionSpec], Iterator[Broken]]
_RULES: list[tuple[tuple[Loc, ...], Rule]] = []


def _reads(*paths: str) -> Callable[[Rule], Rule]:
    def keep(rule: Rule) -> Rule:
        _RULES.append((tuple(tuple(path.split(".")) for path in paths), rule))
        return rule

    return keep


def broken_rules(spec: VersionSpec, faulty: Iterable[Loc] = ()) -> Iterator[Broken]:
    """Every broken rule that reads nothing faulty."""
    faults = list(faulty)
    for paths, rule in _RULES:
        if not any(_overlap(path, fault) for path in paths for fault in faults):
            yield from rule(spec)


def _overlap(one: Loc, other: Loc) -> bool:
    shared = min(len(one), len(other))
    return shared > 0 and one[:shared] == other[:shared]


def _twice(names: Iterable[str], loc: Loc, what: str, key: str | None = "Name") -> Iterator[Broken]:
    seen: Counter[str] = Counter()
    for index, name in enumerate(names):
        seen[name] += 1
        if seen[name] == 2:
            place = (*loc, index) if key is None else (*loc, index, key)
            yield Broken("SPEC-DUPLICATE-NAME", place, {"what": what, "name": name})


@_reads("kind", "training")
def _training_belongs_to_algorithms(spec: VersionSpec) -> Iterator[Broken]:
    if spec.kind == "Algorithm" and spec.training is None:
        yield Broken("SPEC-SECTION-MISSING", ("training",), {"section": "training", "kind": spec.kind})
    if spec.kind == "ModelPackage" and spec.training is not None:
        yield Broken("SPEC-SECTION-FOREIGN", ("training",), {"section": "training", "kind": spec.kind})


@_reads("kind", "inference", "artifact")
def _sections_of_model_packages(spec: VersionSpec) -> Iterator[Broken]:
    if spec.kind == "ModelPackage" and spec.inference is None:
        yield Broken("SPEC-SECTION-MISSING", ("inference",), {"section": "inference", "kind": spec.kind})
    if spec.kind == "Algorithm" and spec.artifact is not None:
        yield Broken("SPEC-SECTION-FOREIGN", ("artifact",), {"section": "artifact", "kind": spec.kind})


@_reads("artifact")
def _the_model_lies_in_one_place(spec: VersionSpec) -> Iterator[Broken]:
    if spec.artifact is not None and spec.artifact.path and spec.artifact.in_image:
        yield Broken("SPEC-ARTIFACT-TWICE", ("artifact", "in_image"), {"other": "artifact.path"})


@_reads("kind", "inference", "artifact")
def _pipelines_are_sound(spec: VersionSpec) -> Iterator[Broken]:
    links = spec.inference.Containers if spec.inference else []
    if not links:
        return
    loc: Loc = ("inference", "Containers")
    if spec.kind == "Algorithm":
        yield Broken("SPEC-SECTION-FOREIGN", loc, {"section": "inference.Containers", "kind": spec.kind})
    if len(links) < SMALLEST_PIPELINE:
        yield Broken("SPEC-COUNT", loc, {"count": str(len(links)), "limit": f"at least {SMALLEST_PIPELINE}"})
    yield from _twice((link.ContainerHostname for link in links), loc, "container", "ContainerHostname")
    if spec.artifact is not None:
        yield Broken("SPEC-ARTIFACT-TWICE", ("artifact",), {"other": "inference.Containers"})


@_reads("kind", "training", "inference", "tests")
def _every_part_is_tested(spec: VersionSpec) -> Iterator[Broken]:
    """AWS's validation profile needs a training job for an algorithm and a transform job for inference."""
    for name, has, test in (
        ("training", spec.training is not None, spec.tests.training),
        ("inference", spec.inference is not None, spec.tests.inference),
    ):
        if has and test is None:
            yield Broken("SPEC-TEST-MISSING", ("tests", name), {"section": name})
        if test is not None and not has and (name == "inference" or spec.kind == "ModelPackage"):
            yield Broken("SPEC-TEST-FOREIGN", ("tests", name), {"section": name})


@_reads("training.SupportedHyperParameters")
def _hyperparameters_are_sound(spec: VersionSpec) -> Iterator[Broken]:
    given = spec.training.SupportedHyperParameters if spec.training else []
    loc: Loc = ("training", "SupportedHyperParameters")
    yield from _twice((each.Name for each in given), loc, "hyperparameter")
    for index, parameter in enumerate(given):
        for code, below, params in parameters.definition_problems(parameter):
            yield Broken(code, (*loc, index, *below), {"name": parameter.Name, **params})


@_reads("training.MetricDefinitions")
def _metrics_are_sound(spec: VersionSpec) -> Iterator[Broken]:
    given = spec.training.MetricDefinitions if spec.training else []
    loc: Loc = ("training", "MetricDefinitions")
    yield from _twice((each.Name for each in given), loc, "metric")
    for index, metric in enumerate(given):
        place = (*loc, index, "Regex")
        try:
            groups = re.compile(metric.Regex).groups
        except (re.error, RecursionError, OverflowError) as error:
            yield Broken("SPEC-REGEX", place, {"name": metric.Name, "detail": str(error)})
        else:
            if groups != 1:
                yield Broken("SPEC-REGEX-GROUPS", place, {"name": metric.Name, "count": str(groups)})


@_reads("training.MetricDefinitions", "training.SupportedTuningJobObjectiveMetrics")
def _objectives_are_defined(spec: VersionSpec) -> Iterator[Broken]:
    if spec.training is None:
        return
    known = [metric.Name for metric in spec.training.MetricDefinitions]
    for index, objective in enumerate(spec.training.SupportedTuningJobObjectiveMetrics):
        if objective.MetricName not in known:
            loc: Loc = ("training", "SupportedTuningJobObjectiveMetrics", index, "MetricName")
            hint = nearest(objective.MetricName, known)
            yield Broken("SPEC-OBJECTIVE-METRIC", loc, {"name": objective.MetricName, "hint": hint})


@_reads("training.SupportedHyperParameters", "training.SupportedTuningJobObjectiveMetrics")
def _tunable_needs_an_objective(spec: VersionSpec) -> Iterator[Broken]:
    if spec.training is None or spec.training.SupportedTuningJobObjectiveMetrics:
        return
    for index, parameter in enumerate(spec.training.SupportedHyperParameters):
        if parameter.IsTunable:
            loc: Loc = ("training", "SupportedHyperParameters", index, "IsTunable")
            yield Broken("SPEC-TUNABLE-OBJECTIVE", loc, {"name": parameter.Name})
            return


@_reads("training.TrainingChannels")
def _channels_are_sound(spec: VersionSpec) -> Iterator[Broken]:
    given = spec.training.TrainingChannels if spec.training else []
    yield from _twice((each.Name for each in given), ("training", "TrainingChannels"), "channel")


@_reads("training", "inference")
def _lists_name_each_value_once(spec: VersionSpec) -> Iterator[Broken]:
    if spec.training:
        name = "SupportedTrainingInstanceTypes"
        yield from _twice(spec.training.SupportedTrainingInstanceTypes, ("training", name), "instance type", None)
    if spec.inference:
        for name, what in (
            ("SupportedTransformInstanceTypes", "instance type"),
            ("SupportedRealtimeInferenceInstanceTypes", "instance type"),
            ("SupportedContentTypes", "content type"),
            ("SupportedResponseMIMETypes", "response type"),
        ):
            yield from _twice(getattr(spec.inference, name), ("inference", name), what, None)


@_reads("tests.training.instance_type", "training.SupportedTrainingInstanceTypes")
def _training_test_runs_on_a_listed_type(spec: VersionSpec) -> Iterator[Broken]:
    if spec.training and spec.tests.training:
        listed = spec.training.SupportedTrainingInstanceTypes
        if spec.tests.training.instance_type not in listed:
            params = {"value": spec.tests.training.instance_type, "list": "training.SupportedTrainingInstanceTypes"}
            yield Broken("SPEC-INSTANCE-UNLISTED", ("tests", "training", "instance_type"), params)


@_reads("tests.training.channels", "training.TrainingChannels")
def _training_test_fills_the_channels(spec: VersionSpec) -> Iterator[Broken]:
    if not spec.training or not spec.tests.training:
        return
    declared = {channel.Name: channel for channel in spec.training.TrainingChannels}
    given = spec.tests.training.channels
    loc: Loc = ("tests", "training", "channels")
    for name, channel in declared.items():
        if channel.IsRequired and name not in given:
            yield Broken("SPEC-CHANNEL-MISSING", loc, {"name": name})
    for name, sample in given.items():
        if name not in declared:
            yield Broken("SPEC-CHANNEL-UNDECLARED", (*loc, name), {"name": name, "hint": nearest(name, declared)})
        elif sample.content_type:
            supported = declared[name].SupportedContentTypes
            if not _declared(sample.content_type, supported):
                params = {"value": sample.content_type, "declared": ", ".join(supported)}
                yield Broken("SPEC-CONTENT-TYPE-UNDECLARED", (*loc, name, "content_type"), params)
    if declared and not given and not any(channel.IsRequired for channel in declared.values()):
        yield Broken("SPEC-CHANNEL-MISSING", loc, {"name": next(iter(declared))})
    elif spec.training_input_mode() is None:
        yield Broken("SPEC-INPUT-MODE", loc, {"names": ", ".join(given)})


@_reads("tests.training.hyperparameters", "training.SupportedHyperParameters")
def _training_test_sets_good_hyperparameters(spec: VersionSpec) -> Iterator[Broken]:
    if not spec.training or not spec.tests.training:
        return
    declared = {parameter.Name: parameter for parameter in spec.training.SupportedHyperParameters}
    given = spec.tests.training.hyperparameters
    loc: Loc = ("tests", "training", "hyperparameters")
    for name, parameter in declared.items():
        if parameter.IsRequired and name not in given and parameter.DefaultValue is None:
            yield Broken("SPEC-HYPERPARAMETER-MISSING", loc, {"name": name})
    for name, value in given.items():
        if name not in declared:
            params = {"name": name, "hint": nearest(name, declared)}
            yield Broken("SPEC-HYPERPARAMETER-UNDECLARED", (*loc, name), params)
        elif detail := parameters.value_problem(declared[name], value):
            yield Broken("SPEC-HYPERPARAMETER-VALUE", (*loc, name), {"name": name, "value": value, "why": detail})


@_reads("tests.inference.instance_type", "inference.SupportedTransformInstanceTypes")
def _inference_test_runs_on_a_listed_type(spec: VersionSpec) -> Iterator[Broken]:
    if spec.inference and spec.tests.inference:
        listed = spec.inference.SupportedTransformInstanceTypes
        if spec.tests.inference.instance_type not in listed:
            params = {"value": spec.tests.inference.instance_type, "list": "inference.SupportedTransformInstanceTypes"}
            yield Broken("SPEC-INSTANCE-UNLISTED", ("tests", "inference", "instance_type"), params)


@_reads("tests.inference.requests", "inference.SupportedContentTypes", "inference.SupportedResponseMIMETypes")
def _requests_use_declared_types(spec: VersionSpec) -> Iterator[Broken]:
    """Requests that expect a refusal (4xx, 5xx) may send and ask for anything."""
    if not spec.inference or not spec.tests.inference:
        return
    loc: Loc = ("tests", "inference", "requests")
    requests = spec.tests.inference.requests
    yield from _twice((request.name for request in requests), loc, "request", "name")
    for index, request in enumerate(requests):
        if request.expect.status >= 400:
            continue
        for key, value, declared, code in (
            ("content_type", request.content_type, spec.inference.SupportedContentTypes, "CONTENT-TYPE"),
            ("accept", request.accept, spec.inference.SupportedResponseMIMETypes, "ACCEPT"),
        ):
            if value and not _declared(value, declared):
                params = {"value": value, "declared": ", ".join(declared)}
                yield Broken(f"SPEC-{code}-UNDECLARED", (*loc, index, key), params)
    if requests and all(request.expect.status >= 400 for request in requests):
        yield Broken("SPEC-NO-GOOD-REQUEST", loc)


def _declared(value: str, declared: Iterable[str]) -> bool:
    return media_type(value) in {media_type(each) for each in declared}


@_reads("build.args")
def _build_arguments_hold_no_secrets(spec: VersionSpec) -> Iterator[Broken]:
    for name in spec.build.args:
        if _SECRET_NAME.search(name):
            yield Broken("SPEC-BUILD-SECRET", ("build", "args", name), {"name": name})


@_reads("listing.recommended_instance_types", "training", "inference")
def _recommended_types_are_supported(spec: VersionSpec) -> Iterator[Broken]:
    recommended = spec.listing.recommended_instance_types
    training = spec.training.SupportedTrainingInstanceTypes if spec.training else []
    transform = spec.inference.SupportedTransformInstanceTypes if spec.inference else []
    realtime = spec.inference.SupportedRealtimeInferenceInstanceTypes if spec.inference else []
    for key, value, listed, name in (
        ("Training", recommended.Training, training, "training.SupportedTrainingInstanceTypes"),
        ("BatchTransform", recommended.BatchTransform, transform, "inference.SupportedTransformInstanceTypes"),
        (
            "RealtimeInference",
            recommended.RealtimeInference,
            realtime,
            "inference.SupportedRealtimeInferenceInstanceTypes",
        ),
    ):
        if value and value not in listed:
            loc: Loc = ("listing", "recommended_instance_types", key)
            yield Broken("SPEC-INSTANCE-UNLISTED", loc, {"value": value, "list": name})


@_reads("listing.keywords")
def _keywords_fit_together(spec: VersionSpec) -> Iterator[Broken]:
    total = sum(len(keyword) for keyword in spec.listing.keywords)
    if total > 250:
        yield Broken("SPEC-LENGTH", ("listing", "keywords"), {"length": f"{total} in all", "limit": "250"})
