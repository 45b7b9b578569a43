"""The specification's form as a table: which input stands for which field of the typed model."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from listings.forms.spec_entries import ALGORITHM, BOTH, MODEL_PACKAGE, Entry, Item, Rows, Section, Style
from listings.spec import aws

_RANGES = {
    "Integer": "IntegerParameterRangeSpecification",
    "Continuous": "ContinuousParameterRangeSpecification",
    "Categorical": "CategoricalParameterRangeSpecification",
}
_NUMERIC = ("Range.IntegerParameterRangeSpecification", "Range.ContinuousParameterRangeSpecification")


def _pack_range(item: Item) -> Item:
    """Bounds and values, typed side by side, as the member of Range that belongs to the Type."""
    low, high, values = item.pop("min"), item.pop("max"), item.pop("values")
    given: dict[str, Any] = {}
    if low is not None or high is not None:
        member = _RANGES["Continuous" if item.get("Type") == "Continuous" else "Integer"]
        given[member] = {"MinValue": low, "MaxValue": high}
    if values:
        given[_RANGES["Categorical"]] = {"Values": values}
    return {**item, "Range": given or None}


def _unpack_range(item: Item) -> Item:
    found = {name: value for name, value in (item.get("Range") or {}).items() if value}
    values = found.pop(_RANGES["Categorical"], {}).get("Values", [])
    bounds: dict[str, str] = next(iter(found.values()), {})
    return {**item, "min": bounds.get("MinValue"), "max": bounds.get("MaxValue"), "values": values}


_HYPERPARAMETERS = Rows(
    "SupportedHyperParameters", "Hyperparameters", "hyperparameter", pack=_pack_range, unpack=_unpack_range,
    hint="Settings that buyers may change. Every value reaches your code as text.",
    entries=(
        Entry("Name", "Name", needed=True, width="third"),
        Entry("Type", "Type", Style.CHOICE, shape="ParameterType", new="Integer", width="third"),
        Entry("DefaultValue", "Default", Style.EXACT, width="third"),
        Entry("Description", "Description", width="full"),
        Entry("min", "Smallest", width="third", only_for="Integer Continuous",
              also=("Range", *(f"{each}.MinValue" for each in _NUMERIC), *_NUMERIC)),
        Entry("max", "Largest", width="third", only_for="Integer Continuous",
              also=tuple(f"{each}.MaxValue" for each in _NUMERIC)),
        Entry("values", "Values", Style.LINES, "One per line.", rows=3, width="full", only_for="Categorical",
              also=("Range.CategoricalParameterRangeSpecification",)),
        Entry("IsTunable", "Can be tuned automatically", Style.FLAG),
        Entry("IsRequired", "Must be given", Style.FLAG),
    ),
)  # fmt: skip

_CHANNELS = Rows(
    "TrainingChannels", "Channels", "channel",
    hint="Where training data come in: below /opt/ml/input/data/ and the name.",
    entries=(
        Entry("Name", "Name", needed=True, width="third"),
        Entry("Description", "Description", width="two-thirds"),
        Entry("SupportedContentTypes", "Content types", Style.TYPES, needed=True, offers="media"),
        Entry("SupportedInputModes", "Input modes", Style.CHECKS, shape="TrainingInputMode", new=("File",)),
        Entry("SupportedCompressionTypes", "Compression", Style.CHECKS, shape="CompressionType", new=("None",)),
        Entry("IsRequired", "Must be given", Style.FLAG),
    ),
)  # fmt: skip

_METRICS = Rows(
    "MetricDefinitions", "Metrics", "metric",
    hint="Numbers that SageMaker reads from the log: exactly one pair of parentheses, round the number.",
    entries=(
        Entry("Name", "Name", needed=True, width="third"),
        Entry("Regex", "Regular expression", Style.EXACT, needed=True, width="two-thirds"),
    ),
)  # fmt: skip

_OBJECTIVES = Rows(
    "SupportedTuningJobObjectiveMetrics", "Tuning objectives", "objective",
    hint="Needed as soon as a hyperparameter can be tuned.",
    entries=(
        Entry("MetricName", "Metric", needed=True),
        Entry("Type", "Goal", Style.CHOICE, shape="HyperParameterTuningJobObjectiveType", new="Maximize"),
    ),
)  # fmt: skip


def _pairs(path: str, title: str, noun: str, hint: str = "") -> Rows:
    """Names with a text each."""
    entries = (
        Entry("key", "Name", needed=True, width="third"),
        Entry("value", "Value", Style.AREA, rows=1, width="two-thirds"),
    )
    return Rows(path, title, noun, entries, hint, keyed=True, plain=True)


_SETTINGS = Rows(
    "hyperparameters", "Hyperparameters of the run", "value", keyed=True, plain=True,
    hint="Those without a default must be given if they are required.",
    entries=(
        Entry("key", "Name", needed=True, width="third"),
        Entry("value", "Value", Style.EXACT, width="two-thirds"),
    ),
)  # fmt: skip

_CHANNEL_SAMPLES = Rows(
    "channels", "Training data", "channel", keyed=True,
    hint="A file or folder of your source for each required channel.",
    entries=(
        Entry("key", "Channel", needed=True, width="third"),
        Entry("path", "Path", needed=True, width="third"),
        Entry("content_type", "Content type", offers="media", width="third"),
    ),
)  # fmt: skip

_REQUESTS = Rows(
    "requests", "Requests", "request",
    hint="At least one that succeeds. Requests with a status from 400 may be anything.",
    entries=(
        Entry("name", "Name", needed=True),
        Entry("body", "Body", hint="A file of your source.", needed=True),
        Entry("content_type", "Content type", needed=True, offers="media"),
        Entry("accept", "Accept", offers="media"),
        Entry("expect.status", "Expected status", Style.WHOLE, new="200", width="third"),
        Entry("expect.file", "Expected answer", hint="A file of your source.", width="third"),
        Entry("expect.json_schema", "JSON Schema of the answer", hint="A file of your source.", width="third"),
        Entry("expect.tolerance", "Tolerance", Style.NUMBER, new="0.0", width="third",
              hint="How far apart two numbers may be."),
    ),
)  # fmt: skip


def _pack_container(item: Item) -> Item:
    """Variables, typed one per line, as the mapping that the spec has. A line without =, or a name's second one, keeps
    its whole text as the name, to be refused there."""
    given: dict[str, str] = {}
    for line in item.pop("environment"):
        name, _, value = line.partition("=")
        if name.strip() in given:
            given[line] = ""
        else:
            given[name.strip()] = _read_value(value)
    return {**item, "Environment": given}


def _unpack_container(item: Item) -> Item:
    values = item.get("Environment") or {}
    return {**item, "environment": [f"{name}={_write_value(value)}" for name, value in values.items()]}


def _write_value(value: str) -> str:
    """In quotation marks, as JSON has it, where a line could not hold it as it is."""
    is_plain = "\n" not in value and value == value.strip() and not value.startswith('"')
    return value if is_plain else json.dumps(value, ensure_ascii=False)


def _read_value(text: str) -> str:
    try:
        value = json.loads(text) if text.startswith('"') else text
    except ValueError:
        return text
    return value if isinstance(value, str) else text


_CONTAINERS = Rows(
    "Containers", "Inference pipeline", "container", kinds=(MODEL_PACKAGE,),
    pack=_pack_container, unpack=_unpack_container,
    hint="Only for a pipeline: two or more containers of this image, each of which gets the answer of the one before.",
    entries=(
        Entry("ContainerHostname", "Name", needed=True, width="third"),
        Entry("artifact", "Its model.tar.gz", hint="A file of your source. Empty if the image holds its model.",
              width="two-thirds"),
        Entry("environment", "Environment", Style.LINES, rows=2, width="full", also=("Environment",),
              hint="One NAME=value per line; a value of several lines in quotation marks, as in JSON."),
    ),
)  # fmt: skip

_INPUT_PARAMETERS = Rows(
    "input.parameters", "Parameters of the input", "parameter",
    entries=(
        Entry("name", "Name", needed=True, width="third"),
        Entry("description", "Description", Style.AREA, rows=1, width="two-thirds"),
        Entry("constraints", "Constraints", Style.AREA, rows=1, width="two-thirds"),
        Entry("required", "Must be given", Style.FLAG, width="third"),
    ),
)  # fmt: skip

_OUTPUT_PARAMETERS = Rows(
    "output.parameters", "Parameters of the output", "parameter",
    entries=(
        Entry("name", "Name", needed=True, width="third"),
        Entry("description", "Description", Style.AREA, rows=1, width="two-thirds"),
        Entry("always_returned", "Always returned", Style.FLAG, width="full"),
    ),
)  # fmt: skip

_HIGHLIGHTS = Rows(
    "highlights", "Highlights", "highlight", plain=True, hint="One to three.",
    entries=(Entry("value", "Highlight", Style.AREA, rows=2, width="full", needed=True),),
)  # fmt: skip

_PRICED = "Buyers can use only these, and each needs a price: a short list is kinder."
_SWITCH = "It serves predictions too. AWS certifies an algorithm only with a transform job."


def _types(path: str, label: str, offered: str, width: str = "half") -> Entry:
    return Entry(path, label, Style.WORDS, _PRICED, True, offers=offered, width=width)


def _media(path: str, label: str) -> Entry:
    return Entry(path, label, Style.TYPES, needed=True, offers="media")


def _prose(path: str, label: str, rows: int, hint: str = "", width: str = "full") -> Entry:
    return Entry(path, label, Style.AREA, hint, rows=rows, width=width)


def _best(job: str, label: str, offered: str, *kinds: str) -> Entry:
    path = f"recommended_instance_types.{job}"
    return Entry(path, f"Recommended for {label}", offers=offered, width="third", kinds=kinds or BOTH)


SECTIONS: tuple[Section, ...] = (
    Section("build", "build", "Build", "hammer", "How the image is built from your source.", (
        Entry("dockerfile", "Dockerfile", new="Dockerfile"),
        Entry("target", "Stage", hint="The last one, if empty."),
        _pairs("args", "Build arguments", "argument", "They stay readable in the image: never secrets."),
    )),
    Section("training", "training", "Training", "school", "How buyers may train.", (
        _types("SupportedTrainingInstanceTypes", "Instance types", "training", "full"),
        Entry("SupportsDistributedTraining", "Trains on several instances at once", Style.FLAG, width="full"),
        _CHANNELS, _HYPERPARAMETERS, _METRICS, _OBJECTIVES,
    ), (ALGORITHM,)),
    Section("inference", "inference", "Inference", "sparkles", "How buyers get predictions.", (
        _types("SupportedTransformInstanceTypes", "Instance types for batch transform", "transform"),
        _types("SupportedRealtimeInferenceInstanceTypes", "Instance types for real-time", "realtime"),
        _media("SupportedContentTypes", "Content types it reads"),
        _media("SupportedResponseMIMETypes", "Content types it answers"),
        _pairs("Environment", "Environment", "variable", "Variables of the container."),
        _CONTAINERS,
    ), switch=_SWITCH),
    Section("artifact", "artifact", "Model artifact", "package",
            "Where your source holds model.tar.gz, if it was not uploaded above.", (
        Entry("path", "Path", hint="Relative to the root of the source."),
        Entry("in_image", "The image holds the model", Style.FLAG),
    ), (MODEL_PACKAGE,)),
    Section("tests-training", "tests.training", "Test of training", "flask",
            "Run without a network. AWS shows validation data to buyers: public data only.", (
        Entry("instance_type", "Instance type", needed=True, offers="training"),
        Entry("timeout_seconds", "Time limit in seconds", Style.WHOLE, new="600"),
        _SETTINGS, _CHANNEL_SAMPLES,
    ), (ALGORITHM,)),
    Section("tests-inference", "tests.inference", "Test of inference", "flask-2",
            "Requests sent to /invocations, with what must come back.", (
        Entry("instance_type", "Instance type", needed=True, offers="transform"),
        _REQUESTS,
        _pairs("environment", "Environment", "variable", "Only while it is tested."),
    ), needs="inference"),
    Section("listing", "listing", "Listing", "license",
            "What buyers read. Needed before a release, not before a test.", (
        Entry("title", "Title", hint="At most 72 characters.", width="full"),
        _prose("short_description", "Short description", 2),
        _prose("long_description", "Long description", 7,
               "What it does, for whom, trained on what, how well, and its limits."),
        _HIGHLIGHTS,
        Entry("categories", "Categories", Style.LINES, "One per line, at most three.", rows=3),
        Entry("keywords", "Keywords", Style.LINES, "One per line, at most 15.", rows=3),
        _prose("usage_instructions", "Usage instructions", 5),
        Entry("sample_notebook_url", "Sample notebook", hint="https, works without a buyer's own data."),
        Entry("repository_url", "Repository", hint="https, with sample data and code."),
        _prose("support_description", "Support", 2),
        _prose("release_notes", "Release notes", 3),
        _best("Training", "training", "training", ALGORITHM),
        _best("BatchTransform", "batch", "transform"),
        _best("RealtimeInference", "real-time", "realtime"),
    )),
    Section("listing-data", "listing", "Input and output", "arrows-exchange",
            "What buyers send and what they get. Needed before a release.", (
        _prose("input.description", "What to send", 3),
        _prose("input.limitations", "Limitations", 3, width="half"),
        _prose("input.sample", "Sample of the input", 3, width="half"),
        _INPUT_PARAMETERS,
        _prose("output.description", "What comes back", 3, width="half"),
        _prose("output.sample", "Sample of the output", 3, width="half"),
        _OUTPUT_PARAMETERS,
    )),
)  # fmt: skip


@lru_cache(maxsize=1)
def _labels() -> tuple[tuple[str, str], ...]:
    """What the model's texts call a list, and what the form calls it; longer names first."""
    found: dict[str, str] = {}
    for section in SECTIONS:
        for part in section.parts:
            words = part.title if isinstance(part, Rows) else part.label
            found[f"{section.path}.{part.path}"] = f"“{section.title}: {words}”"
            if part.path.startswith("Supported"):
                found.setdefault(part.path, f"“{section.title}: {words}”")
    return tuple(sorted(found.items(), key=lambda pair: -len(pair[0])))


def in_words(message: str) -> str:
    """A problem's text with the form's own names for the places in it."""
    for path, words in _labels():
        message = message.replace(path, words)
    return message.replace("?.", "?")


def offers() -> dict[str, tuple[str, ...]]:
    """What inputs offer while one types. Instance types are those of the installed AWS SDK."""
    return {
        "training": aws.training_instance_types(),
        "transform": aws.transform_instance_types(),
        "realtime": aws.realtime_instance_types(),
        "media": (
            "text/csv", "application/json", "application/jsonlines", "text/plain", "text/libsvm",
            "application/x-recordio-protobuf", "application/x-parquet", "application/x-npy",
            "application/octet-stream", "application/x-image", "image/jpeg", "image/png", "audio/wav",
        ),
    }  # fmt: skip
