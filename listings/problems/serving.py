"""Problems of the isolated inference run."""

from __future__ import annotations

from listings.problems.base import Problem, fix_and_rebuild

_HOSTING = "SageMaker developer guide, Use Your Own Inference Code with Hosting Services"
_BATCH = "SageMaker developer guide, Use Your Own Inference Code with Batch Transform"
_API = "SageMaker runtime API, InvokeEndpoint; AWS Marketplace seller guide, requirements and restrictions"
_ISOLATION = "SageMaker developer guide, Training and inference containers run in internet-free mode"
_PIPELINE = "SageMaker developer guide, Run real-time predictions with an inference pipeline"
_SLIPWAY = "Slipway, docs/twin.md"


_START = (
    fix_and_rebuild(
        "TEST-SERVE-EXITED",
        "The server ended by itself",
        "The container started with the argument serve ended after {seconds} seconds with exit code {exit_code}: "
        "{meaning}.",
        "Keep the server in the foreground, and fix the error that the last lines of the log show.",
        _HOSTING,
    ),
    fix_and_rebuild(
        "TEST-SERVE-PING",
        "The server never answered /ping",
        "GET /ping on port 8080 was not answered with status 200 within {limit} seconds of the start. "
        "The last answer: {answer}.",
        "Listen on 0.0.0.0:8080 and answer GET /ping with status 200 as soon as the model is loaded.",
        _HOSTING,
    ),
    fix_and_rebuild(
        "TEST-SERVE-START",
        "The server starts slowly",
        "The first good answer to /ping came after {seconds} seconds. SageMaker gives up after 480; its limit was "
        "{usual} until 2023, and a smaller instance is slower.",
        "Load the model faster: a smaller file, lazy imports, no compilation at start.",
        _HOSTING,
        "/ping was answered {seconds} seconds after the start.",
    ),
    fix_and_rebuild(
        "TEST-SERVE-LOOPBACK",
        "The server listens on itself only",
        "Port {port} is bound to {address}, so SageMaker, which calls from outside the container, cannot reach it.",
        "Bind the server to 0.0.0.0 instead of 127.0.0.1 or localhost.",
        _HOSTING,
        "Port {port} is open on every interface ({address}).",
    ),
    fix_and_rebuild(
        "TEST-PIPELINE-START",
        "A container of the pipeline never answered /ping",
        "Container {name} did not answer GET /ping with status 200 within {limit} seconds on port {port}, which "
        "SAGEMAKER_BIND_TO_PORT gave it. The last answer: {answer}.",
        "Listen on the port that the variable SAGEMAKER_BIND_TO_PORT names, and on 8080 only where it is not set.",
        _PIPELINE,
        "All {count} containers of the pipeline answer on the ports that they were given.",
    ),
    fix_and_rebuild(
        "TEST-SERVE-READY",
        "/ping answers before the model is loaded",
        "GET /ping was answered with 200, but the server was not ready: {reason}. SageMaker sends requests from the "
        "first good ping on.",
        "Answer /ping with 200 only once the model is loaded, or load it before port 8080 is opened.",
        _HOSTING,
        "When /ping was first answered, the model was loaded: {reason}.",
    ),
    fix_and_rebuild(
        "TEST-SERVE-ACCEPT",
        "Connections are accepted late",
        "{reason}. SageMaker wants each accepted within that time.",
        "Accept connections in a thread or process that does no inference, and raise the server's backlog.",
        _HOSTING,
        "Connections are accepted within {limit_ms} ms.",
    ),
    fix_and_rebuild(
        "TEST-PING-SLOW",
        "/ping does more than answer",
        "GET /ping takes long although nothing else is asked: {reason}. It may run the model.",
        "Answer a constant from /ping; whether the model is loaded is a variable, not a prediction.",
        _HOSTING,
        "An idle server answers /ping at once ({ms} ms).",
    ),
    fix_and_rebuild(
        "TEST-PING-LOAD",
        "/ping is not answered in time",
        "SageMaker wants each GET /ping answered with 200 within 2 seconds: {reason}. An instance that does not is "
        "taken out of service.",
        "Answer /ping from a thread or worker of its own, so that it does not wait behind requests: more workers or "
        "threads, or an asynchronous server.",
        _HOSTING,
        "While parallel clients sent requests, {pings} pings were answered, the slowest in {ms} ms.",
    ),
)

_ANSWERS = (
    fix_and_rebuild(
        "TEST-REQUEST",
        "A request sample was not answered as expected",
        "Sample {name}: {reason}.",
        "Compare the answer below with the expected file. If the model has rightly changed, update the expected file "
        "or the tolerance in tests.inference.requests.",
        _HOSTING,
        "Sample {name} was answered as expected: status {status} in {ms} ms.",
    ),
    fix_and_rebuild(
        "TEST-REQUEST-TIME",
        "A request sample takes too long",
        "Sample {name} had no whole answer after {limit} seconds, when SageMaker gives up.",
        "Answer faster: a smaller model, fewer steps, a smaller sample, or a larger instance type. What cannot be "
        "faster fits a batch transform job only, whose limit can be raised.",
        _HOSTING,
    ),
    fix_and_rebuild(
        "TEST-SCHEMA",
        "The JSON Schema of a sample cannot be used",
        "{path}, which sample {name} expects its answer to satisfy: {reason}.",
        "Correct the schema. It may refer to itself only, and nothing is fetched.",
        _SLIPWAY,
    ),
    fix_and_rebuild(
        "TEST-PAYLOAD",
        "A request sample is very large",
        "The body of sample {name} has {size} bytes; the limit is {limit}.",
        "Use a smaller sample. Real-time endpoints take 6 MiB by the API and at most 25 MB by the seller guide.",
        "AWS Marketplace seller guide, Machine learning products: requirements and restrictions",
    ),
    fix_and_rebuild(
        "TEST-CONTENT-TYPE",
        "An unknown content type is not refused",
        "A request of type {content_type}, which no specification declares, was answered: {answer}. "
        "Buyers who send the wrong type get no usable message.",
        "Answer 415 (or another 4xx) with a short text where the Content-Type is not one you support.",
        _HOSTING,
        "A request of an unknown content type is refused ({answer}) and the server lives on.",
    ),
    fix_and_rebuild(
        "TEST-INPUT-TYPE",
        "A declared content type is not tested",
        "Nothing is known of requests of type {content_type}: {reason}.",
        "Add a request sample of this type to tests.inference.requests, or take it out of SupportedContentTypes.",
        _SLIPWAY,
        "Requests of type {content_type} are answered.",
    ),
    fix_and_rebuild(
        "TEST-CHARSET",
        "A charset behind the content type is not understood",
        "The same request was answered with success as {usual}, but as {content_type}: {reason}. Many clients add a "
        "charset of their own.",
        "Compare the type without its parameters: what stands before the first semicolon, in lower case.",
        _HOSTING,
        "A request of type {content_type} is answered like one of {usual}.",
    ),
    fix_and_rebuild(
        "TEST-ACCEPT",
        "An answer has no declared type",
        "With Accept: {accept}, {reason}. SupportedResponseMIMETypes promises the declared types.",
        "Set Content-Type to the type that the answer has, answer each declared type, and correct "
        "SupportedResponseMIMETypes.",
        _HOSTING,
        "With Accept: {accept} the answer is {content_type}.",
    ),
    fix_and_rebuild(
        "TEST-HEADERS",
        "A caller's own headers break a request",
        "With X-Amzn-SageMaker-Custom-Attributes and an inference id, a request that had status {usual} was answered: "
        "{reason}. SageMaker hands these headers on.",
        "Ignore headers that you do not know.",
        _API,
        "The headers that SageMaker hands on from a caller change nothing.",
    ),
    fix_and_rebuild(
        "TEST-BAD-BODY",
        "A broken body is not refused",
        "Bodies that are broken want a 4xx and a server that lives on, but: {reason}.",
        "Catch what goes wrong while the body is read, and answer 400 with a short text.",
        _HOSTING,
        "Broken bodies are refused or answered, and the server lives on.",
    ),
    fix_and_rebuild(
        "TEST-EMPTY-BODY",
        "An empty body is not refused",
        "A request with an empty body wants a 4xx or an answer, but: {reason}.",
        "Check the body's length first, and answer 400 with a short text.",
        _HOSTING,
        "An empty body is answered ({reason}), and the server lives on.",
    ),
    fix_and_rebuild(
        "TEST-LARGE-BODY",
        "A large body is not answered",
        "SageMaker sends requests and mini-batches of up to 6 MiB, or what the container asks for: {reason}.",
        "Raise the limit of the server in front of the model (nginx: client_max_body_size), or say in "
        "/execution-parameters with MaxPayloadInMB how much it takes, and in the listing's limitations.",
        _API,
        "A body of {size} bytes is answered in {ms} ms.",
    ),
)

_LOAD = (
    fix_and_rebuild(
        "TEST-LOAD",
        "Requests of parallel clients fail",
        "A request that succeeds alone did not always succeed from several clients at once: {reason}.",
        "Look for state that requests share, for a limit of connections, and for workers that time out or run out of "
        "memory.",
        _HOSTING,
        "{clients} parallel clients: {requests} requests, {throughput} a second; p50 {p50_ms} ms, p90 {p90_ms} ms, "
        "p99 {p99_ms} ms.",
    ),
    fix_and_rebuild(
        "TEST-MEMORY-GROWTH",
        "Memory grows with the requests",
        "Over {requests} requests the container's memory grew by {grown_mb} MiB, from {first_mb} to {last_mb} MiB. An "
        "endpoint runs for weeks.",
        "Free what a request made: look for lists and caches without a limit, and for graphs that grow.",
        _SLIPWAY,
        "Over {requests} requests memory grew by {grown_mb} MiB, and did not go on growing.",
    ),
    fix_and_rebuild(
        "TEST-WORKER-TIMEOUT",
        "The server killed its own worker",
        "The log says so: {line}. The request it worked on was lost.",
        "Raise the server's own time limit above SageMaker's 60 seconds (gunicorn: --timeout 65), and start no more "
        "workers than memory has room for.",
        _HOSTING,
        "No worker of the server timed out.",
    ),
    fix_and_rebuild(
        "TEST-SERVE-STOP",
        "The server ignores SIGTERM",
        "{limit} seconds after SIGTERM the container was still running and had to be killed.",
        "Handle SIGTERM, and use the exec form of ENTRYPOINT so that the signal reaches the server and not a shell.",
        _HOSTING,
        "The server ended {seconds} seconds after SIGTERM.",
    ),
)

_BATCH_RUN = (
    fix_and_rebuild(
        "TEST-EXECUTION-PARAMETERS",
        "The execution parameters cannot be used",
        "GET /execution-parameters was answered, but: {reason}.",
        "Answer a JSON object with MaxConcurrentTransforms, BatchStrategy (MULTI_RECORD or SINGLE_RECORD) and "
        "MaxPayloadInMB, at most 100 MB in flight; or answer 404.",
        _BATCH,
        "GET /execution-parameters says {says}.",
    ),
    fix_and_rebuild(
        "TEST-BATCH-START",
        "The server does not start in batch mode",
        "With the environment of a batch transform job (SAGEMAKER_BATCH=true and others): {reason}.",
        "Answer /ping in batch mode, too. Look at what the program does with the variables that begin with SAGEMAKER_.",
        _BATCH,
        "In batch mode /ping was answered {seconds} seconds after the start.",
    ),
    fix_and_rebuild(
        "TEST-BATCH-RECORDS",
        "Requests of a batch are not answered",
        "A batch transform job sends a whole file or, where a buyer has it split at line ends, one record a request or "
        "as many as fit: {reason}.",
        "Answer the whole sample: the job that validates the product sends it. Answer one record as well as many, also "
        "without a header line, and skip a header that comes as a record. What cannot be split belongs into the usage "
        "instructions.",
        _BATCH,
        "Whole files are answered and, where they are lines, single and joined records ({count} requests).",
    ),
)

_SIGNS = (
    fix_and_rebuild(
        "TEST-MODEL-WRITE",
        "The server writes to the model directory",
        "/opt/ml/model is read-only while serving, and the log of {phase} says: {line}",
        "Write to /tmp instead, caches and compiled files included: set the variables that name their directories, "
        "such as HF_HOME, MPLCONFIGDIR, NUMBA_CACHE_DIR or TRITON_CACHE_DIR.",
        _HOSTING,
        "Nothing in the log speaks of a write to the read-only model directory.",
    ),
    fix_and_rebuild(
        "TEST-PRIVILEGES",
        "The server wants rights that it does not get",
        "Neither SageMaker nor this test gives a container more rights, FUSE or more shared memory; the log of "
        "{phase} says: {line}",
        "Do without mounts and privileged calls. For shared memory use files in /tmp, or fewer worker processes of a "
        "data loader.",
        _ISOLATION,
        "Nothing in the log speaks of missing rights or shared memory.",
    ),
)

PROBLEMS: tuple[Problem, ...] = _START + _ANSWERS + _LOAD + _BATCH_RUN + _SIGNS
