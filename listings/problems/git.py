"""Problems of this area: fetching a source from Git."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_FIX, _RETRY, _CALL = NextAction.FIX_INPUT, NextAction.RETRY_STEP, NextAction.CALL_OPERATOR
_GUIDE = "Slipway, docs/operations.md, section Sources from Git"


def _seller(code: str, title: str, cause: str, remedy: str, action: NextAction = _RETRY, source: str = "") -> Problem:
    return Problem(f"GIT-{code}", Owner.SELLER, title, cause, remedy, action, source)


def _platform(code: str, title: str, cause: str, remedy: str, action: NextAction) -> Problem:
    return Problem(f"GIT-{code}", Owner.PLATFORM, title, cause, remedy, action, _GUIDE)


PROBLEMS: tuple[Problem, ...] = (
    _seller("UNREACHABLE", "The code host does not answer", "{host} could not be reached: {reason}.",
            "Check the address and that the host is up; then retry this step."),
    _seller("TLS", "The code host's certificate is not accepted", "The connection to {host} is not trusted: {reason}.",
            "Renew the certificate, or have the operator trust its authority (SSL_CERT_FILE of the worker); then retry "
            "this step."),
    _seller("AUTH-REFUSED", "The code host refuses the sign-in",
            "{host} does not show {url} {who}. Code hosts answer the same for a repository that does not exist.",
            "Check the address; choose a credential that may read the repository, or rotate one that ran out; for a "
            "deploy key, add its public half to the repository. Then retry this step."),
    _seller("NOT-REPOSITORY", "There is no Git repository at that address", "Nothing at {url} answers as Git does.",
            "Copy the clone address from the code host; then make a version with it.", _FIX),
    _seller("EMPTY", "The repository is empty", "{url} has no branch and no tag.",
            "Push a commit; then retry this step.", source="git-ls-remote(1)"),
    _seller("REF-UNKNOWN", "There is no such branch or tag", "{url} has no branch or tag “{ref}”.",
            "Push it and retry this step, or make a version with one that exists. A commit is named by its full id.",
            source="git-ls-remote(1)"),
    _seller("COMMIT-GONE", "The commit is gone", "{url} no longer has the commit {commit}{pinned}.",
            "Push that commit again (a branch or tag must lead to it) and retry this step, or make a new version."),
    _seller("HOST-KEY", "The code host shows another key than before",
            "The key of {host} is not among those that the credential knows, so nothing was sent to it.",
            "Compare the host's key with what it publishes. If it was renewed, put the new one into the credential's "
            "known hosts; then retry this step.", source="ssh(1), VERIFYING HOST KEYS"),
    _seller("SUBMODULE", "A submodule cannot be fetched", "The submodule “{path}” {detail}.",
            "Correct .gitmodules, or take the submodule out.", _FIX, "gitmodules(5)"),
    _seller("SUBMODULE-ADDRESS", "A submodule has an address that is not fetched",
            "The submodule “{path}” is at {url}: {detail}.",
            "Give it an https:// or ssh:// address, or one relative to the repository (../name.git), in .gitmodules.",
            _FIX, "gitmodules(5)"),
    _seller("DIRECTORY-MISSING", "The directory is not in the repository",
            "At commit {commit} there is no directory “{directory}”.",
            "Correct the directory in a new version, or leave it empty for the root. Names are case-sensitive.", _FIX),
    _seller("LFS-MISSING", "A file of Git LFS cannot be fetched", "“{path}” is kept in Git LFS, and {detail}.",
            "Push the objects with: git lfs push --all origin; then retry this step.", source="git-lfs, API, Batch"),
    _seller("LFS-DAMAGED", "A file of Git LFS is not what its pointer says",
            "“{path}” should have {size} bytes with SHA-256 {oid}; {host} sent something else.",
            "Push the objects again with: git lfs push --all origin; then retry this step.",
            source="git-lfs, specification of the pointer"),
    _seller("FAILED", "Git could not fetch the source", "git ended with: {reason}.",
            "Read git's lines in the log; the same command fails from outside, too. Then retry this step."),
    _platform("PROGRAM-MISSING", "The worker has no {program}", "The program {program} is not installed on {host}.",
              "The operator installs it; then retry this step.", _CALL),
    _platform("DISK-FULL", "The worker's disk is full", "There was no room left for the source.",
              "The operator makes room in SLIPWAY_DATA_DIR; then retry this step.", _RETRY),
)  # fmt: skip
