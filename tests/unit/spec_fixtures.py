"""A small whole spec to change one thing in."""

from __future__ import annotations

from typing import Any

import yaml

from listings.spec import SpecErrors, SpecProblem, parse

ALGORITHM = """\
slipway: 1
kind: Algorithm
build: {dockerfile: Dockerfile}
training:
  SupportedHyperParameters:
    - {Name: max_depth, Description: Depth., Type: Integer, IsTunable: true, DefaultValue: "5",
       Range: {IntegerParameterRangeSpecification: {MinValue: "1", MaxValue: "20"}}}
  SupportedTrainingInstanceTypes: [ml.m5.large]
  MetricDefinitions: [{Name: accuracy, Regex: 'accuracy=([0-9.]+)'}]
  TrainingChannels:
    - Name: train
      IsRequired: true
      SupportedContentTypes: [text/csv]
      SupportedInputModes: [File]
  SupportedTuningJobObjectiveMetrics: [{Type: Maximize, MetricName: accuracy}]
inference:
  SupportedTransformInstanceTypes: [ml.m5.large]
  SupportedRealtimeInferenceInstanceTypes: [ml.m5.large]
  SupportedContentTypes: [text/csv, application/json]
  SupportedResponseMIMETypes: [text/csv]
tests:
  training:
    instance_type: ml.m5.large
    timeout_seconds: 60
    hyperparameters: {max_depth: "4"}
    channels: {train: {path: sample/train, content_type: text/csv}}
  inference:
    instance_type: ml.m5.large
    requests:
      - {name: rows, body: sample/request.csv, content_type: text/csv, accept: text/csv,
         expect: {status: 200, file: sample/expected.csv, tolerance: 0.5}}
listing:
  title: Trees
"""

MODEL_PACKAGE = """\
slipway: 1
kind: ModelPackage
artifact: {path: model.tar.gz}
inference:
  SupportedTransformInstanceTypes: [ml.m5.large]
  SupportedRealtimeInferenceInstanceTypes: [ml.m5.large]
  SupportedContentTypes: [text/csv]
  SupportedResponseMIMETypes: [text/csv]
tests:
  inference:
    instance_type: ml.m5.large
    requests: [{name: rows, body: sample/request.csv, content_type: text/csv}]
"""


def changed(old: str, new: str, text: str = ALGORITHM) -> str:
    """``text`` with ``old``, which must be there, replaced once."""
    assert old in text, old
    return text.replace(old, new, 1)


def problems_of(text: str) -> tuple[SpecProblem, ...]:
    """What ``parse`` finds; empty when the text is valid."""
    try:
        parse(text)
    except SpecErrors as errors:
        return errors.problems
    return ()


def data_of(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded
