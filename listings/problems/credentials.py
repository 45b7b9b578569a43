"""Problems of this area: the addresses of sources, the credentials for them, a listing's standing source."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_S, _FIX = Owner.SELLER, NextAction.FIX_INPUT
_DOC = "Slipway, docs/sources.md"


def _problem(code: str, title: str, cause: str, remedy: str, source: str = _DOC) -> Problem:
    return Problem(code, _S, title, cause, remedy, _FIX, source)


PROBLEMS: tuple[Problem, ...] = (
    _problem("ADDRESS-GIT", "That is not the address of a Git repository", "It cannot be used: {detail}.",
             "Copy the clone address from your code host: https://host/path.git, ssh://git@host/path.git or "
             "git@host:path.git."),
    _problem("ADDRESS-SCHEME", "Only https and ssh are spoken", "The address starts with {scheme}.",
             "Use the repository's https:// or ssh:// address."),
    _problem("ADDRESS-SECRET", "The address holds a user name or a password",
             "An address is shown on pages and in logs, so no part of a sign-in may stand in it.",
             "Take it out of the address and make a credential for the host; if it was real, renew it at the host."),
    _problem("ADDRESS-HTTP", "http:// sends everything in the open", "{host} is not among the hosts that an operator "
             "allows it for.", "Use https://, or ask the operator to list the host under SLIPWAY_SOURCE_ALLOW_HOSTS."),
    _problem("ADDRESS-HOST", "That is not a host", "It cannot be used: {detail}.",
             "Write the host's name, with its port where it is not the usual one: git.example.com or "
             "registry.example.com:5000."),
    _problem("ADDRESS-REF", "That is not a branch, tag or commit", "“{ref}” cannot be the name of a Git ref.",
             "Write a branch, a tag, or a full commit id.", "git-check-ref-format(1)"),
    _problem("ADDRESS-DIRECTORY", "That directory cannot be used",
             "“{directory}” is absolute, leads out of the source, or is Git's own.",
             "Write the path from the root of the source, such as models/churn."),
    _problem("ADDRESS-IMAGE", "That is not the name of an image", "It cannot be used: {detail}.",
             "Write registry/repository:tag, or registry/repository@sha256:… for one that never changes.",
             "The distribution project, grammar of references"),
    _problem("CREDENTIAL-NAME", "The credential needs a name of its own", "{detail}.",
             "Choose a name that no other credential of the team has."),
    _problem("CREDENTIAL-NO-SECRET", "The secret is missing", "{detail}.", "Enter it."),
    _problem("CREDENTIAL-SECRET", "The secret cannot be used", "{detail}.",
             "Copy it again, as one line and without spaces."),
    _problem("CREDENTIAL-USERNAME", "The user name cannot be used", "{detail}.",
             "Enter the user name that goes with the token or password."),
    _problem("CREDENTIAL-KEY", "That is not a private key that can be used", "{detail}.",
             "Paste an OpenSSH private key without a passphrase (Ed25519, ECDSA, or RSA of 2048 bits or more), or let "
             "Slipway make one."),
    _problem("CREDENTIAL-KNOWN-HOSTS", "Those are not host keys", "{detail}.",
             "Paste lines as “ssh-keyscan {host}” prints them, after comparing them with what the host publishes."),
    _problem("CREDENTIAL-KIND", "The credential is for something else", "{name} is {kind}; this needs {wanted}.",
             "Choose another credential, or make one of that kind."),
    _problem("CREDENTIAL-HOST", "The credential is for another host",
             "{name} is for {host}; the address is at {wanted}, and a secret is sent to its own host only.",
             "Choose a credential for {wanted}, or make one."),
    _problem("CREDENTIAL-IN-USE", "The credential is in use", "{name} is used by {where}.",
             "Choose another credential there first; or remove it all the same, by confirming it."),
    _problem("SOURCE-NO-BUNDLE", "The companion bundle is missing",
             "An image says nothing about samples and specification.",
             "Upload the bundle: an archive with slipway.yaml and the sample files."),
    _problem("SOURCE-NOT-SET", "The listing has no standing source", "{listing} has none to remove.",
             "Load the page again."),
    _problem("STATUS-GIT-ONLY", "There is no commit to report on", "The standing source is an image.",
             "Choose a Git repository, or do not report."),
    _problem("STATUS-CREDENTIAL", "Reporting needs an access token",
             "A code host takes commit statuses from those who sign in.",
             "Choose an access token for the code host that may write commit statuses."),
    _problem("STATUS-ADDRESS", "The address of the code host's API is missing or wrong",
             "It is needed where the API is not at its usual place, and starts with https://.",
             "Enter it, such as https://git.example.com/api/v4, or leave it empty for github.com, gitlab.com and "
             "bitbucket.org."),
)  # fmt: skip
