"""Problems of this area: building an image, the engine that builds it, and the push to staging."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_CLASSIC = "Slipway's operating guide, section Builds"
_REFERENCE = "Dockerfile reference"


def _seller(code: str, title: str, cause: str, remedy: str, source: str = _REFERENCE) -> Problem:
    return Problem(code, Owner.SELLER, title, cause, remedy, NextAction.FIX_AND_REBUILD, source)


def _platform(code: str, title: str, cause: str, remedy: str, action: NextAction = NextAction.CALL_OPERATOR) -> Problem:
    return Problem(code, Owner.PLATFORM, title, cause, remedy, action, _CLASSIC)


_DOCKERFILE = (
    _seller(
        "BUILD-NO-DOCKERFILE",
        "There is no Dockerfile at {path}",
        "The source has no file {path}. Dockerfiles found in it: {found}.",
        "Put a Dockerfile at the root of the source, or name the right path as build.dockerfile in slipway.yaml.",
    ),
    _seller(
        "BUILD-EMPTY-DOCKERFILE",
        "The Dockerfile has no FROM",
        "A Dockerfile must start an image with a FROM instruction; this one has none.",
        "Add a FROM line with the image to start from.",
    ),
    _seller(
        "BUILD-DOCKERFILE-INVALID",
        "The Dockerfile cannot be read",
        "The engine refused the Dockerfile before the first step: {message}",
        "Correct the line that the message names.",
    ),
    _seller(
        "BUILD-NO-TARGET",
        "The build target {target} does not exist",
        "No stage of the Dockerfile is named {target}.",
        "Name a stage with FROM … AS {target}, or correct build.target in slipway.yaml.",
    ),
    _seller(
        "BUILD-NEEDS-BUILDKIT",
        "Line {line} needs BuildKit",
        "{what} on line {line} of the Dockerfile is BuildKit's syntax. Builds run with the classic builder, because "
        "only its builds can be shown to stay inside their memory, CPU and process limits.",
        "Write the step without it: copy files in with COPY, set modes with RUN chmod, put a longer script in a file.",
        _CLASSIC,
    ),
    _seller(
        "BUILD-FROM-STAGING",
        "Line {line} starts from the staging registry",
        "{name} on line {line} lies in the registry where Slipway keeps builds of all teams until they are released.",
        "Start from a public image, or from an image in your own registry.",
        _CLASSIC,
    ),
    _seller(
        "BUILD-FROM-PRIVATE",
        "Line {line} starts from a private address",
        "{name} on line {line} names a registry at an address of the worker's own network.",
        "Start from an image in a public registry, or ask the operator to list that network in "
        "SLIPWAY_BUILD_ALLOW_NETWORKS.",
        _CLASSIC,
    ),
    _seller(
        "BUILD-ADD-URL",
        "Line {line} lets the engine fetch a URL",
        "ADD {what} would be fetched by the engine itself, outside of the network that builds are kept in.",
        "Fetch the file in a RUN step, or put it into the source.",
        _CLASSIC,
    ),
    _seller(
        "BUILD-FROM-ID",
        "Line {line} names an image by its ID",
        "{name} on line {line} is read as the ID of an image that happens to lie in the engine, not as a name.",
        "Write the image's name with a tag or digest, such as name:tag or name@sha256:….",
        _CLASSIC,
    ),
    _seller(
        "BUILD-FROM-UNREADABLE",
        "The image name on line {line} cannot be checked",
        "{name} on line {line} uses quotes, escapes or substitutions that are not read here, or comes out empty.",
        "Write the name plainly, or with $NAME, ${{NAME}} or ${{NAME:-default}} of an ARG that stands before "
        "the first FROM.",
    ),
    _seller(
        "BUILD-LINE-UNREADABLE",
        "Line {line} of the Dockerfile cannot be checked",
        "It has {what}. The engine could read it differently from the checks that keep builds apart, so it is refused.",
        "Write the line plainly: without control characters, and without quotes or escapes in flags such as --from.",
        _CLASSIC,
    ),
    _seller(
        "BUILD-SECRET-ARG",
        "The build argument {name} looks like a secret",
        "Build arguments are recorded in the image's history, which every buyer can read.",
        "Fetch what needs the secret before you upload the source, and leave the argument out.",
        "Dockerfile reference, section ARG",
    ),
)

_RUNNING = (
    _seller(
        "BUILD-FAILED",
        "The build failed at step {step}",
        "{message}",
        "Read the last lines of the step's log, correct line {line} of the Dockerfile, and upload a new version.",
    ),
    _seller(
        "BUILD-FROM-UNAVAILABLE",
        "The image {name} cannot be pulled",
        "The engine could not get the image to start from: {message}",
        "Check the name and tag. The image must be public and have a linux/amd64 variant; builds sign in nowhere.",
    ),
    _seller(
        "BUILD-MEMORY",
        "The build ran out of memory",
        "Step {step} needed more than the {limit_mb} MB that a build may use, and was killed.",
        "Build with fewer parallel jobs, install ready-made packages instead of compiling, or split the step.",
        _CLASSIC,
    ),
    _seller(
        "BUILD-PROCESSES",
        "The build started too many processes",
        "Step {step} reached the limit of {limit} processes and threads that a build may have at once.",
        "Build with fewer parallel jobs, and look for a command that starts itself again and again.",
        _CLASSIC,
    ),
    _seller(
        "BUILD-DISK",
        "The build wrote too much",
        "The build wrote {used_mb} MB; it may write {limit_mb} MB.",
        "Copy in less, delete temporary files in the step that makes them, or add a .dockerignore file.",
        _CLASSIC,
    ),
)

_PLATFORM = (
    _platform(
        "ENGINE-UNREACHABLE",
        "The Docker Engine does not answer",
        "The worker could not speak to the engine that builds and tests images.",
        "Start the engine, or correct DOCKER_HOST.",
        NextAction.RETRY_STEP,
    ),
    _platform(
        "ENGINE-REFUSED",
        "The Docker Engine refused a call",
        "The engine answered: {message}",
        "Retry the step. If it happens again, look into the engine's own log.",
        NextAction.RETRY_STEP,
    ),
    _platform(
        "BUILD-LIMITS-UNPROVEN",
        "Builds on this worker cannot be limited",
        "The worker's self-test could not show that a build stays inside its limits: {detail}",
        "Use an engine with cgroup v1 and the cgroupfs driver, or give builds a limited cgroup of their own with "
        "SLIPWAY_BUILD_CGROUP_PARENT. No build runs until the self-test passes.",
    ),
    _platform(
        "BUILD-ROOM",
        "The place that a build runs in could not be made",
        "{message}",
        "Retry the step. The room needs the image that SLIPWAY_BUILD_ROOM_IMAGE names and the engine's bridge network.",
        NextAction.RETRY_STEP,
    ),
    _platform(
        "BUILD-DNS",
        "The name server {server} must stay closed to builds",
        "Containers on this engine ask {server} for names, which is an address of the worker's own host or of a "
        "metadata service. Opening it would open everything else that listens there.",
        "Set SLIPWAY_BUILD_DNS to another name server that builds may use.",
    ),
    _platform(
        "BUILD-REGISTRY-UNREACHABLE",
        "The registry of {name} does not answer",
        "The engine could not reach the registry of the image to start from: {message}",
        "Retry the step later. Check the engine's way to the registry if it happens again.",
        NextAction.RETRY_STEP,
    ),
    _platform(
        "BUILD-HOST-FULL",
        "The engine's disk is full",
        "The engine's disk had {free_mb} MB left, so the build was stopped.",
        "Free space on the engine's disk, then retry the step.",
        NextAction.RETRY_STEP,
    ),
    _platform(
        "BUILD-PUSH-REFUSED",
        "The staging registry refused the image",
        "The image was built, but could not be pushed to the staging registry: {message}",
        "Check the staging registry and its sign-in, then retry the step.",
        NextAction.RETRY_STEP,
    ),
    _platform(
        "BUILD-MEDIA-TYPE",
        "The engine pushes manifests that SageMaker refuses",
        "The pushed manifest is of type {media_type}; SageMaker takes Docker image manifests, version 2 schema 2.",
        "Turn the engine's containerd image store off, or use an engine that pushes Docker manifests.",
    ),
)

PROBLEMS: tuple[Problem, ...] = _DOCKERFILE + _RUNNING + _PLATFORM
