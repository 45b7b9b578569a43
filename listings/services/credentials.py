"""A team's credentials: secrets for code hosts and registries, each for one host. No verb gives a secret back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from listings import addresses, links, sshkeys
from listings.access import Permission, require
from listings.models import Credential, CredentialKind, ListingSource, Team, Version
from listings.problems import ProblemError
from listings.services import audit
from listings.states import RunState, VersionState

_NAME_LENGTH, _USERNAME_LENGTH, _SECRET_LENGTH = 80, 255, 8192
#: Code hosts take any user name with a token, but for this one: Bitbucket Cloud, "Using access tokens".
_USERNAMES = {"bitbucket.org": "x-token-auth", "api.bitbucket.org": "x-token-auth"}
_ANY_USERNAME = "oauth2"
_USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Use:
    """A place where a credential is chosen: what it is called, and its page."""

    label: str
    url: str


@transaction.atomic
def create(
    user: Any,
    team: Team,
    *,
    kind: CredentialKind,
    name: str,
    host: str,
    username: str = "",
    secret: str = "",
    known_hosts: str = "",
) -> Credential:
    """Keep a secret for ``host``. A deploy key without ``secret`` is made here; only its public part is ever shown.

    Raises ProblemError ADDRESS-HOST, ADDRESS-SECRET, or CREDENTIAL-NAME, -SECRET, -NO-SECRET, -USERNAME, -KEY and
    -KNOWN-HOSTS.
    """
    require(user, Permission.MANAGE, team)
    name = " ".join(name.split())
    if not name or len(name) > _NAME_LENGTH:
        raise ProblemError("CREDENTIAL-NAME", detail=f"It has no name, or one of more than {_NAME_LENGTH} characters")
    is_key = kind == CredentialKind.SSH_KEY
    site = addresses.parse_host(host, addresses.SSH if is_key else addresses.HTTPS)
    credential = Credential(team=team, kind=kind, name=name, host=site, created_by=user)
    if is_key:
        credential.known_hosts = sshkeys.read_known_hosts(known_hosts, site)
    else:
        credential.username = _username(kind, site, username)
    _give(credential, secret)
    try:
        with transaction.atomic():
            credential.save(force_insert=True)
    except IntegrityError:
        raise ProblemError("CREDENTIAL-NAME", detail=f"The team has a credential named {name} already") from None
    audit.record(user, "credential.create", name, team=team, url=links.credential(credential), **_public(credential))
    return credential


@transaction.atomic
def rotate(user: Any, credential: Credential, *, secret: str = "") -> None:
    """Put a new secret in the place of the old one; a deploy key without ``secret`` gets a new pair.

    What runs now may still use the old one. Raises ProblemError CREDENTIAL-SECRET, -NO-SECRET or -KEY.
    """
    require(user, Permission.MANAGE, credential.team)
    _give(credential, secret)
    credential.rotated_at = timezone.now()
    credential.save(update_fields=["sealed", "public_key", "rotated_at"])
    audit.record(
        user, "credential.rotate", credential.name, team=credential.team, url=links.credential(credential),
        **_public(credential),
    )  # fmt: skip


@transaction.atomic
def set_known_hosts(user: Any, credential: Credential, text: str) -> None:
    """Set the keys by which a host is known to ssh; with none, the next connection learns them.

    Raises ProblemError CREDENTIAL-KNOWN-HOSTS, or CREDENTIAL-KIND for what is no deploy key.
    """
    require(user, Permission.MANAGE, credential.team)
    require_kind(credential, CredentialKind.SSH_KEY)
    credential.known_hosts = sshkeys.read_known_hosts(text, credential.host)
    credential.save(update_fields=["known_hosts"])
    found = [key.fingerprint for key in sshkeys.host_keys(credential.known_hosts)]
    audit.record(
        user, "credential.known_hosts", credential.name, team=credential.team, url=links.credential(credential),
        host=credential.host, fingerprints=found,
    )  # fmt: skip


@transaction.atomic
def delete(user: Any, credential: Credential, *, although_used: bool = False) -> None:
    """Forget a secret. Raises ProblemError CREDENTIAL-IN-USE if something names it, unless ``although_used``."""
    require(user, Permission.MANAGE, credential.team)
    uses = uses_of(credential)
    if uses and not although_used:
        where = ", ".join(use.label for use in uses[:5]) + (f" and {len(uses) - 5} more" if len(uses) > 5 else "")
        raise ProblemError("CREDENTIAL-IN-USE", name=credential.name, where=where)
    audit.record(
        user, "credential.delete", credential.name, team=credential.team, was_used_by=[use.label for use in uses],
        **_public(credential),
    )  # fmt: skip
    credential.delete()


def uses_of(credential: Credential) -> list[Use]:
    """Where it is chosen: standing sources, drafts, and versions whose run goes on."""
    return uses_of_all([credential]).get(credential.pk, [])


def uses_of_all(credentials: Iterable[Credential]) -> dict[Any, list[Use]]:
    """The uses of each credential by its id, in two queries whatever their number."""
    ids = [credential.pk for credential in credentials]
    found: dict[Any, list[Use]] = {}
    sources = ListingSource.objects.filter(Q(credential__in=ids) | Q(status_credential__in=ids))
    for source in sources.select_related("listing__team").order_by("listing__name"):
        use = Use(f"the source of {source.listing}", links.source(source.listing))
        for pk in {source.credential_id, source.status_credential_id} & set(ids):
            found.setdefault(pk, []).append(use)
    unfinished = Q(state=VersionState.DRAFT) | Q(runs__state=RunState.ACTIVE)
    versions = Version.objects.filter(unfinished, credential__in=ids).select_related("listing__team").distinct()
    for version in versions.order_by("listing__name", "number_key"):
        found.setdefault(version.credential_id, []).append(Use(str(version), links.version(version)))
    return found


def require_kind(credential: Credential, *kinds: CredentialKind) -> None:
    """Raises ProblemError CREDENTIAL-KIND."""
    if credential.kind not in kinds:
        wanted = " or ".join(kind.label.lower() for kind in kinds)
        kind = CredentialKind(credential.kind).label.lower()
        raise ProblemError("CREDENTIAL-KIND", name=credential.name, kind=f"a {kind}", wanted=f"a {wanted}")


def require_host(credential: Credential, *sites: str) -> None:
    """Raises ProblemError CREDENTIAL-HOST unless the credential is for one of ``sites``."""
    if credential.host not in sites:
        raise ProblemError("CREDENTIAL-HOST", name=credential.name, host=credential.host, wanted=" or ".join(sites))


def note_use(credential: Credential) -> None:
    """A worker signed in with it just now."""
    now = timezone.now()
    rows = Credential.objects.filter(Q(used_at=None) | Q(used_at__lt=now - _USE_NOTED_EVERY), pk=credential.pk)
    rows.update(used_at=now)


@transaction.atomic
def learn_host_keys(credential: Credential, text: str) -> None:
    """Keep the keys that ssh noted of a host that nobody had given keys for; the next connection holds it to them.

    Lines about other hosts are left out. Does nothing if keys are known by now.
    """
    wanted = sshkeys.known_host_name(credential.host)
    lines = [line for line in text.splitlines() if wanted in line.partition(" ")[0].split(",")]
    found = sshkeys.read_known_hosts("\n".join(lines), credential.host)
    if found and Credential.objects.filter(pk=credential.pk, known_hosts="").update(known_hosts=found):
        audit.record(
            None, "credential.known_hosts", credential.name, team=credential.team, url=links.credential(credential),
            host=credential.host, fingerprints=[key.fingerprint for key in sshkeys.host_keys(found)],
        )  # fmt: skip


def _give(credential: Credential, secret: str) -> None:
    """Seal ``secret`` in the row, or a new pair of keys. Raises ProblemError without any part of it."""
    if credential.kind == CredentialKind.SSH_KEY:
        comment = f"slipway-{credential.team.slug}-{credential.name}"
        pair = sshkeys.read_private(secret, comment) if secret.strip() else sshkeys.generate(comment)
        secret, credential.public_key = pair.private, pair.public
    else:
        secret = secret.strip()
        label = CredentialKind(credential.kind).label.lower()
        if not secret:
            raise ProblemError("CREDENTIAL-NO-SECRET", detail=f"Without it the {label} says nothing")
        # Passwords may have spaces; no token has.
        bad = r"[\x00-\x1f\x7f]" if credential.kind == CredentialKind.REGISTRY else r"[\x00-\x20\x7f]"
        if len(secret) > _SECRET_LENGTH or re.search(bad, secret):
            raise ProblemError("CREDENTIAL-SECRET", detail=f"The {label} has a space or line end in it, or is too long")
    credential.seal(secret)


def _username(kind: CredentialKind, site: str, typed: str) -> str:
    typed = typed.strip()
    if len(typed) > _USERNAME_LENGTH or re.search(r"[\x00-\x1f\x7f:]", typed):
        raise ProblemError("CREDENTIAL-USERNAME", detail="It has a colon or a line break in it, or is too long")
    if not typed and kind == CredentialKind.REGISTRY:
        raise ProblemError("CREDENTIAL-USERNAME", detail="A registry asks for one")
    return typed or _USERNAMES.get(site, _ANY_USERNAME)


def _public(credential: Credential) -> dict[str, Any]:
    """What the journal may say of it."""
    said = {"kind": credential.kind, "host": credential.host}
    if credential.public_key:
        said["fingerprint"] = sshkeys.fingerprint(credential.public_key)
    return said
