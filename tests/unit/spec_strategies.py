"""Specifications of every shape, for trying that none loses anything on its way."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

from listings import spec

_CHARACTERS = st.characters(exclude_categories=("C", "Zl", "Zp"))
_EXACT = st.text(_CHARACTERS, min_size=1, max_size=20)
_LINE = _EXACT.map(str.strip).filter(bool)
_MAYBE_LINE = st.just("") | _LINE
_PROSE = st.lists(st.text(_CHARACTERS, max_size=20), max_size=4).map("\n".join)
_NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,12}", fullmatch=True).filter(
    lambda name: not re.search(r"(?i)token|secret|pass|key", name)
)
_PATH = st.from_regex(r"[a-z]{1,8}(/[a-z0-9]{1,8}){0,2}\.csv", fullmatch=True)
_MEDIA = ("text/csv", "application/json", "text/csv; charset=utf-8", 'text/plain;x="a, b"', "image/png")
_TYPES = ("ml.m5.large", "ml.m5.xlarge", "ml.c5.xlarge", "ml.c4.xlarge")
_URL = st.sampled_from(("", "https://example.com/a", "https://example.com/a/b.ipynb"))


def _some(values: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    """Some of ``values``, in any order."""
    return st.lists(st.sampled_from(values), min_size=1, unique_by=lambda each: each.partition(";")[0])


def _in_order(*values: str, least: int = 0) -> st.SearchStrategy[list[str]]:
    """Some of ``values``, in the order in which boxes stand."""
    return st.sets(st.sampled_from(values), min_size=least).map(lambda found: sorted(found, key=values.index))


@st.composite
def _hyperparameter(draw: st.DrawFn, name: str) -> dict[str, Any]:
    kind = draw(st.sampled_from(("Integer", "Continuous", "Categorical", "FreeText")))
    found: dict[str, Any] = {"Name": name, "Type": kind, "Description": draw(_MAYBE_LINE)}
    found["IsRequired"] = draw(st.booleans())
    low = draw(st.integers(-1000, 1000))
    high = low + draw(st.integers(0, 1000))
    default: str | None = None
    if kind in ("Integer", "Continuous") and draw(st.booleans()):
        found["Range"] = {f"{kind}ParameterRangeSpecification": {"MinValue": str(low), "MaxValue": str(high)}}
        default = str(high)
    elif kind == "Categorical":
        values = draw(st.lists(_LINE, min_size=1, max_size=4, unique=True))
        found["Range"] = {"CategoricalParameterRangeSpecification": {"Values": values}}
        default = values[-1]
    elif kind == "FreeText":
        default = draw(_EXACT)
    return {**found, "DefaultValue": draw(st.sampled_from((None, default)))}


@st.composite
def _training(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    names = draw(st.lists(_NAME, max_size=3, unique=True))
    metrics = draw(st.lists(_LINE, max_size=3, unique=True))
    channels = draw(st.lists(_NAME, min_size=1, max_size=3, unique=True))
    goal = st.sampled_from(("Maximize", "Minimize"))
    kinds = draw(_some(_TYPES))
    training = {
        "SupportedHyperParameters": [draw(_hyperparameter(name)) for name in names],
        "SupportedTrainingInstanceTypes": kinds,
        "SupportsDistributedTraining": draw(st.booleans()),
        "MetricDefinitions": [{"Name": each, "Regex": f"{re.escape(draw(_LINE))}=(.+)"} for each in metrics],
        "TrainingChannels": [
            {
                "Name": name, "Description": draw(_MAYBE_LINE), "IsRequired": draw(st.booleans()),
                "SupportedContentTypes": draw(_some(_MEDIA)),
                "SupportedCompressionTypes": draw(_in_order("None", "Gzip")),
                "SupportedInputModes": ["File"],
            }
            for name in channels
        ],
        "SupportedTuningJobObjectiveMetrics": [{"Type": draw(goal), "MetricName": each} for each in metrics],
    }  # fmt: skip
    test = {
        "instance_type": kinds[0],
        "hyperparameters": {
            each["Name"]: each["DefaultValue"] or "7"
            for each in training["SupportedHyperParameters"]
            if each["DefaultValue"] is not None
        },
        "channels": {
            each["Name"]: {
                "path": draw(_PATH), "content_type": draw(st.sampled_from((None, *each["SupportedContentTypes"])))
            }
            for each in training["TrainingChannels"]
        },
        "timeout_seconds": draw(st.integers(10, 28_800)),
    }  # fmt: skip
    for each in training["SupportedHyperParameters"]:
        each["IsRequired"] = each["IsRequired"] and each["Name"] in test["hyperparameters"]
    return training, test


@st.composite
def _inference(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    kinds, reads, answers = draw(_some(_TYPES)), draw(_some(_MEDIA)), draw(_some(_MEDIA))
    environment = st.dictionaries(_NAME, _PROSE, max_size=3)
    inference = {
        "SupportedTransformInstanceTypes": kinds,
        "SupportedRealtimeInferenceInstanceTypes": draw(_some(_TYPES)),
        "SupportedContentTypes": reads,
        "SupportedResponseMIMETypes": answers,
        "Environment": draw(environment),
    }
    requests = [
        {
            "name": name, "body": draw(_PATH), "content_type": draw(st.sampled_from(reads)),
            "accept": draw(st.sampled_from((None, *answers))),
            "expect": {
                "status": draw(st.integers(100, 399)), "file": draw(st.none() | _PATH),
                "json_schema": draw(st.none() | _PATH),
                "tolerance": draw(st.floats(0, 1e9, allow_nan=False)),
            },
        }
        for name in draw(st.lists(_LINE, min_size=1, max_size=3, unique=True))
    ]  # fmt: skip
    return inference, {"instance_type": kinds[0], "requests": requests, "environment": draw(environment)}


@st.composite
def _listing(draw: st.DrawFn, inference: dict[str, Any] | None, training: dict[str, Any] | None) -> dict[str, Any]:
    one_of = {
        "Training": (training or {}).get("SupportedTrainingInstanceTypes", []),
        "BatchTransform": (inference or {}).get("SupportedTransformInstanceTypes", []),
        "RealtimeInference": (inference or {}).get("SupportedRealtimeInferenceInstanceTypes", []),
    }
    lines = st.lists(_LINE, max_size=3, unique=True)
    parameters = st.lists(_LINE, max_size=2, unique=True)
    texts = ("short_description", "long_description", "usage_instructions", "support_description", "release_notes")
    return {
        "title": draw(_MAYBE_LINE),
        **{name: draw(_PROSE) for name in texts},
        "highlights": draw(st.lists(_PROSE.filter(bool), max_size=3)),
        "categories": draw(lines),
        "keywords": draw(lines),
        "sample_notebook_url": draw(_URL),
        "repository_url": draw(_URL),
        "input": {
            "description": draw(_PROSE), "limitations": draw(_PROSE), "sample": draw(_PROSE),
            "parameters": [
                {
                    "name": name, "description": draw(_PROSE), "constraints": draw(_PROSE),
                    "required": draw(st.booleans()),
                }
                for name in draw(parameters)
            ],
        },
        "output": {
            "description": draw(_PROSE), "sample": draw(_PROSE),
            "parameters": [
                {"name": name, "description": draw(_PROSE), "always_returned": draw(st.booleans())}
                for name in draw(parameters)
            ],
        },
        "recommended_instance_types": {
            job: draw(st.sampled_from((None, *types))) for job, types in one_of.items()
        },
    }  # fmt: skip


@st.composite
def specs(draw: st.DrawFn) -> spec.VersionSpec:
    """A valid specification of either kind."""
    kind = draw(st.sampled_from(("Algorithm", "ModelPackage")))
    training, training_test = draw(_training()) if kind == "Algorithm" else (None, None)
    has_inference = kind == "ModelPackage" or draw(st.booleans())
    inference, inference_test = draw(_inference()) if has_inference else (None, None)
    build = {
        "dockerfile": draw(_PATH),
        "target": draw(st.none() | _LINE),
        "args": draw(st.dictionaries(_NAME, _PROSE, max_size=3)),
    }
    artifact = {"path": draw(_PATH)} if kind == "ModelPackage" and draw(st.booleans()) else None
    return spec.from_data(
        {
            "slipway": 1, "kind": kind, "build": build, "training": training, "inference": inference,
            "artifact": artifact, "tests": {"training": training_test, "inference": inference_test},
            "listing": draw(_listing(inference, training)),
        }
    )  # fmt: skip
