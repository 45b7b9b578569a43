"""What each check asks: one that could not be judged says no more than its question and its reason.

``ASKS``: code -> the question, from "whether" on. ``UNJUDGED``: code -> why it was not judged, a template filled from
the check's params, where these say it better than their ``reason`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping

_SOURCE = {
    "SOURCE-PATH-ESCAPE": "whether every path stays inside the archive",
    "SOURCE-LINK-ESCAPE": "whether every link stays inside the archive",
    "SOURCE-SAMPLE-STRAY": "whether the samples of the channels hold data only",
    "SOURCE-NO-ARTIFACT": "whether the model artifacts are there",
    "SOURCE-BAD-ARTIFACT": "whether the model artifacts are a readable .tar.gz",
    "SOURCE-ARTIFACT-NESTED": "whether the model's files lie at the root of the archive",
    "SOURCE-ARTIFACT-JUNK": "whether the archive is free of files of a file manager",
    "SPEC-INVALID": "whether the spec is valid",
    "SPEC-SAMPLE-MISSING": "whether every sample file is in the source",
    "SPEC-PUBLICATION": "whether every text that the Marketplace requires is there",
}
_IMAGE = {
    "IMAGE-ARCH": "whether the image is for linux/amd64",
    "IMAGE-MEDIA-TYPE": "whether the manifest is a single Docker v2 schema 2 manifest",
    "IMAGE-BIND-TO-PORT": "whether the image takes the port that a pipeline gives it",
    "IMAGE-ENTRYPOINT": "whether the program that ENTRYPOINT names is there and executable",
    "IMAGE-TRAIN": "whether “train” starts a program of the image",
    "IMAGE-SERVE": "whether “serve” starts a program of the image",
    "IMAGE-INTERPRETER": "whether the start programs can be executed",
    "IMAGE-ENTRYPOINT-SHELL": "whether ENTRYPOINT is in exec form",
    "IMAGE-ENTRYPOINT-INIT": "whether ENTRYPOINT is an init program",
    "IMAGE-USER": "whether the image runs as root",
    "IMAGE-OPT-ML": "whether anything of the image lies below /opt/ml",
    "IMAGE-SIZE": "whether the image is smaller than 10 GB unpacked",
    "IMAGE-BINARIES": "whether the programs on the image's PATH are for x86-64",
    "IMAGE-ENTRYPOINT-FILE": "whether the file that ENTRYPOINT runs is in the image",
    "IMAGE-SCRIPT-CRLF": "whether the shell scripts that are started have Unix line ends",
    "IMAGE-WORKDIR": "whether the working directory can be entered",
    "IMAGE-USER-UNKNOWN": "whether the user and group of the image exist",
    "IMAGE-START-INSTALL": "whether a start script installs packages",
    "IMAGE-START-NETWORK": "whether a start script shows a sign of calling out",
    "IMAGE-START-PROGRAM": "whether the programs that the start scripts call are in the image",
    "IMAGE-NVIDIA-DRIVER": "whether the image holds parts of an NVIDIA driver",
    "IMAGE-SECRET": "whether the image holds credentials of a known form",
    "IMAGE-SECRET-SUSPECTED": "whether anything in the image looks like a password or private key",
    "IMAGE-UNPINNED": "whether the packages that the Dockerfile names have versions",
    "IMAGE-BATCH-DISK": "whether image and model fit the 30 GB volume of a batch transform job",
}
_BOTH_RUNS = {
    "TEST-EGRESS": "whether the container calls out",
    "TEST-MEMORY": "whether the container stays within the instance type's memory",
    "TEST-DISK": "whether the container stays within the disk",
    "TEST-PROCESSES": "whether the container stays within the limit of processes",
    "TEST-SIZE": "whether it runs well at the instance type's full size",
    "TEST-INSTANCE": "whether it fits on every listed instance type",
    "TEST-MODEL-WRITE": "whether the server writes to the model directory",
    "TEST-PRIVILEGES": "whether the container wants rights that it does not get",
}
_TRAINING = {
    "TEST-TRAIN-HOSTS": "whether it trains on two hosts",
    "TEST-TRAIN-EXIT": "whether training ends with exit code 0",
    "TEST-TRAIN-MODEL": "whether training leaves a model",
    "TEST-TRAIN-METRICS": "whether every declared metric is printed",
    "TEST-MODEL-FILES": "whether all of /opt/ml/model goes into model.tar.gz",
    "TEST-METRICS-OBJECTIVE": "whether the objective of a tuning job can be read",
    "TEST-TRAIN-PIPE": "whether training works in Pipe mode",
    "TEST-TRAIN-FASTFILE": "whether training works in FastFile mode",
    "TEST-TRAIN-TUNING": "whether training accepts the hyperparameter that a tuning job adds",
    "TEST-TRAIN-STOP": "whether training takes notice of SIGTERM",
    "TEST-TRAIN-EMPTY": "whether training copes with an empty channel",
    "TEST-VALUES-ACCEPTED": "whether bad hyperparameters are refused",
    "TEST-VALUES-REASON": "whether a failure leaves its reason",
}
_SERVING = {
    "TEST-SERVE-START": "whether the server starts in time",
    "TEST-SERVE-LOOPBACK": "whether the server listens on every interface",
    "TEST-PIPELINE-START": "whether every container of the pipeline answers /ping",
    "TEST-SERVE-READY": "whether the model is loaded when /ping is first answered",
    "TEST-SERVE-ACCEPT": "whether connections are accepted in time",
    "TEST-PING-SLOW": "whether an idle server answers /ping at once",
    "TEST-PING-LOAD": "whether /ping is answered in time under load",
    "TEST-REQUEST": "whether the request samples are answered as expected",
    "TEST-CONTENT-TYPE": "whether an unknown content type is refused",
    "TEST-INPUT-TYPE": "whether requests of every declared content type are answered",
    "TEST-CHARSET": "whether a charset behind the content type is understood",
    "TEST-ACCEPT": "whether answers have a declared type",
    "TEST-HEADERS": "whether the headers that SageMaker hands on change nothing",
    "TEST-BAD-BODY": "whether broken bodies are refused, and the server lives on",
    "TEST-EMPTY-BODY": "whether an empty body is refused, and the server lives on",
    "TEST-LARGE-BODY": "whether a body of the largest size is answered",
    "TEST-LOAD": "whether requests of parallel clients are answered",
    "TEST-MEMORY-GROWTH": "whether memory grows with the requests",
    "TEST-WORKER-TIMEOUT": "whether the server kills its own workers",
    "TEST-SERVE-STOP": "whether the server ends after SIGTERM",
    "TEST-EXECUTION-PARAMETERS": "whether the execution parameters can be used",
    "TEST-BATCH-START": "whether the server starts in batch mode",
    "TEST-BATCH-RECORDS": "whether single and joined records of a batch are answered",
}
_AWS = {
    "CHANGESET-INVALID": "whether the Marketplace finds faults in the change set",
    "CHANGESET-NOT-CHECKED": "whether the Marketplace finds faults in the change set",
    "REGISTER-IMAGE-SCAN": "what SageMaker's own scan of the image finds",
    "REGISTER-VALIDATION": "what SageMaker's own validation finds",
}
ASKS: Mapping[str, str] = {**_SOURCE, **_IMAGE, **_BOTH_RUNS, **_TRAINING, **_SERVING, **_AWS}

UNJUDGED: Mapping[str, str] = {
    "TEST-MEMORY": "This host gave {limit_gib} GiB, less than the instance type has. During {phase} the peak was "
    "{peak_mb} MiB.",
    "TEST-SIZE": "This host runs less than {instance_type} has, so what was seen of memory and speed proves nothing "
    "for it.",
    "TEST-INSTANCE": "What the run showed does not tell for {types}.",
    "TEST-TRAIN-TUNING": "With that hyperparameter training {how}, which a busy host may explain.",
    "TEST-INPUT-TYPE": "Nothing is known of requests of type {content_type}: {reason}.",
    "REGISTER-IMAGE-SCAN": "SageMaker gives its status as {status}.",
    "REGISTER-VALIDATION": "SageMaker gives the status of {name} as {status}.",
    "CHANGESET-NOT-CHECKED": "The Marketplace would not check the change set without applying it: {reason}. It does "
    "when Publish is pressed.",
}
