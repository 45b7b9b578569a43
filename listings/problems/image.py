"""Problems of the image as it lies in the registry: what inspect and scan can tell before anything runs."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_INFERENCE = "SageMaker developer guide, Use your own inference code with hosting services"
_TRAINING = "SageMaker developer guide, How Amazon SageMaker runs your training image"
_DOCKERFILE = "SageMaker developer guide, Docker image for your own training algorithm"
_ISOLATION = "AWS Marketplace seller guide, security and intellectual property: network isolation"
_SECRETS = "AWS Marketplace seller guide, creating your resource: logs and metadata are shown to buyers"
_OCI = "OCI image specification, image layer filesystem changeset"


def _seller(code: str, title: str, cause: str, remedy: str, *, source: str = "", holds: str = "") -> Problem:
    return Problem(code, Owner.SELLER, title, cause, remedy, NextAction.FIX_AND_REBUILD, source, holds)


def _platform(code: str, title: str, cause: str, remedy: str, *, source: str = "", holds: str = "") -> Problem:
    return Problem(code, Owner.PLATFORM, title, cause, remedy, NextAction.RETRY_STEP, source, holds)


_CHECKS = (
    _seller(
        "IMAGE-ARCH",
        "The image is not for linux/amd64",
        "The image is for {os}/{architecture}. AWS validates every algorithm and model package on x86-64 machines, "
        "where "
        "its programs end with “exec format error”.",
        "Let Slipway build it from its Dockerfile, or build it with --platform linux/amd64; base images named by "
        "digest "
        "must be the amd64 ones.",
        source="SageMaker API, TransformInstanceType: no ARM instance type can run the validation's transform job",
        holds="The image is for linux/amd64.",
    ),
    _platform(
        "IMAGE-MEDIA-TYPE",
        "The manifest is not a single Docker v2 schema 2 manifest",
        "The image's manifest is of type {media_type}. SageMaker refuses every other type than "
        "application/vnd.docker.distribution.manifest.v2+json.",
        "The build step has to push Docker's own format, without attestations. Try the step again; if it fails the "
        "same "
        "way, the operator should look at the builder's version.",
        source="CreateModel refuses application/vnd.oci.image.manifest.v1+json and every index",
        holds="The manifest is a Docker v2 schema 2 manifest for one platform.",
    ),
    _seller(
        "IMAGE-BIND-TO-PORT",
        "The image cannot be part of a pipeline",
        "The containers of an inference pipeline share one host, so each needs a port of its own. The image lacks the "
        "label {label}=true, by which it says that it takes one.",
        "Add the label, and listen on the port that the variable SAGEMAKER_BIND_TO_PORT names.",
        source="SageMaker developer guide, Run real-time predictions with an inference pipeline",
        holds="The image takes the port that a pipeline gives it.",
    ),
    _seller(
        "IMAGE-ENTRYPOINT",
        "The ENTRYPOINT cannot be started",
        "ENTRYPOINT begins with “{program}”, which the image does not hold as an executable file.",
        "Correct the path in ENTRYPOINT, copy the program into the image, and give it the executable bit: "
        "RUN chmod +x {program}",
        source=_DOCKERFILE,
        holds="The program that ENTRYPOINT names is there and executable.",
    ),
    _seller(
        "IMAGE-TRAIN",
        "The image does not answer “train”",
        "SageMaker starts a training container with the one argument “train”. The image has no ENTRYPOINT that "
        "takes it, "
        "and no executable file called train on its PATH ({search}).",
        "Copy the training program to /usr/local/bin/train and give it the executable bit, or set an exec-form "
        "ENTRYPOINT "
        "that understands the argument: COPY train /usr/local/bin/train and then "
        "RUN chmod +x /usr/local/bin/train",
        source=_TRAINING,
        holds="“train” starts a program of the image.",
    ),
    _seller(
        "IMAGE-SERVE",
        "The image does not answer “serve”",
        "SageMaker starts an inference container with the one argument “serve”. The image has no ENTRYPOINT that "
        "takes it, "
        "and no executable file called serve on its PATH ({search}).",
        "Copy the server's start program to /usr/local/bin/serve and give it the executable bit, or set an exec-form "
        "ENTRYPOINT that understands the argument: COPY serve /usr/local/bin/serve and then "
        "RUN chmod +x /usr/local/bin/serve",
        source=_INFERENCE,
        holds="“serve” starts a program of the image.",
    ),
    _seller(
        "IMAGE-INTERPRETER",
        "A start program cannot be executed as it is",
        "{path} cannot be started: {reason}.",
        "Save the script with Unix line ends and without a byte order mark, and name an interpreter that the image "
        "holds in "
        "its first line. In Git: add “* text=auto eol=lf” to .gitattributes. Binaries must be built for x86-64.",
        source="execve(2)",
        holds="The start programs are x86-64 binaries, or scripts whose interpreter is in the image.",
    ),
    _seller(
        "IMAGE-ENTRYPOINT-SHELL",
        "ENTRYPOINT is in shell form",
        "ENTRYPOINT runs through “{shell} -c”: the shell is process 1, the argument train or serve does not reach the "
        "program, and neither does SIGTERM.",
        'Write it as a list: ENTRYPOINT ["python", "/opt/program/main.py"]',
        source=_DOCKERFILE,
        holds="ENTRYPOINT is in exec form, or not set.",
    ),
    _seller(
        "IMAGE-ENTRYPOINT-INIT",
        "ENTRYPOINT is an init program",
        "ENTRYPOINT begins with {program}, which takes train or serve as the name of a program to start. AWS advises "
        "against it.",
        "Leave the init program out and handle SIGTERM in the program itself, or name the program after it: "
        'ENTRYPOINT ["{program}", "--", "/usr/local/bin/start"]',
        source=_DOCKERFILE,
        holds="ENTRYPOINT is no init program.",
    ),
    _seller(
        "IMAGE-USER",
        "The image does not run as root",
        "USER is “{user}”. SageMaker expects containers to run as root; another user often cannot write below /opt/ml.",
        "Remove the USER instruction, or end the Dockerfile with USER root. An operator who knows better has this only "
        "warn with SLIPWAY_NONROOT_USER=warn.",
        source=_INFERENCE,
        holds="The image runs as root, as SageMaker expects.",
    ),
    _seller(
        "IMAGE-OPT-ML",
        "The image holds files below /opt/ml",
        "{count} files lie below /opt/ml, which SageMaker mounts over: they may be gone when the container runs.",
        "Put code elsewhere, such as /opt/program, and let SageMaker bring the model to /opt/ml/model.",
        source=_TRAINING,
        holds="Nothing of the image lies below /opt/ml, which SageMaker mounts over.",
    ),
    _seller(
        "IMAGE-SIZE",
        "The image is large",
        "Unpacked, the image has {size}. Pulling and starting it has to fit into SageMaker's start-up limit.",
        "Look at the largest layers below; clean package caches in the same RUN line, use a smaller base, build in "
        "stages.",
        source="SageMaker developer guide, Use your own inference code with batch transform",
        holds="The image is smaller than 10 GB unpacked.",
    ),
    _seller(
        "IMAGE-BINARIES",
        "Programs in the image are for another machine",
        "{count} programs on the image's PATH were built for another machine than x86-64. They end with “exec format "
        "error” when they are called.",
        "Download or build them for linux/amd64. A multi-stage build copies what its first stage made: that stage has "
        "to be amd64 as well.",
        source="SageMaker API, TransformInstanceType: no ARM instance type can run the validation's transform job",
        holds="The programs on the image's PATH are for x86-64.",
    ),
    _seller(
        "IMAGE-ENTRYPOINT-FILE",
        "ENTRYPOINT runs a file that is not there",
        "ENTRYPOINT starts {program} with the file “{file}”, which the image does not hold (working directory "
        "{folder}).",
        "Copy the file into the image, and name it by its full path: the working directory may be another one.",
        source=_DOCKERFILE,
        holds="The file that ENTRYPOINT runs is in the image.",
    ),
    _seller(
        "IMAGE-SCRIPT-CRLF",
        "A shell script has Windows line ends",
        "{path} has lines that end in a carriage return. The shell takes it for a part of the last word of each line.",
        "Save the script with Unix line ends. In Git: add “* text=auto eol=lf” to .gitattributes.",
        source="POSIX shell command language, token recognition",
        holds="The shell scripts that are started have Unix line ends.",
    ),
    _seller(
        "IMAGE-WORKDIR",
        "WORKDIR is a file",
        "The working directory {folder} cannot be entered, because a file lies there.",
        "Name a directory in WORKDIR, or put the file elsewhere.",
        source="Dockerfile reference, WORKDIR",
        holds="The working directory can be entered.",
    ),
    _seller(
        "IMAGE-USER-UNKNOWN",
        "The image's user does not exist",
        "USER is “{user}”, which the image's own /etc/passwd or /etc/group does not hold. The container cannot be "
        "started.",
        "Remove the USER instruction; SageMaker expects root. Otherwise make the account with RUN useradd, in the "
        "stage that the image is made of.",
        source="Dockerfile reference, USER",
        holds="The user and group of the image exist.",
    ),
    _seller(
        "IMAGE-START-INSTALL",
        "A start script installs packages",
        "{place} looks as if it installs packages while the container runs ({count} such places). There is no network.",
        "Install everything with RUN in the Dockerfile.",
        source=_ISOLATION,
        holds="The start scripts install nothing.",
    ),
    _seller(
        "IMAGE-START-NETWORK",
        "A start script looks as if it calls out",
        "{place} looks as if it needs the network ({count} such places). A container on AWS Marketplace has none, and "
        "no credentials.",
        "Put models and data into the image or the model artifacts and load them from there, such as "
        "from_pretrained(“/opt/ml/model”, local_files_only=True). The isolated test shows whether the line is reached.",
        source=_ISOLATION,
        holds="The start scripts show no sign of calling out.",
    ),
    _seller(
        "IMAGE-START-PROGRAM",
        "A start script calls a program that is not there",
        "The start script calls “{program}”, which is not on the image's PATH.",
        "Install it, or call what is there: many images have python3 and no python.",
        source="Shell: command not found, exit code 127",
        holds="The programs that the start scripts call are in the image.",
    ),
    _seller(
        "IMAGE-NVIDIA-DRIVER",
        "The image holds parts of an NVIDIA driver",
        "{count} files belong to an NVIDIA driver. The host brings its own, which has to fit its kernel.",
        "Start from a CUDA base image and leave driver packages such as nvidia-driver-* and libnvidia-compute-* out.",
        source=_DOCKERFILE,
        holds="No part of an NVIDIA driver is in the image.",
    ),
    _seller(
        "IMAGE-SECRET",
        "The image holds credentials",
        "{count} credentials lie in the image as plain text. Who has the image can use them, also those that a later "
        "line removed.",
        "Revoke them now. Hand secrets to a build with RUN --mount=type=secret, and leave them out of ENV, ARG, LABEL "
        "and COPY.",
        source=_SECRETS,
        holds="No credential of a known form is in the environment, labels, history or known files.",
    ),
    _seller(
        "IMAGE-SECRET-SUSPECTED",
        "The image may hold credentials",
        "{count} places look as if they held a password, token or private key.",
        "Look at each. If it is a secret, revoke it and build without it; if not, give the variable another name.",
        source=_SECRETS,
        holds="Nothing in the image looks like a password or private key.",
    ),
    _seller(
        "IMAGE-UNPINNED",
        "Packages are installed without a version",
        "The Dockerfile installs “{package}” without a version. The next build may bring another one.",
        "Name the version, such as {package}==1.2.3, or install from a file with pinned versions.",
        source="pip user guide, repeatable installs",
        holds="Packages that the Dockerfile names for pip have versions.",
    ),
    _seller(
        "IMAGE-BATCH-DISK",
        "Image and model do not fit the disk of a batch transform job",
        "Together they need {size} ({parts}). A batch transform job, which AWS runs to validate the product, has a "
        "volume of 30 GB.",
        "Make the image or the model smaller: a smaller base, no package caches, no second copy of the weights.",
        source="SageMaker developer guide, Use your own inference code with batch transform",
        holds="Image and model fit the 30 GB volume of a batch transform job.",
    ),
)

_READING = (
    _seller(
        "IMAGE-LAYER-LIMIT",
        "The image is more than Slipway reads",
        "Layer {layer}: {detail}.",
        "Make the image smaller, or put fewer files into it: data belongs into training channels or the model "
        "artifact.",
    ),
    _seller(
        "IMAGE-LAYER-PATH",
        "A layer reaches outside the image",
        "Layer {layer} has an entry “{path}”, which leads out of the image's root.",
        "Build the image with a current builder; no builder writes such an entry by itself.",
        source=_OCI,
    ),
    _seller(
        "IMAGE-LAYER-UNREADABLE",
        "A layer cannot be read",
        "Layer {layer} is no gzip-compressed tar archive: {detail}.",
        "Build the image anew and push it with layers that are tar archives compressed with gzip or zstd.",
        source=_OCI,
    ),
    _seller(
        "IMAGE-CONFIG",
        "The image's configuration cannot be read",
        "The manifest or the configuration that it names is not what the Docker image specification describes.",
        "Build the image anew with Docker or BuildKit.",
        source="Docker image specification 1.2",
    ),
    _seller(
        "IMAGE-LAYER-DIFF",
        "A layer is not the one that the configuration names",
        "Layer {layer} unpacks to {found}; the image's configuration says {expected}.",
        "Build the image anew; engines refuse to start it as it is.",
        source="Docker image specification 1.2, rootfs",
    ),
    _platform(
        "IMAGE-LAYER-DIGEST",
        "The staging registry answered with other bytes",
        "Asked for {layer}, the registry sent bytes with the digest {found}.",
        "Try the step again. If it happens twice the registry's storage is damaged.",
    ),
    _platform(
        "IMAGE-REGISTRY",
        "The staging registry did not answer as it should",
        "{detail}",
        "Try the step again; if it persists, the operator should look at the staging registry.",
    ),
    _platform(
        "IMAGE-GONE",
        "The image is no longer in the staging registry",
        "{detail}",
        "Run the version again: it is built or fetched anew. Staged images are cleaned up after a while.",
    ),
)

PROBLEMS: tuple[Problem, ...] = _CHECKS + _READING
