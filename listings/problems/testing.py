"""Problems of the isolated test that both of its runs share, and those that are Slipway's to mend."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem, fix_and_rebuild

_TRAINING = "SageMaker developer guide, How Amazon SageMaker Runs Your Training Image"
_ISOLATION = "SageMaker developer guide, Training and inference containers run in internet-free mode"
_SLIPWAY = "Slipway, docs/twin.md"


def _platform(code: str, title: str, cause: str, remedy: str, action: NextAction = NextAction.CALL_OPERATOR) -> Problem:
    return Problem(code, Owner.PLATFORM, title, cause, remedy, action, _SLIPWAY)


_BOTH_RUNS = (
    fix_and_rebuild(
        "TEST-EGRESS",
        "The container calls out",
        "It made {count} calls to {places}. A Marketplace container runs without a network, so each of them fails.",
        "Put everything the container needs into the image or the model archive, and switch off telemetry, licence "
        "checks and downloads at run time.",
        _ISOLATION,
        "The container tried to reach nothing outside itself.",
    ),
    fix_and_rebuild(
        "TEST-TRAIN-HOSTS",
        "Not trained on two hosts",
        "The algorithm says SupportsDistributedTraining, but training on {hosts} hosts: {reason}.",
        "Read the hosts and current_host from /opt/ml/input/config/resourceconfig.json, try the name of another host "
        "again until it answers, end with 0 on every host, and write the model on the first; or set "
        "SupportsDistributedTraining to false.",
        _TRAINING,
        "Training on {hosts} hosts ended with exit code 0 on each, and left a model on algo-1.",
    ),
    fix_and_rebuild(
        "TEST-MEMORY",
        "The container ran out of memory",
        "During {phase} the kernel killed a process for going past {limit_gib} GiB (peak {peak_mb} MiB).",
        "Choose an instance type with more memory in tests, or use less: smaller batches, fewer workers.",
        _SLIPWAY,
        "It stayed within {limit_gib} GiB of memory during {phase} (peak {peak_mb} MiB).",
    ),
    fix_and_rebuild(
        "TEST-DISK",
        "The container filled the disk",
        "It was stopped: {reason}.",
        "Write less: clean up temporary files and checkpoints, and keep only the model in /opt/ml/model.",
        _SLIPWAY,
    ),
    fix_and_rebuild(
        "TEST-PROCESSES",
        "The container started too many processes",
        "During {phase} it reached the limit of {limit} processes and threads, after which starting more fails.",
        "Bound the number of workers and threads; look for a process that starts itself again and again.",
        _SLIPWAY,
    ),
    fix_and_rebuild(
        "TEST-NO-PROGRAM",
        "The container cannot be started",
        "The engine could not execute the image with the argument {command}.",
        "Put an executable called {command} on the PATH, or use an ENTRYPOINT in exec form that accepts {command}. "
        "Check its #! line, its line ends and that it is built for linux/amd64.",
        _TRAINING,
    ),
    fix_and_rebuild(
        "TEST-SAMPLE-MISSING",
        "A sample file is not in the source",
        "slipway.yaml names {path}, but the source has no such file or directory.",
        "Add the file to the source, or correct the path below tests in slipway.yaml.",
        "slipway.yaml, tests",
    ),
    fix_and_rebuild(
        "TEST-SAMPLE-SIZE",
        "The samples are too large",
        "The sample files below tests are larger than {limit_mb} MiB together.",
        "Use a small part of the data as samples.",
        _SLIPWAY,
    ),
    fix_and_rebuild(
        "TEST-ARTIFACT",
        "The model archive cannot be unpacked",
        "The model.tar.gz was refused: {reason}.",
        "Pack the model's files with tar czf model.tar.gz -C <directory> . and without links that leave the directory.",
        "SageMaker developer guide, Deploy a model: model artifacts",
    ),
    fix_and_rebuild(
        "TEST-SIZE",
        "Not run at the instance type's full size",
        "This host runs less than {instance_type} has: {clamped}. What was seen of memory and speed "
        "proves nothing for it.",
        "Choose a smaller instance type in tests, or ask the operator for a larger test host.",
        _SLIPWAY,
        "Run at the size of {instance_type}.",
    ),
    fix_and_rebuild(
        "TEST-INSTANCE",
        "It does not fit on an instance type that is listed",
        "By what the run used, or by their processor, these listed types cannot run it: {types}.",
        "Take them out of the supported instance types in slipway.yaml, or make it use less memory. Buyers see every "
        "listed type, and each needs a price.",
        "SageMaker API, supported instance types; sizes in Slipway's dated table of instance types",
        "It fits on every listed instance type.",
    ),
    fix_and_rebuild(
        "TEST-VOLUMES",
        "The image declares too many volumes",
        "It has {count} VOLUME paths; Slipway tests images with {limit} at most.",
        "Remove VOLUME lines from the Dockerfile: what a container on SageMaker writes is gone afterwards in any case.",
        _SLIPWAY,
    ),
)

_PLATFORM = (
    _platform(
        "TEST-HOST-TOO-SMALL",
        "The test host is too small",
        "The container ran out of memory at {limit_gib} GiB, this host's share: {instance_type} has more, or its size "
        "is not in Slipway's table.",
        "Choose a smaller instance type in tests, or let the operator raise SLIPWAY_TEST_MEMORY_MB on a larger host, "
        "or name the type's size in SLIPWAY_INSTANCES_FILE.",
    ),
    _platform(
        "TEST-HOST-DISK",
        "The test host's disk ran full during the test",
        "The container was stopped: {reason}. It is not known to have written that itself.",
        "Try again once there is room. If only this version meets it, it may hold on to files that it has deleted.",
        NextAction.RETRY_STEP,
    ),
    _platform(
        "TEST-HOST-ROOM",
        "The test host's disk has no room for the test's input",
        "Unpacked, {what} would not fit into the {free_mb} MiB that are free on the disk of the test host's engine, "
        "of which {reserve_mb} MiB stay free.",
        "Free or enlarge the disk that holds the engine's volumes, then try again. Nothing is wrong with the version.",
        NextAction.RETRY_STEP,
    ),
    _platform(
        "TEST-INSTANCES-FILE",
        "The table of instance types cannot be read",
        "{path} is not like Slipway's own table: {reason}.",
        "Mend the file that SLIPWAY_INSTANCES_FILE names, or unset it.",
    ),
    _platform(
        "TEST-NO-LIMITS",
        "The engine cannot limit containers",
        "The engine reports no support for limits on: {limits}. Slipway runs no stranger's container without.",
        "Enable the missing cgroup controllers on the engine's host.",
    ),
    _platform(
        "TEST-HOLDER",
        "The test's own container failed",
        "The container that probes and records did not do its part: {reason}.",
        "Try again; if it happens again, look at the engine's log.",
        NextAction.RETRY_STEP,
    ),
    _platform(
        "TEST-HOLDER-IMAGE",
        "The test's own image cannot be built",
        "The image of the container that probes and records could not be made: {reason}.",
        "Make the image that SLIPWAY_HOLDER_BASE_IMAGE names available to the engine; any with Python 3.11 will do.",
    ),
    _platform(
        "TEST-NETWORK-OPEN",
        "The test's network is not closed",
        "The namespace without a network has the interfaces {interfaces} besides lo, so nothing was started in it.",
        "Look at the engine's network plug-ins: a network of mode none must have no interface.",
    ),
    _platform(
        "TEST-IMAGE-PULL",
        "The staged image cannot be pulled",
        "The engine could not pull {image} from the staging registry.",
        "Check that the staging registry is up, and that SLIPWAY_STAGING_REGISTRY_ENGINE names it as the engine "
        "reaches it.",
        NextAction.RETRY_STEP,
    ),
)

PROBLEMS: tuple[Problem, ...] = _BOTH_RUNS + _PLATFORM
