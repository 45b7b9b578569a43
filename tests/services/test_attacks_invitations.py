"""Attacks by invitation: on a team by who was put out of it, and on an address by one that looks like it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from listings.models import AuditEvent, Membership, Role, Team
from listings.problems import ProblemError
from listings.services import invitations, teams

SECOND = "mallory+spare@example.com"


@pytest.fixture
def mallory(make_user: Any, team: Team) -> Any:
    """An owner beside the seller, with a second address of theirs."""
    user = make_user("mallory")
    user.emailaddress_set.create(email=SECOND, verified=True)
    teams.admit(team, user, Role.OWNER)
    return user


def _demote(seller: Any, membership: Membership) -> None:
    teams.change_role(seller, membership, Role.VIEWER)


@pytest.mark.parametrize("put_out", [_demote, teams.remove_member])
def test_who_is_no_owner_any_more_does_not_come_back_by_an_invitation_of_their_own(
    put_out: Callable[[Any, Membership], None], seller: Any, mallory: Any, team: Team
) -> None:
    door = invitations.invite(mallory, team, SECOND, Role.OWNER)
    others = invitations.invite(seller, team, "ines@example.com", Role.DEVELOPER)
    put_out(seller, Membership.objects.get(team=team, user=mallory))
    with pytest.raises(ProblemError) as caught:
        invitations.accept(mallory, invitations.token_of(door))
    assert caught.value.code == "INVITATION-REVOKED"
    assert not Membership.objects.filter(team=team, user=mallory, role=Role.OWNER).exists()
    assert AuditEvent.objects.filter(action="invitation.revoke", actor=seller).count() == 1
    others.refresh_from_db()
    assert others.is_open


@pytest.mark.parametrize("was", [Role.DEVELOPER, Role.OWNER])
@pytest.mark.parametrize("put_out", [_demote, teams.remove_member])
def test_an_open_invitation_to_an_address_of_theirs_does_not_bring_a_member_back(
    put_out: Callable[[Any, Membership], None], was: Role, seller: Any, mallory: Any, team: Team
) -> None:
    door = invitations.invite(seller, team, SECOND, Role.OWNER)
    membership = Membership.objects.get(team=team, user=mallory)
    membership.role = was
    membership.save()
    put_out(seller, membership)
    with pytest.raises(ProblemError) as caught:
        invitations.accept(mallory, invitations.token_of(door))
    assert caught.value.code == "INVITATION-REVOKED"


def test_who_rises_keeps_what_is_open(seller: Any, mallory: Any, team: Team) -> None:
    membership = Membership.objects.get(team=team, user=mallory)
    membership.role = Role.VIEWER
    membership.save()
    door = invitations.invite(seller, team, SECOND, Role.OWNER)
    teams.change_role(seller, membership, Role.RELEASER)
    door.refresh_from_db()
    assert door.is_open


def test_an_owner_who_stays_one_keeps_their_invitations(seller: Any, mallory: Any, team: Team) -> None:
    door = invitations.invite(mallory, team, "ines@example.com", Role.DEVELOPER)
    teams.change_role(seller, Membership.objects.get(team=team, user=mallory), Role.OWNER)
    door.refresh_from_db()
    assert door.is_open


@pytest.mark.parametrize("alike", ["ınes@example.com", "ines@examplé.com", "ineſ@example.com"])
def test_an_address_that_looks_alike_is_another_one(alike: str, seller: Any, mallory: Any, team: Team) -> None:
    """PostgreSQL's upper case of ı and ſ is that of i and s."""
    mallory.emailaddress_set.create(email=alike, verified=True)
    door = invitations.invite(seller, team, "ines@example.com", Role.OWNER)
    with pytest.raises(ProblemError) as caught:
        invitations.accept(mallory, invitations.token_of(door))
    assert caught.value.code == "INVITATION-OTHER-ADDRESS"
