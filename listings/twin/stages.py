"""What a check stands for at AWS: the stage at which AWS would find the same, and how it would say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """``says`` is what AWS answers there, in one sentence: shown beside a failure of this stage."""

    key: str
    title: str
    says: str


#: In the order in which AWS comes to them.
STAGES: tuple[Stage, ...] = (
    Stage("source", "Before AWS", "AWS never sees it: Slipway cannot make the version from this source."),
    Stage("create", "CreateAlgorithm or CreateModelPackage", "The request is refused, or the image cannot be used."),
    Stage("scan", "Image scan", "The Marketplace's scan refuses the image."),
    Stage("container", "Container start", "The job fails before a line of yours has run."),
    Stage("network", "Network isolation", "What is called never answers; the job fails or goes past its time."),
    Stage("training", "Training job", "The training job ends as Failed, with at most one line of why."),
    Stage("archive", "Model archive", "The model cannot be loaded by whoever serves it."),
    Stage("start", "Endpoint or batch start", "The container does not pass its health check, and the job fails."),
    Stage("invocations", "Invocations", "Requests of buyers fail, or their batch transform job does."),
    Stage("instance", "Instance size", "The instance runs out of memory, disk or processes."),
    Stage("stop", "Stop", "The container is killed; what it had not saved is lost."),
    Stage("publish", "Registration and publication", "AWS has answered: its own words stand in the evidence."),
)
BY_KEY: Mapping[str, Stage] = {stage.key: stage for stage in STAGES}

_CODES: Mapping[str, str] = {
    "source": """
        SOURCE-PATH-ESCAPE SOURCE-LINK-ESCAPE SPEC-INVALID SPEC-SAMPLE-MISSING
        SOURCE-SAMPLE-STRAY TEST-SAMPLE-MISSING TEST-SAMPLE-SIZE TEST-SCHEMA
        IMAGE-UNPINNED
        TEST-HOST-TOO-SMALL TEST-HOST-DISK TEST-HOST-ROOM TEST-NO-LIMITS TEST-INSTANCES-FILE
        TEST-HOLDER TEST-HOLDER-IMAGE TEST-NETWORK-OPEN TEST-IMAGE-PULL
    """,
    "create": """
        IMAGE-ARCH IMAGE-MEDIA-TYPE IMAGE-BIND-TO-PORT
        IMAGE-CONFIG IMAGE-SIZE IMAGE-LAYER-LIMIT IMAGE-LAYER-PATH IMAGE-LAYER-UNREADABLE
        IMAGE-LAYER-DIFF IMAGE-LAYER-DIGEST IMAGE-REGISTRY IMAGE-GONE
    """,
    "scan": "REGISTER-IMAGE-SCAN IMAGE-SECRET IMAGE-SECRET-SUSPECTED",
    "container": """
        IMAGE-ENTRYPOINT IMAGE-TRAIN IMAGE-SERVE IMAGE-INTERPRETER IMAGE-ENTRYPOINT-SHELL IMAGE-ENTRYPOINT-INIT
        IMAGE-ENTRYPOINT-FILE IMAGE-BINARIES IMAGE-SCRIPT-CRLF IMAGE-START-PROGRAM IMAGE-WORKDIR IMAGE-USER
        IMAGE-USER-UNKNOWN IMAGE-OPT-ML IMAGE-NVIDIA-DRIVER TEST-NO-PROGRAM TEST-PRIVILEGES
    """,
    "network": "TEST-EGRESS IMAGE-START-NETWORK IMAGE-START-INSTALL",
    "training": """
        TEST-TRAIN-EXIT TEST-TRAIN-METRICS TEST-METRICS-SLOW TEST-METRICS-NAN TEST-METRICS-OBJECTIVE TEST-TRAIN-TIMEOUT
        TEST-TRAIN-IDLE TEST-TRAIN-EMPTY TEST-TRAIN-PIPE TEST-TRAIN-FASTFILE TEST-TRAIN-TUNING
        TEST-TRAIN-HOSTS TEST-VALUES-ACCEPTED TEST-VALUES-REASON
    """,
    "archive": """
        SOURCE-NO-ARTIFACT SOURCE-BAD-ARTIFACT SOURCE-ARTIFACT-NESTED SOURCE-ARTIFACT-JUNK TEST-TRAIN-MODEL
        TEST-MODEL-FILES TEST-ARTIFACT
    """,
    "start": """
        TEST-SERVE-EXITED TEST-SERVE-PING TEST-SERVE-START TEST-SERVE-LOOPBACK TEST-SERVE-READY TEST-SERVE-ACCEPT
        TEST-PING-SLOW TEST-PIPELINE-START TEST-BATCH-START TEST-EXECUTION-PARAMETERS TEST-MODEL-WRITE
    """,
    "invocations": """
        TEST-REQUEST TEST-REQUEST-TIME TEST-PAYLOAD TEST-LARGE-BODY TEST-INPUT-TYPE TEST-CONTENT-TYPE TEST-CHARSET
        TEST-ACCEPT TEST-HEADERS TEST-BAD-BODY TEST-EMPTY-BODY TEST-BATCH-RECORDS TEST-LOAD TEST-PING-LOAD
        TEST-WORKER-TIMEOUT
    """,
    "instance": """
        TEST-MEMORY TEST-MEMORY-GROWTH TEST-DISK TEST-VOLUMES TEST-PROCESSES TEST-SIZE TEST-INSTANCE IMAGE-BATCH-DISK
    """,
    "stop": "TEST-SERVE-STOP TEST-TRAIN-STOP",
    "publish": "SPEC-PUBLICATION CHANGESET-INVALID REGISTER-VALIDATION",
}
#: Every code of a check -> the key of its stage. A test fails for a check that is missing here.
STAGE_OF: Mapping[str, str] = {code: key for key, codes in _CODES.items() for code in codes.split()}

#: What ended a step without being a check, such as a failed build.
_OF_STEP = {"inspect": "create", "scan": "scan", "test": "container", "push": "create"}


def stage_of(code: str, step: str = "") -> str:
    """The key of the stage that ``code`` stands for; by the step where the code is not a check's."""
    return STAGE_OF.get(code) or _OF_STEP.get(step, "source")
