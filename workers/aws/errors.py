"""What AWS answers, turned into catalogued problems: one place decides whose move it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from listings.problems import ProblemError
from listings.reports import Evidence

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden"})
THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "SlowDown",
        "RequestThrottled",
    }
)
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
BAD_KEYS = frozenset(
    {
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
    }
)
LIMIT = frozenset(
    {
        "ResourceLimitExceeded",
        "LimitExceededException",
        "ServiceQuotaExceededException",
        "TooManyTagsException",
    }
)


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", "")) or str(error)


def evidence_of(error: ClientError) -> Evidence:
    """AWS's own words, with the request id that its support asks for."""
    request_id = error.response.get("ResponseMetadata", {}).get("RequestId", "")
    tail = f" (request {request_id})" if request_id else ""
    return Evidence(text=f"{code_of(error)}: {message_of(error)}{tail}", label=error.operation_name)


def _client_problem(error: ClientError, action: str) -> ProblemError:
    code = code_of(error)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
    if code in DENIED:
        problem = "AWS-ASSUME-ROLE" if error.operation_name == "AssumeRole" else "AWS-ACCESS-DENIED"
    elif code in THROTTLED or status == 429:
        problem = "AWS-THROTTLED"
    elif code in EXPIRED:
        problem = "AWS-EXPIRED-TOKEN"
    elif code in BAD_KEYS:
        problem = "AWS-NO-CREDENTIALS"
    elif code in LIMIT:
        problem = "AWS-LIMIT"
    elif status >= 500:
        problem = "AWS-SERVICE-ERROR"
    else:
        problem = "AWS-REFUSED"
    return ProblemError(
        problem,
        evidence=(evidence_of(error),),
        action=action,
        operation=error.operation_name,
        message=message_of(error),
        error=code,
    )


@contextmanager
def aws_errors(action: str) -> Iterator[None]:
    """Turn every botocore failure inside the block into a ProblemError.

    ``action`` completes the sentence "while Slipway tried to ...". Code that wants to handle a
    certain ClientError itself catches it inside the block.
    """
    try:
        yield
    except ClientError as error:
        raise _client_problem(error, action) from error
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
        raise ProblemError("AWS-NO-CREDENTIALS", evidence=(Evidence(str(error)),), action=action) from error
    except ParamValidationError as error:
        raise ProblemError("AWS-REQUEST-INVALID", evidence=(Evidence(str(error)),), action=action) from error
    except BotoCoreError as error:
        raise ProblemError(
            "AWS-UNREACHABLE", evidence=(Evidence(str(error)),), action=action, message=str(error)
        ) from error
