"""Problems of the isolated inference run."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_HOSTING = "SageMaker developer guide, Use Your Own Inference Code with Hosting Services"
_SLIPWAY = "Slipway, docs/twin.md"


def _seller(
    code: str, title: str, cause: str, remedy: str, source: str, holds: str = "",
    action: NextAction = NextAction.FIX_AND_REBUILD,
) -> Problem:  # fmt: skip
    return Problem(code, Owner.SELLER, title, cause, remedy, action, source, holds)


PROBLEMS: tuple[Problem, ...] = (
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
