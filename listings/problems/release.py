"""Problems of this area: release. Registering a resource with SageMaker, and putting it on the Marketplace."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_CREATING = "AWS Marketplace seller guide: creating SageMaker resources"
_CATALOG = "AWS Marketplace Catalog API: adding a version to a machine learning product"

PROBLEMS: tuple[Problem, ...] = (
    Problem(
        "REGISTER-NAME-TAKEN", Owner.SELLER, "Another resource has this name",
        "SageMaker already has {resource} {name} in the account, and it is not the one that this release asks for: "
        "{difference}.",
        "Delete or keep the other resource as you see fit; to register beside it, submit a new version number.",
        NextAction.RETRY_STEP, _CREATING,
    ),
    Problem(
        "REGISTER-REFUSED", Owner.SELLER, "AWS's validation failed",
        "SageMaker created {name} and its own validation ended in Failed: {reason}",
        "The evidence holds AWS's reasons. Correct the container or the specification in a new version; "
        "if the cause lay in the account (a role, a bucket, a quota), correct that and resume this release.",
        NextAction.FIX_AND_REBUILD, _CREATING,
    ),
    Problem(
        "REGISTER-AWS-FAILED", Owner.AWS, "AWS could not finish its validation",
        "SageMaker stopped validating {name} for a reason on its own side: {reason}",
        "Resume the release: Slipway removes the failed resource and asks again.",
        NextAction.RETRY_STEP, _CREATING,
    ),
    Problem(
        "REGISTER-NOT-CREATED", Owner.SELLER, "SageMaker refused to create the resource",
        "{operation} was refused: {message}",
        "AWS's message names the field. Correct the specification in a new version, or what it names in the account.",
        NextAction.FIX_AND_REBUILD, "Amazon SageMaker API reference",
    ),
    Problem(
        "REGISTER-GONE", Owner.AWS, "The resource disappeared while it was being validated",
        "SageMaker no longer knows {name}, which Slipway created in this attempt; someone may have deleted it.",
        "Resume the release: Slipway creates the resource again.",
        NextAction.RETRY_STEP, _CREATING,
    ),
    Problem(
        "REGISTER-FACTS-MISSING", Owner.PLATFORM, "The run's results are incomplete",
        "Registering needs {missing} from the run, and the run does not hold it.",
        "Run the version again. If it happens again, report it.",
        NextAction.CALL_OPERATOR, "Slipway's architecture: what steps hand on",
    ),
    Problem(
        "CHANGESET-INCOMPLETE", Owner.SELLER, "The listing is not complete enough to publish",
        "The Marketplace requires these fields, and they are empty or malformed: {missing}.",
        "Fill them in under `listing:` in slipway.yaml (or on the version's form) and submit a new version.",
        NextAction.FIX_AND_REBUILD, _CATALOG,
    ),
    Problem(
        "CHANGESET-FIELD-MISSING", Owner.SELLER, "A required listing field is empty",
        "The Marketplace requires {field}, and {spec_field} gives nothing for it.",
        "Fill in {spec_field} and submit a new version.",
        NextAction.FIX_AND_REBUILD, _CATALOG,
    ),
    Problem(
        "CHANGESET-FIELD-INVALID", Owner.SELLER, "A listing field would be refused",
        "The Marketplace would refuse {field} (from {spec_field}): {detail}.",
        "Correct {spec_field} and submit a new version.",
        NextAction.FIX_AND_REBUILD, _CATALOG,
    ),
    Problem(
        "CHANGESET-INVALID", Owner.SELLER, "The Marketplace found faults in the change set",
        "The Marketplace was asked to check the change set without applying it, and refused it: {reason}",
        "The evidence lists each fault with the Marketplace's own code. "
        "Correct the listing's fields and submit a new version.",
        NextAction.FIX_AND_REBUILD, _CATALOG,
        holds="The Marketplace checked the change set without applying it and found no fault.",
    ),
    Problem(
        "PUBLISH-REFUSED", Owner.SELLER, "The Marketplace refused to publish",
        "The change set {change_set_id} ended in {status}: {reason}",
        "The evidence lists each fault with the Marketplace's own code. The resource stays registered: "
        "correct what is named and press Publish again, or submit a new version.",
        NextAction.RETRY_STEP, _CATALOG,
    ),
    Problem(
        "PUBLISH-AWS-FAILED", Owner.AWS, "The Marketplace failed on its own side",
        "The change set {change_set_id} ended in Failed with a fault of the Marketplace: {reason}",
        "Press Publish again; nothing needs to be changed.",
        NextAction.RETRY_STEP, _CATALOG,
    ),
    Problem(
        "PUBLISH-BUSY", Owner.AWS, "Another change to the product is running",
        "The Marketplace works on one change set per product at a time, and another one is running: {message}",
        "Wait until it has ended (the Management Portal's Requests page shows it), then press Publish again.",
        NextAction.RETRY_STEP, _CATALOG,
    ),
    Problem(
        "PUBLISH-NOTHING-SHOWN", Owner.PLATFORM, "There is no change set to publish",
        "Publish sends exactly the change set that was shown, and this release holds none.",
        "Resume registration so that the change set is built again.",
        NextAction.CALL_OPERATOR, "Slipway's architecture: publish",
    ),
    Problem(
        "CHANGESET-NOT-CHECKED", Owner.AWS, "The change set was not checked beforehand",
        "The Marketplace would not check the change set without applying it: {reason}",
        "Nothing needs to be changed: the Marketplace checks the change set when Publish is pressed.",
        NextAction.RETRY_STEP, _CATALOG,
    ),
    Problem(
        "REGISTER-IMAGE-SCAN", Owner.SELLER, "AWS's image scan",
        "SageMaker's scan of {name} ended in {status}. {reason}",
        "Update the packages that AWS names and submit a new version.",
        NextAction.FIX_AND_REBUILD, _CREATING,
        holds="SageMaker's own scan of {name} completed.",
    ),
    Problem(
        "REGISTER-VALIDATION", Owner.SELLER, "AWS's validation run",
        "SageMaker's validation {name} ended in {status}. {reason}",
        "Compare with the isolated test of this version; correct the container and submit a new version.",
        NextAction.FIX_AND_REBUILD, _CREATING,
        holds="SageMaker's own validation {name} completed.",
    ),
)
