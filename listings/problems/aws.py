"""Problems of this area: aws. What a connection to AWS can answer, whichever step asked."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_CONNECTION = "AWS connection of the team"

PROBLEMS: tuple[Problem, ...] = (
    Problem(
        "AWS-NOT-CONNECTED", Owner.SELLER, "The team is not connected to AWS",
        "The team's AWS connection has no {missing}.",
        "A team owner fills in the AWS connection on the team's page, then this step can be tried again.",
        NextAction.RETRY_STEP, _CONNECTION,
    ),
    Problem(
        "AWS-ASSUME-ROLE", Owner.SELLER, "AWS did not let Slipway assume the team's role",
        "AWS refused to {action}: {message}",
        "Let the role's trust policy name Slipway's principal with the external ID shown on the team's page, "
        "and check that the role ARN and account are the right ones.",
        NextAction.RETRY_STEP, "AWS IAM user guide: access for third parties with an external ID",
    ),
    Problem(
        "AWS-ACCESS-DENIED", Owner.SELLER, "The team's role may not do this",
        "AWS refused {operation} while Slipway tried to {action}: {message}",
        "Add the named action to the policy of the role that Slipway assumes, then try the step again.",
        NextAction.RETRY_STEP, "AWS service authorization reference",
    ),
    Problem(
        "AWS-THROTTLED", Owner.AWS, "AWS asked to slow down",
        "AWS kept refusing {operation} for being called too often, while Slipway tried to {action}.",
        "Nothing needs to be changed. Try the step again in a few minutes.",
        NextAction.RETRY_STEP, "AWS service quotas",
    ),
    Problem(
        "AWS-EXPIRED-TOKEN", Owner.PLATFORM, "Temporary credentials ran out",
        "The credentials for the team's role were no longer valid while Slipway tried to {action}.",
        "Try the step again. If it happens again, the clock of the worker host is wrong.",
        NextAction.RETRY_STEP, "AWS STS: temporary credentials",
    ),
    Problem(
        "AWS-NO-CREDENTIALS", Owner.PLATFORM, "Slipway has no AWS credentials of its own",
        "Slipway could not {action}, because its own credentials are missing or were refused.",
        "An operator gives the workers an AWS identity (instance role or environment) that may assume team roles.",
        NextAction.CALL_OPERATOR, "Slipway's operator guide: AWS identity",
    ),
    Problem(
        "AWS-UNREACHABLE", Owner.AWS, "AWS could not be reached",
        "No answer came while Slipway tried to {action}: {message}",
        "Try the step again. If it stays so, an operator checks the worker's network and the AWS endpoint setting.",
        NextAction.RETRY_STEP, "Slipway's operator guide: AWS endpoint",
    ),
    Problem(
        "AWS-SERVICE-ERROR", Owner.AWS, "AWS failed with an error of its own",
        "{operation} ended with an error on AWS's side while Slipway tried to {action}: {message}",
        "Try the step again; the AWS Health Dashboard tells of known disruptions.",
        NextAction.RETRY_STEP, "AWS general reference: error retries",
    ),
    Problem(
        "AWS-LIMIT", Owner.SELLER, "A limit of the team's AWS account is reached",
        "AWS refused {operation} while Slipway tried to {action}: {message}",
        "Ask AWS to raise the named quota for the account, or remove what is no longer needed, then try again.",
        NextAction.RETRY_STEP, "AWS service quotas",
    ),
    Problem(
        "AWS-REFUSED", Owner.SELLER, "AWS refused the request",
        "AWS refused {operation} while Slipway tried to {action}: {message}",
        "AWS's message says what it objects to. Correct it in the specification or in the account and try again.",
        NextAction.RETRY_STEP, "AWS API reference of the operation",
    ),
    Problem(
        "AWS-REQUEST-INVALID", Owner.PLATFORM, "Slipway built a request that AWS does not know",
        "The request to {action} does not fit AWS's own description of it, and was not sent.",
        "This is a fault in Slipway. Report it with the evidence.",
        NextAction.CALL_OPERATOR, "botocore service model",
    ),
    Problem(
        "AWS-ACCOUNT-MISMATCH", Owner.SELLER, "The role belongs to another account",
        "The team says its account is {expected}, but the role it names belongs to {actual}.",
        "Correct the account number or the role ARN in the team's AWS connection.",
        NextAction.RETRY_STEP, _CONNECTION,
    ),
    Problem(
        "AWS-BUCKET-MISSING", Owner.SELLER, "The team's S3 bucket does not exist",
        "There is no bucket {bucket} that the team's role can see.",
        "Create the bucket in the team's Region, or correct its name in the team's AWS connection.",
        NextAction.RETRY_STEP, _CONNECTION,
    ),
    Problem(
        "AWS-BUCKET-REGION", Owner.SELLER, "The team's S3 bucket is in another Region",
        "The bucket {bucket} is in {actual}; image, artifacts and validation data must all be in {expected}.",
        "Name a bucket in {expected}, or change the team's Region.",
        NextAction.RETRY_STEP, "AWS Marketplace seller guide: creating SageMaker resources",
    ),
    Problem(
        "AWS-REPOSITORY-MUTABLE", Owner.SELLER, "The ECR repository lets tags be overwritten",
        "The repository {repository} exists and its tags are mutable, so what was tested could be replaced.",
        "Set the repository's tag immutability to IMMUTABLE, or change the team's repository prefix.",
        NextAction.RETRY_STEP, "Amazon ECR user guide: image tag mutability",
    ),
)
