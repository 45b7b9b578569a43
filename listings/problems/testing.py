"""Problems of this area: testing."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_TRAINING = "SageMaker developer guide, How Amazon SageMaker Runs Your Training Image"
_OUTPUT = "SageMaker developer guide, How Amazon SageMaker Processes Training Output"
_HOSTING = "SageMaker developer guide, Use Your Own Inference Code with Hosting Services"
_ISOLATION = "SageMaker developer guide, Training and inference containers run in internet-free mode"
_SLIPWAY = "Slipway, docs/twin.md"


def _seller(
    code: str, title: str, cause: str, remedy: str, source: str, holds: str = "",
    action: NextAction = NextAction.FIX_AND_REBUILD,
) -> Problem:  # fmt: skip
    return Problem(code, Owner.SELLER, title, cause, remedy, action, source, holds)


def _platform(code: str, title: str, cause: str, remedy: str, action: NextAction = NextAction.CALL_OPERATOR) -> Problem:
    return Problem(code, Owner.PLATFORM, title, cause, remedy, action, _SLIPWAY)


_TRAINING_RUN = (
    _seller(
        "TEST-TRAIN-EXIT",
        "Training failed",
        "The container started with the argument train ended with exit code {exit_code}: {meaning}. "
        "SageMaker marks a training job as failed on any exit code but 0.",
        "Read the last lines of the log, or the file /opt/ml/output/failure, fix the error, and end with 0.",
        _TRAINING,
        "Training ended with exit code 0.",
    ),
    _seller(
        "TEST-TRAIN-MODEL",
        "Training left no model",
        "Training ended with exit code 0, but /opt/ml/model holds no file, so SageMaker would upload an empty archive.",
        "Write the trained model into /opt/ml/model before the program ends.",
        _OUTPUT,
        "Training left {files} model files, {bytes} bytes packed.",
    ),
    _seller(
        "TEST-TRAIN-METRICS",
        "A metric was never printed",
        "The regular expression of {missing} matched no line of the training log with a number.",
        "Print the metric in the form that its Regex expects, or correct the Regex in MetricDefinitions. "
        "The number must be the first group.",
        "SageMaker developer guide, Define Training Metrics",
        "All {count} declared metrics were found in the training log.",
    ),
    _seller(
        "TEST-METRICS-SLOW",
        "A metric expression takes too long",
        "The Regex of {name} was not done with this log after 20 seconds, so no metric was read.",
        "Avoid nested repetition such as (a+)+ in the Regex; anchor it on the words around the number.",
        _SLIPWAY,
    ),
    _seller(
        "TEST-TRAIN-TIMEOUT",
        "Training took longer than allowed",
        "Training had not ended after {limit} seconds and was stopped.",
        "Use smaller samples or fewer iterations in tests.training, raise its timeout_seconds, or look in the log "
        "for what the program waits for.",
        "slipway.yaml, tests.training.timeout_seconds",
    ),
    _seller(
        "TEST-TRAIN-IDLE",
        "Training stood still",
        "The container printed nothing and used no CPU for {limit} seconds, and was stopped.",
        "Look in the log for what the program waits for: often a call to the network, a lock, or missing input.",
        _SLIPWAY,
    ),
)

_SERVING_RUN = (
    _seller(
        "TEST-SERVE-EXITED",
        "The server ended by itself",
        "The container started with the argument serve ended after {seconds} seconds with exit code {exit_code}: "
        "{meaning}.",
        "Keep the server in the foreground, and fix the error that the last lines of the log show.",
        _HOSTING,
    ),
    _seller(
        "TEST-SERVE-PING",
        "The server never answered /ping",
        "GET /ping on port 8080 was not answered with status 200 within {limit} seconds of the start. "
        "The last answer: {answer}.",
        "Listen on 0.0.0.0:8080 and answer GET /ping with status 200 as soon as the model is loaded.",
        _HOSTING,
    ),
    _seller(
        "TEST-SERVE-START",
        "The server starts slowly",
        "The first good answer to /ping came after {seconds} seconds. SageMaker gives up after 480; its limit was "
        "{usual} until 2023, and a smaller instance is slower.",
        "Load the model faster: a smaller file, lazy imports, no compilation at start.",
        _HOSTING,
        "/ping was answered {seconds} seconds after the start.",
    ),
    _seller(
        "TEST-SERVE-LOOPBACK",
        "The server listens on itself only",
        "Port 8080 is bound to {address}, so SageMaker, which calls from outside the container, cannot reach it.",
        "Bind the server to 0.0.0.0:8080 instead of 127.0.0.1 or localhost.",
        _HOSTING,
        "Port 8080 is open on every interface ({address}).",
    ),
    _seller(
        "TEST-REQUEST",
        "A request sample was not answered as expected",
        "Sample {name}: {reason}.",
        "Compare the answer below with the expected file. If the model has rightly changed, update the expected file "
        "or the tolerance in tests.inference.requests.",
        _HOSTING,
        "Sample {name} was answered as expected: status {status} in {ms} ms.",
    ),
    _seller(
        "TEST-PAYLOAD",
        "A request sample is very large",
        "The body of sample {name} has {size} bytes; the limit is {limit}.",
        "Use a smaller sample. Real-time endpoints take 6 MiB by the API and at most 25 MB by the seller guide.",
        "AWS Marketplace seller guide, Machine learning products: requirements and restrictions",
    ),
    _seller(
        "TEST-CONTENT-TYPE",
        "An unknown content type is not refused",
        "A request of type {content_type}, which no specification declares, was answered: {answer}. "
        "Buyers who send the wrong type get no usable message.",
        "Answer 415 (or another 4xx) with a short text where the Content-Type is not one you support.",
        _HOSTING,
        "A request of an unknown content type is refused ({answer}) and the server lives on.",
    ),
    _seller(
        "TEST-SERVE-STOP",
        "The server ignores SIGTERM",
        "{limit} seconds after SIGTERM the container was still running and had to be killed.",
        "Handle SIGTERM, and use the exec form of ENTRYPOINT so that the signal reaches the server and not a shell.",
        _HOSTING,
        "The server ended {seconds} seconds after SIGTERM.",
    ),
)

_BOTH_RUNS = (
    _seller(
        "TEST-EGRESS",
        "The container calls out",
        "It made {count} calls to {places}. A Marketplace container runs without a network, so each of them fails.",
        "Put everything the container needs into the image or the model archive, and switch off telemetry, licence "
        "checks and downloads at run time.",
        _ISOLATION,
        "The container tried to reach nothing outside itself.",
    ),
    _seller(
        "TEST-MEMORY",
        "The container ran out of memory",
        "During {phase} the kernel killed a process for going past {limit_gib} GiB (peak {peak_mb} MiB).",
        "Choose an instance type with more memory in tests, or use less: smaller batches, fewer workers.",
        _SLIPWAY,
        "The {phase} run stayed within {limit_gib} GiB of memory (peak {peak_mb} MiB).",
    ),
    _seller(
        "TEST-DISK",
        "The container filled the disk",
        "It was stopped: {reason}.",
        "Write less: clean up temporary files and checkpoints, and keep only the model in /opt/ml/model.",
        _SLIPWAY,
    ),
    _seller(
        "TEST-PROCESSES",
        "The container started too many processes",
        "During {phase} it reached the limit of {limit} processes and threads, after which starting more fails.",
        "Bound the number of workers and threads; look for a process that starts itself again and again.",
        _SLIPWAY,
    ),
    _seller(
        "TEST-NO-PROGRAM",
        "The container cannot be started",
        "The engine could not execute the image with the argument {command}.",
        "Put an executable called {command} on the PATH, or use an ENTRYPOINT in exec form that accepts {command}. "
        "Check its #! line, its line ends and that it is built for linux/amd64.",
        _TRAINING,
    ),
    _seller(
        "TEST-SAMPLE-MISSING",
        "A sample file is not in the source",
        "slipway.yaml names {path}, but the source has no such file or directory.",
        "Add the file to the source, or correct the path below tests in slipway.yaml.",
        "slipway.yaml, tests",
    ),
    _seller(
        "TEST-SAMPLE-SIZE",
        "The samples are too large",
        "The sample files below tests are larger than {limit_mb} MiB together.",
        "Use a small part of the data as samples.",
        _SLIPWAY,
    ),
    _seller(
        "TEST-ARTIFACT",
        "The model archive cannot be unpacked",
        "The model.tar.gz was refused: {reason}.",
        "Pack the model's files with tar czf model.tar.gz -C <directory> . and without links that leave the directory.",
        "SageMaker developer guide, Deploy a model: model artifacts",
    ),
    _seller(
        "TEST-SIZE",
        "Not run at the instance type's full size",
        "This host runs less than {instance_type} has: {clamped}. What was seen of memory and speed "
        "proves nothing for it.",
        "Choose a smaller instance type in tests, or ask the operator for a larger test host.",
        _SLIPWAY,
        "Run at the size of {instance_type}.",
    ),
)

_PLATFORM = (
    _platform(
        "TEST-HOST-TOO-SMALL",
        "The test host is too small",
        "The container ran out of memory at {limit_gib} GiB, which is less than {instance_type} has.",
        "Choose a smaller instance type in tests, or let the operator raise SLIPWAY_TEST_MEMORY_MB on a larger host.",
    ),
    _platform(
        "TEST-INPUT-MODE",
        "This input mode cannot be tested",
        "The tested channels can be read by {mode}, but Slipway hands out training data as files (File, FastFile).",
        "Add File to SupportedInputModes of the channels if the program can read files; else test on SageMaker itself.",
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

PROBLEMS: tuple[Problem, ...] = _TRAINING_RUN + _SERVING_RUN + _BOTH_RUNS + _PLATFORM
