"""The report and the comparison as typed documents: their JSON Schemas are published, so a field keeps its meaning.

What a run did not record is null or an empty list, never a guess. Sizes are bytes, times seconds, latencies
milliseconds. A new optional field is no new version of the format; anything else is.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Outcome = Literal["pass", "warn", "fail", "skip"]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_serialization_defaults_required=True)


class EvidenceItem(Part):
    text: str
    label: str = ""
    log_line: int | None = Field(None, description="Line of the log of the check's step and attempt, from 1.")


class CheckItem(Part):
    code: str
    stage: str = Field(description="Key of the stage at AWS that the check stands for.")
    outcome: Outcome
    owner: str = Field(description="Whose move it is: seller, platform or aws.")
    step: str
    attempt: int
    title: str
    cause: str = ""
    remedy: str = ""
    next_action: str = ""
    source: str = Field("", description="Where the rule comes from.")
    evidence: tuple[EvidenceItem, ...] = ()
    patch: str = ""


class StageItem(Part):
    key: str
    title: str
    outcome: Outcome | None = Field(description="The worst outcome among its checks; null where none was established.")
    says: str = Field(description="What AWS answers where it fails.")
    counts: dict[str, int]


class Verdict(Part):
    outcome: Literal["pass", "warn", "fail", "unknown"]
    sentence: str
    detail: str
    counts: dict[str, int]


class Mark(Part):
    seconds: float
    kind: str
    text: str
    log_line: int | None = None


class Resources(Part):
    """Equally long series over the seconds since the container started."""

    seconds: tuple[float, ...] = ()
    cpu: tuple[float, ...] = Field((), description="vCPU in use.")
    memory: tuple[float, ...] = ()
    processes: tuple[float, ...] = ()
    disk: tuple[float, ...] = Field((), description="Bytes written.")


class TwinRun(Part):
    phase: str
    network: str
    seconds: float | None
    marks: tuple[Mark, ...] = ()
    resources: Resources = Resources()


class SkippedRun(Part):
    """A further run, such as one that leaves calls unanswered, that was not made."""

    phase: str
    network: str
    reason: str


class Call(Part):
    phase: str
    network: str
    protocol: str
    host: str
    address: str
    port: int | None
    count: int
    first_seconds: float | None
    log_line: int | None = None
    hint: str = ""


class MetricSeries(Part):
    name: str
    values: tuple[float, ...] = ()
    points: tuple[tuple[float, float], ...] = Field((), description="Pairs of seconds and value, where recorded.")


class ModelFile(Part):
    path: str
    bytes: float


class Training(Part):
    exit_code: int | None
    seconds: float | None
    failure: str = ""
    model_bytes: float | None = None
    model_sha256: str = ""
    model_files: int | None = None
    model_unpacked_bytes: float | None = None
    model_listing: tuple[ModelFile, ...] = ()
    metrics: tuple[MetricSeries, ...] = ()
    output_files: int | None = None
    output_bytes: float | None = None
    output_listing: tuple[ModelFile, ...] = Field((), description="What would become output.tar.gz.")


class ModelArchive(Part):
    """A model.tar.gz that was served: made by training, or brought along by a model package."""

    origin: Literal["training", "source"]
    container: str = Field("", description="The container of a pipeline that it belongs to.")
    bytes: float | None
    unpacked_bytes: float | None = None
    sha256: str = ""
    files: int | None = None
    listing: tuple[ModelFile, ...] = ()


class Host(Part):
    """One of the hosts of a distributed training."""

    host: str
    exit_code: int | None
    seconds: float | None


class RequestItem(Part):
    name: str
    status: int | None
    ms: float | None
    matched: bool | None
    content_type: str = ""
    bytes: float | None = None
    error: str = ""
    sha256: str = ""
    text: str = Field("", description="The answer's beginning, where it is text.")
    differences: tuple[str, ...] = ()


class Load(Part):
    clients: int | None
    requests: int | None
    errors: int | None
    seconds: float | None
    throughput: float | None = Field(description="Requests a second.")
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    ping_p99_ms: float | None
    ping_max_ms: float | None
    histogram: tuple[tuple[float, int], ...] = Field((), description="Pairs of upper limit in ms and count.")


class MemoryGrowth(Part):
    requests: int | None
    first_bytes: float | None
    last_bytes: float | None


class PipelineContainer(Part):
    name: str
    port: int | None
    first_ping_seconds: float | None
    exit_code: int | None


class Inference(Part):
    first_ping_seconds: float | None
    stop_seconds: float | None
    exit_code: int | None
    requests: tuple[RequestItem, ...] = ()
    load: Load | None = None
    memory_growth: MemoryGrowth | None = None
    execution_parameters: dict[str, str] | None = None
    pipeline: tuple[PipelineContainer, ...] = Field((), description="In the order in which they answered /ping.")


class BatchRecord(Part):
    name: str
    kind: str = Field(description="Whole file, SingleRecord, MultiRecord, or header line as a record.")
    records: int | None
    status: int | None
    ms: float | None


class Batch(Part):
    """The server started once more as a batch transform job starts it."""

    first_ping_seconds: float | None
    stop_seconds: float | None
    exit_code: int | None
    records: tuple[BatchRecord, ...] = ()


class Package(Part):
    manager: str
    name: str
    version: str


class Layer(Part):
    line: str = Field(description="The instruction that made it.")
    bytes: float | None
    bytes_compressed: float | None
    share: float = Field(description="Of the image's bytes, 0 to 1.")
    files: int | None = None
    package_count: int | None = None
    packages: tuple[Package, ...] = ()
    largest: tuple[ModelFile, ...] = ()


class Image(Part):
    digest: str
    bytes_compressed: float | None
    bytes: float | None
    operating_system: str
    user: str
    layers: tuple[Layer, ...] = ()
    largest_lines: tuple[int, ...] = Field((), description="Indices of the layers that make up most of the image.")
    largest_share: float | None = None


class Instance(Part):
    instance_type: str
    use: str
    fits: bool | None
    measured: bool
    reason: str
    vcpus: float | None
    memory_gib: float | None
    usd_per_hour: float | None


class Advice(Part):
    instances: tuple[Instance, ...] = ()
    cheapest: dict[str, str] = {}
    price_date: str = ""


class Profile(Part):
    instance_type: str
    memory_bytes: float | None
    cpus: float | None
    clamped: tuple[str, ...] = ()


class DifferenceItem(Part):
    topic: str
    aws: str
    twin: str


class RunId(Part):
    team: str
    listing: str
    listing_name: str
    kind: str
    version: str
    run: int
    state: str
    started: str
    finished: str | None


class Report(Part):
    format: Literal["slipway-report-1"] = "slipway-report-1"
    run: RunId
    attempts: dict[str, int] = Field(description="The attempt at each step that is reported; log lines are of its log.")
    verdict: Verdict
    stages: tuple[StageItem, ...]
    checks: tuple[CheckItem, ...] = Field(description="Failures first; a step's problem that is no check among them.")
    training: Training | None = None
    inference: Inference | None = None
    batch: Batch | None = None
    outgoing: tuple[Call, ...] = ()
    outgoing_more: int = Field(0, description="Calls that are recorded but not listed here.")
    peak_memory_bytes: float | None = None
    profile: Profile | None = None
    profiles: dict[str, Profile] = Field({}, description="By phase, train or serve, where they are recorded.")
    runs: tuple[TwinRun, ...] = ()
    runs_more: int = Field(0, description="Runs that are recorded but not listed here.")
    runs_skipped: tuple[SkippedRun, ...] = ()
    hosts: tuple[Host, ...] = ()
    models: tuple[ModelArchive, ...] = ()
    advice: Advice = Advice()
    image: Image | None = None
    differences: tuple[DifferenceItem, ...] = ()


class CheckChange(Part):
    code: str
    title: str
    stage: str
    before: Outcome | None
    after: Outcome | None
    change: Literal["newly fails", "newly warns", "mended", "new", "gone", "no longer known"]


class Figure(Part):
    key: str
    label: str
    unit: Literal["ms", "s", "bytes", "memory", "per second"]
    before: float | None
    after: float | None
    percent: float | None
    regression: bool
    rule: str = Field(description="From what difference on it counts as a regression.")


class AnswerChange(Part):
    name: str
    change: Literal["same", "different", "new", "gone", "unknown"]
    status_before: int | None
    status_after: int | None
    diff: tuple[str, ...] = Field((), description="Unified diff of the answers, where both are text.")


class CallChange(Part):
    phase: str
    place: str
    change: Literal["new", "gone"]


class Comparison(Part):
    format: Literal["slipway-comparison-1"] = "slipway-comparison-1"
    before: RunId
    after: RunId
    sentence: str
    regressions: tuple[str, ...]
    improvements: tuple[str, ...]
    checks: tuple[CheckChange, ...]
    checks_same: int
    figures: tuple[Figure, ...]
    answers: tuple[AnswerChange, ...]
    calls: tuple[CallChange, ...]


def schema_of(model: type[Report] | type[Comparison]) -> dict[str, Any]:
    """The JSON Schema of a document, as published. Fields may be added to a document, so it forbids none."""
    schema = model.model_json_schema(mode="serialization")
    for part in (schema, *schema["$defs"].values()):
        part.pop("additionalProperties", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
