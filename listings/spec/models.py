"""The typed model of ``slipway.yaml``: one version of one listing, in AWS's own field names.

Field names below ``training`` and ``inference`` are SageMaker's (CreateAlgorithm, CreateModelPackage),
hence not in Python's case. Limits come from the installed service model (``aws.py``); those of the
listing texts from the Catalog API's published shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from listings.spec.types import (
    AwsEnum,
    AwsText,
    Choice,
    Flag,
    HttpsUrl,
    MediaType,
    Number,
    ResponseType,
    SourcePath,
    TextOf,
)

Kind = Literal["Algorithm", "ModelPackage"]

# A field that must be given although the model has a default for it: with the default, everything
# else about the spec can still be checked when the field is missing (see parse.py).
NEEDED: dict[str, Any] = {"x-needed": True}

TrainingInstanceType = Annotated[str, AwsEnum("TrainingInstanceType")]
TransformInstanceType = Annotated[str, AwsEnum("TransformInstanceType")]
RealtimeInstanceType = Annotated[str, AwsEnum("ProductionVariantInstanceType")]
DescriptionText = Annotated[str, AwsText("EntityDescription")]
ParameterValue = Annotated[str, AwsText("ParameterValue")]
HyperParameterName = Annotated[str, AwsText("HyperParameterSpecification.Name", minimum=1)]
HyperParameterValue = Annotated[str, AwsText("HyperParameterValue")]
ChannelName = Annotated[str, AwsText("ChannelName")]
EnvironmentKey = Annotated[str, AwsText("EnvironmentKey", minimum=1)]
EnvironmentValue = Annotated[str, AwsText("EnvironmentValue")]


class Part(BaseModel):
    """Common to every part: unknown keys are refused, values never change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Build(Part):
    """How the image is built. ``args`` are visible in the image's history: never secrets."""

    dockerfile: SourcePath = "Dockerfile"
    target: Annotated[str, TextOf(128)] | None = None
    args: dict[Annotated[str, TextOf(128, 1)], Annotated[str, TextOf(4096)]] = {}


class NumericRange(Part):
    MinValue: ParameterValue
    MaxValue: ParameterValue


class CategoricalRange(Part):
    Values: list[ParameterValue] = Field(min_length=1, max_length=30)


class ParameterRange(Part):
    """Exactly the member that belongs to the parameter's Type is given."""

    IntegerParameterRangeSpecification: NumericRange | None = None
    ContinuousParameterRangeSpecification: NumericRange | None = None
    CategoricalParameterRangeSpecification: CategoricalRange | None = None


class HyperParameter(Part):
    Name: HyperParameterName
    Description: DescriptionText = ""
    Type: Annotated[str, AwsEnum("ParameterType")]
    Range: ParameterRange | None = None
    IsTunable: Flag = False
    IsRequired: Flag = False
    DefaultValue: HyperParameterValue | None = None


class MetricDefinition(Part):
    Name: Annotated[str, AwsText("MetricName")]
    Regex: Annotated[str, AwsText("MetricRegex")]


class Channel(Part):
    Name: ChannelName
    Description: DescriptionText = ""
    IsRequired: Flag = False
    SupportedContentTypes: list[MediaType] = Field(min_length=1)
    SupportedCompressionTypes: list[Annotated[str, AwsEnum("CompressionType")]] = ["None"]
    SupportedInputModes: list[Annotated[str, AwsEnum("TrainingInputMode")]] = Field(min_length=1)


class ObjectiveMetric(Part):
    Type: Annotated[str, AwsEnum("HyperParameterTuningJobObjectiveType")]
    MetricName: Annotated[str, AwsText("MetricName")]


class Training(Part):
    """SageMaker's TrainingSpecification without the image, which the pipeline fills in by digest."""

    SupportedHyperParameters: list[HyperParameter] = Field([], max_length=100)
    SupportedTrainingInstanceTypes: list[TrainingInstanceType] = Field([], json_schema_extra=NEEDED)
    SupportsDistributedTraining: Flag = False
    MetricDefinitions: list[MetricDefinition] = Field([], max_length=40)
    TrainingChannels: list[Channel] = Field([], max_length=8, json_schema_extra=NEEDED)
    SupportedTuningJobObjectiveMetrics: list[ObjectiveMetric] = []


class PipelineContainer(Part):
    """One container of an inference pipeline. All of them run the version's image; ``Environment`` and ``artifact``
    (the path of its ``model.tar.gz`` in the source, none where the image holds its model) tell them apart."""

    ContainerHostname: Annotated[str, AwsText("ContainerHostname", minimum=1)]
    Environment: dict[EnvironmentKey, EnvironmentValue] = Field({}, max_length=100)
    artifact: SourcePath | None = None


class Inference(Part):
    """SageMaker's InferenceSpecification without images. Marketplace products are unversioned, for which SageMaker
    wants both lists of instance types. ``Containers`` is empty unless this is an inference pipeline; ``Environment``
    is then common to all of them."""

    SupportedTransformInstanceTypes: list[TransformInstanceType] = Field([], json_schema_extra=NEEDED)
    SupportedRealtimeInferenceInstanceTypes: list[RealtimeInstanceType] = Field([], json_schema_extra=NEEDED)
    SupportedContentTypes: list[MediaType] = Field([], json_schema_extra=NEEDED)
    SupportedResponseMIMETypes: list[ResponseType] = Field([], json_schema_extra=NEEDED)
    Environment: dict[EnvironmentKey, EnvironmentValue] = Field({}, max_length=100)
    Containers: list[PipelineContainer] = Field([], max_length=15)


class Artifact(Part):
    """Where in the source a model package's ``model.tar.gz`` is, unless it is uploaded by itself. ``in_image``: there
    is none, the image holds the model."""

    path: SourcePath | None = None
    in_image: Flag = False


class ChannelSample(Part):
    """A file or a directory in the source that stands for one channel's data."""

    path: SourcePath
    content_type: MediaType | None = None


class TrainingTest(Part):
    instance_type: TrainingInstanceType = Field("", json_schema_extra=NEEDED)
    hyperparameters: dict[HyperParameterName, HyperParameterValue] = Field({}, max_length=100)
    channels: dict[ChannelName, ChannelSample] = Field({}, max_length=8)
    timeout_seconds: Annotated[int, Number(10, 28_800)] = 600


class Expectation(Part):
    """``file`` holds the answer, ``json_schema`` a JSON Schema that the answer satisfies; both may be given.
    ``tolerance`` is the largest absolute difference of two numbers that still counts as equal."""

    status: Annotated[int, Number(100, 599)] = 200
    file: SourcePath | None = None
    json_schema: SourcePath | None = None
    tolerance: Annotated[float, Number(0, 1e9, whole=False)] = 0.0


class RequestSample(Part):
    name: Annotated[str, TextOf(100, 1)]
    body: SourcePath
    content_type: MediaType
    accept: MediaType | None = None
    expect: Expectation = Expectation()


class InferenceTest(Part):
    instance_type: TransformInstanceType = Field("", json_schema_extra=NEEDED)
    requests: list[RequestSample] = Field([], max_length=50, json_schema_extra=NEEDED)
    environment: dict[EnvironmentKey, EnvironmentValue] = Field({}, max_length=16)


class Tests(Part):
    training: TrainingTest | None = None
    inference: InferenceTest | None = None


class InputParameter(Part):
    name: Annotated[str, TextOf(100, 1)]
    description: Annotated[str, TextOf(1000)] = ""
    constraints: Annotated[str, TextOf(1500)] = ""
    required: Flag = False


class OutputParameter(Part):
    name: Annotated[str, TextOf(100, 1)]
    description: Annotated[str, TextOf(1000)] = ""
    always_returned: Flag = False


class InputText(Part):
    description: Annotated[str, TextOf(10_000)] = ""
    limitations: Annotated[str, TextOf(1000)] = ""
    sample: Annotated[str, TextOf(10_000)] = ""
    parameters: list[InputParameter] = Field([], max_length=35)


class OutputText(Part):
    description: Annotated[str, TextOf(10_000)] = ""
    sample: Annotated[str, TextOf(10_000)] = ""
    parameters: list[OutputParameter] = Field([], max_length=35)


class RecommendedInstanceTypes(Part):
    Training: TrainingInstanceType | None = None
    BatchTransform: TransformInstanceType | None = None
    RealtimeInference: RealtimeInstanceType | None = None


class ListingText(Part):
    """What buyers read. All optional here: needed only for publication (``publication.py``)."""

    title: Annotated[str, TextOf(72)] = ""
    short_description: Annotated[str, TextOf(1000)] = ""
    long_description: Annotated[str, TextOf(5000)] = ""
    highlights: list[Annotated[str, TextOf(500, 1)]] = Field([], max_length=3)
    categories: list[Annotated[str, TextOf(255, 1)]] = Field([], max_length=3)
    keywords: list[Annotated[str, TextOf(50, 1)]] = Field([], max_length=15)
    usage_instructions: Annotated[str, TextOf(10_000)] = ""
    sample_notebook_url: HttpsUrl = ""
    repository_url: HttpsUrl = ""
    support_description: Annotated[str, TextOf(2000)] = ""
    release_notes: Annotated[str, TextOf(30_000)] = ""
    input: InputText = InputText()
    output: OutputText = OutputText()
    recommended_instance_types: RecommendedInstanceTypes = RecommendedInstanceTypes()


class VersionSpec(Part):
    """One version as SageMaker and the Marketplace must be told of it. Make one with ``parse`` (text)
    or ``from_data`` (form), which check every rule; ``model_validate`` reads back what was stored."""

    slipway: Annotated[int, Number(1, 1)] = Field(1, json_schema_extra=NEEDED)
    kind: Annotated[Kind, Choice(("Algorithm", "ModelPackage"))]
    build: Build = Build()
    training: Training | None = None
    inference: Inference | None = None
    artifact: Artifact | None = None
    tests: Tests = Tests()
    listing: ListingText = ListingText()

    def as_json(self) -> dict[str, Any]:
        """Plain JSON data with every key present; ``VersionSpec.model_validate`` reads it back."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """``slipway.yaml`` that ``parse`` reads back as an equal spec. Defaults are left out."""
        from listings.spec.emit import to_yaml

        return to_yaml(self)

    def training_specification(self, image: str = "", digest: str = "") -> dict[str, Any] | None:
        """CreateAlgorithm's TrainingSpecification; None for a model package."""
        if self.training is None:
            return None
        found = _plain(self.training)
        if image:
            found = {"TrainingImage": image, **({"TrainingImageDigest": digest} if digest else {}), **found}
        return found

    def inference_specification(
        self, image: str = "", digest: str = "", model_data_urls: Sequence[str] = ()
    ) -> dict[str, Any] | None:
        """InferenceSpecification of either Create call; None for an algorithm that only trains.

        With ``image``, its containers are filled in: one, or those of the pipeline. ``model_data_urls`` holds one
        entry for each, "" where there is no archive (an algorithm has no model data of its own).
        """
        if self.inference is None:
            return None
        found = _plain(self.inference)
        # Not as ``_plain`` has them: a variable that is empty is another thing than none.
        found.pop("Environment", None)
        found.pop("Containers", None)
        names = [link.ContainerHostname for link in self.inference.Containers] or [""]
        if image:
            urls = [*model_data_urls, *[""] * (len(names) - len(model_data_urls))]
            each = zip(names, urls, self.container_environments(), strict=True)
            containers = [_container(image, digest, url, name, environment) for name, url, environment in each]
            found = {"Containers": containers, **found}
        return found

    def container_environments(self) -> list[dict[str, str]]:
        """The environment of each inference container, in the order of the chain."""
        if self.inference is None:
            return []
        common = self.inference.Environment
        return [{**common, **link.Environment} for link in self.inference.Containers] or [dict(common)]

    def training_input_mode(self) -> str | None:
        """The mode in which every tested channel can be read, File before FastFile before Pipe."""
        if self.training is None:
            return None
        tested = self.tests.training.channels if self.tests.training else {}
        modes = [set(c.SupportedInputModes) for c in self.training.TrainingChannels if c.Name in tested or not tested]
        return next((mode for mode in ("File", "FastFile", "Pipe") if all(mode in each for each in modes)), None)

    def sample_paths(self) -> list[tuple[str, str]]:
        """Every file or directory of the source that the tests need, as (place in the spec, path)."""
        found: list[tuple[str, str]] = []
        if self.tests.training:
            for name, sample in self.tests.training.channels.items():
                found.append((f"tests.training.channels.{name}.path", sample.path))
        if self.tests.inference:
            for index, request in enumerate(self.tests.inference.requests):
                found.append((f"tests.inference.requests[{index}].body", request.body))
                for key, path in (("file", request.expect.file), ("json_schema", request.expect.json_schema)):
                    if path:
                        found.append((f"tests.inference.requests[{index}].expect.{key}", path))
        return found

    @classmethod
    def stored(cls, data: dict[str, Any]) -> Self:
        """Read back what ``as_json`` gave."""
        return cls.model_validate(data)


def _container(image: str, digest: str, model_data_url: str, name: str, environment: dict[str, str]) -> dict[str, Any]:
    """A ContainerDefinition; ``name`` is the container's in a pipeline, else empty."""
    given = {
        "ContainerHostname": name,
        "Image": image,
        "ImageDigest": digest,
        "ModelDataUrl": model_data_url,
        "Environment": environment,
    }
    return {key: value for key, value in given.items() if value}


def _plain(part: Part) -> dict[str, Any]:
    """AWS's form: no nulls, and no empty optional texts or lists (the API wants them left out)."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            cleaned = {key: clean(item) for key, item in value.items()}
            return {key: item for key, item in cleaned.items() if item not in (None, "", [], {})}
        return [clean(item) for item in value] if isinstance(value, list) else value

    dumped: dict[str, Any] = clean(part.model_dump(mode="json"))
    return dumped
