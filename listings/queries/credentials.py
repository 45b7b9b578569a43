"""A team's credentials and one of them. Nothing here opens a secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from listings import sshkeys
from listings.access import Permission, can
from listings.models import AuditEvent, Credential, CredentialKind, Team
from listings.services import credentials as service

_EVENTS = 20


@dataclass(frozen=True, slots=True)
class CredentialRow:
    credential: Credential
    uses: list[service.Use]


def credentials_page(user: Any, team: Team) -> dict[str, Any]:
    rows = list(Credential.objects.filter(team=team).select_related("created_by", "team"))
    uses = service.uses_of_all(rows)
    return {
        "team": team,
        "rows": [CredentialRow(row, uses.get(row.pk, [])) for row in rows],
        "kinds": CredentialKind,
        "may_manage": can(user, Permission.MANAGE, team),
    }


def credential_page(user: Any, credential: Credential) -> dict[str, Any]:
    return {
        "team": credential.team,
        "credential": credential,
        "uses": service.uses_of(credential),
        "is_key": credential.kind == CredentialKind.SSH_KEY,
        "fingerprint": sshkeys.fingerprint(credential.public_key) if credential.public_key else "",
        "host_keys": sshkeys.host_keys(credential.known_hosts),
        "may_manage": can(user, Permission.MANAGE, credential.team),
        "events": AuditEvent.objects.filter(
            team_id=credential.team_id, action__startswith="credential.", subject=credential.name
        )[:_EVENTS],
    }
