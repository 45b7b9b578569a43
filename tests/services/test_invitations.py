"""Invitations and members: who may join by which link, once; and that a team keeps an owner, whoever leaves at once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail, signing
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from listings.models import AuditEvent, Invitation, Kind, Listing, Membership, Notice, Role, Team
from listings.problems import ProblemError
from listings.services import invitations, listings, teams

pytestmark = pytest.mark.django_db(transaction=True)
EMAIL = "ines@example.com"


@pytest.fixture
def ines(make_user: Any) -> Any:
    return make_user("ines")


def invite(seller: Any, team: Team, email: str = EMAIL, role: Role = Role.DEVELOPER) -> Invitation:
    return invitations.invite(seller, team, email, role)


def at_once(*acts: Callable[[], object]) -> list[str]:
    """Run all at the same moment, each in a thread; what each ended with: its result's type or its problem's code."""
    barrier, ends = threading.Barrier(len(acts)), ["" for _ in acts]

    def run(index: int, act: Callable[[], object]) -> None:
        barrier.wait(30)
        try:
            ends[index] = type(act()).__name__
        except ProblemError as error:
            ends[index] = error.code
        except Exception as error:
            ends[index] = repr(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return sorted(ends)


def test_an_invitation_is_mailed_and_accepted_by_its_address(seller: Any, team: Team, ines: Any) -> None:
    made = invite(seller, team, "  Ines@Example.com ")
    [message] = mail.outbox
    assert message.to == [EMAIL]
    assert invitations.link_to(made) in message.body
    assert "Sally invites you to the team Acme Vision on Slipway, as developer." in message.body
    made.refresh_from_db()
    assert made.mailed_at
    membership = invitations.accept(ines, invitations.token_of(made))
    assert (membership.user, membership.role) == (ines, Role.DEVELOPER)
    assert Notice.objects.get(user=seller).title == "Ines joined Acme Vision as developer"
    acts = AuditEvent.objects.filter(team_id=team.pk, action__startswith="invitation").order_by("created_at")
    assert [(act.actor, act.action, act.data["role"]) for act in acts] == [
        (seller, "invitation.send", "developer"), (ines, "invitation.accept", "developer"),
    ]  # fmt: skip


def test_inviting_is_alike_with_and_without_an_account(seller: Any, team: Team, ines: Any) -> None:
    with CaptureQueriesContext(connection) as first:
        invite(seller, team, ines.email)
    with CaptureQueriesContext(connection) as second:
        invite(seller, team, "nobody@example.com")
    assert len(first) == len(second)
    known, unknown = mail.outbox
    assert known.subject == unknown.subject
    assert known.body.replace(EMAIL, "x").count("\n") == unknown.body.replace("nobody@example.com", "x").count("\n")


def test_a_mail_server_that_is_down_costs_the_mail_only(
    seller: Any, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*args: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(invitations, "send_mail", down)
    assert invite(seller, team).mailed_at is None


def test_links_that_are_none(seller: Any, team: Team, ines: Any) -> None:
    made = invite(seller, team)
    token = invitations.token_of(made)
    body, _, signature = token.partition(":")
    signer = signing.Signer(salt="slipway.invitation")
    forged = (
        "", "x", token[:-1], f"{body}x:{signature}", signing.Signer().sign_object([made.pk.hex, made.nonce]),
        signer.sign_object([uuid.uuid4().hex, made.nonce]), signer.sign_object(["nonsense", 1]), signer.sign_object(7),
    )  # fmt: skip
    for each in forged:
        with pytest.raises(ProblemError, match="INVITATION-UNKNOWN"):
            invitations.accept(ines, each)
    assert not Membership.objects.filter(user=ines).exists()


def test_only_who_confirmed_the_address_accepts(seller: Any, team: Team, make_user: Any, ines: Any) -> None:
    token = invitations.token_of(invite(seller, team))
    for user in (make_user("otto"), seller):
        with pytest.raises(ProblemError, match="INVITATION-OTHER-ADDRESS"):
            invitations.accept(user, token)
    ines.emailaddress_set.update(verified=False)
    with pytest.raises(ProblemError, match="INVITATION-OTHER-ADDRESS"):
        invitations.accept(ines, token)
    with pytest.raises(PermissionDenied):
        invitations.invite(ines, team, "x@example.com", Role.OWNER)


def test_an_invitation_that_is_too_old_taken_back_or_replaced(seller: Any, team: Team, ines: Any) -> None:
    made = invite(seller, team)
    token = invitations.token_of(made)
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1), mailed_at=None)
    with pytest.raises(ProblemError, match="INVITATION-EXPIRED"):
        invitations.accept(ines, token)
    assert invitations.waiting_for(ines) is None
    invitations.resend(seller, made)
    with pytest.raises(ProblemError, match="INVITATION-REPLACED"):
        invitations.accept(ines, token)
    assert invitations.waiting_for(ines) == made
    with pytest.raises(ProblemError, match="INVITATION-JUST-SENT"):
        invitations.resend(seller, made)
    invitations.revoke(seller, made)
    with pytest.raises(ProblemError, match="INVITATION-REVOKED"):
        invitations.accept(ines, invitations.token_of(made))
    Invitation.objects.update(mailed_at=None)
    for act in (invitations.resend, invitations.revoke):
        with pytest.raises(ProblemError, match="INVITATION-CLOSED"):
            act(seller, made)
    assert not Membership.objects.filter(user=ines).exists()


def test_one_address_has_one_open_invitation(seller: Any, team: Team, ines: Any) -> None:
    made = invite(seller, team)
    with pytest.raises(ProblemError, match="INVITATION-OPEN"):
        invite(seller, team, "INES@example.com")
    Invitation.objects.update(expires_at=timezone.now())
    again = invite(seller, team, role=Role.OWNER)
    assert (again.pk, again.role) == (made.pk, Role.OWNER)
    invitations.accept(ines, invitations.token_of(again))
    with pytest.raises(ProblemError, match="MEMBER-ALREADY"):
        invite(seller, team)


def test_two_clicks_make_one_member(seller: Any, team: Team, ines: Any) -> None:
    token = invitations.token_of(invite(seller, team))
    assert at_once(*[lambda: invitations.accept(ines, token)] * 3) == ["Membership"] * 3
    assert Membership.objects.filter(user=ines).count() == 1
    assert AuditEvent.objects.filter(action="invitation.accept").count() == 1


def test_who_was_removed_does_not_come_back_by_the_same_link(seller: Any, team: Team, ines: Any) -> None:
    token = invitations.token_of(invite(seller, team))
    teams.remove_member(seller, invitations.accept(ines, token))
    with pytest.raises(ProblemError, match="INVITATION-USED"):
        invitations.accept(ines, token)


@pytest.mark.parametrize(
    ("has", "invited", "gets"),
    [(Role.VIEWER, Role.RELEASER, Role.RELEASER), (Role.OWNER, Role.VIEWER, Role.OWNER)],
)
def test_an_invitation_raises_a_members_role_and_never_lowers_it(
    seller: Any, team: Team, ines: Any, has: Role, invited: Role, gets: Role
) -> None:
    made = invite(seller, team, role=invited)
    Membership.objects.create(team=team, user=ines, role=has)
    assert invitations.accept(ines, invitations.token_of(made)).role == gets


def test_the_mails_of_a_day_are_counted(seller: Any, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitations, "PER_DAY", 3)
    ends = at_once(*[lambda n=n: invite(seller, team, f"p{n}@example.com") for n in range(5)])
    assert ends == ["INVITATION-TOO-MANY"] * 2 + ["Invitation"] * 3
    assert len(mail.outbox) == 3
    other = teams.create_team(seller, "Another")
    with pytest.raises(ProblemError, match="INVITATION-TOO-MANY"):
        invite(seller, other)
    AuditEvent.objects.update(created_at=timezone.now() - timedelta(days=1, seconds=1))
    assert invite(seller, other).pk


def test_inviting_one_address_twice_at_once_invites_it_once(seller: Any, team: Team) -> None:
    assert at_once(*[lambda: invite(seller, team)] * 2) == ["INVITATION-OPEN", "Invitation"]


# -- members ----------------------------------------------------------------------------------------


def test_two_owners_who_leave_at_once_do_not_both_leave(seller: Any, team: Team, ines: Any) -> None:
    teams.admit(team, ines, Role.OWNER)
    rows = list(Membership.objects.filter(team=team).select_related("team", "user"))
    ends = at_once(*[lambda row=row: teams.remove_member(row.user, row) for row in rows])
    assert ends == ["MEMBER-LAST-OWNER", "NoneType"]
    assert Membership.objects.filter(team=team, role=Role.OWNER).count() == 1


def test_two_owners_who_demote_each_other_leave_one(seller: Any, team: Team, ines: Any) -> None:
    teams.admit(team, ines, Role.OWNER)
    first, second = Membership.objects.filter(team=team).select_related("team", "user")
    ends = at_once(
        lambda: teams.change_role(None, first, Role.VIEWER), lambda: teams.change_role(None, second, Role.VIEWER)
    )
    assert ends == ["MEMBER-LAST-OWNER", "NoneType"]
    assert Membership.objects.filter(team=team, role=Role.OWNER).count() == 1


def test_somebody_who_was_removed_meanwhile_is_no_error_of_ours(seller: Any, team: Team, ines: Any) -> None:
    membership = teams.admit(team, ines, Role.VIEWER)
    Membership.objects.filter(pk=membership.pk).delete()
    with pytest.raises(ProblemError, match="MEMBER-GONE"):
        teams.change_role(seller, membership, Role.OWNER)
    with pytest.raises(ProblemError, match="MEMBER-GONE"):
        teams.remove_member(seller, membership)


def test_leaving_and_roles_stand_in_the_history(seller: Any, team: Team, ines: Any) -> None:
    membership = teams.add_member(seller, team, ines.email, Role.VIEWER)
    teams.change_role(seller, membership, Role.RELEASER)
    teams.change_role(seller, membership, Role.RELEASER)
    teams.remove_member(ines, membership)
    events = AuditEvent.objects.filter(team_id=team.pk, action__startswith="member").order_by("created_at")
    assert [(event.action, event.data.get("was"), event.data["role"]) for event in events] == [
        ("member.add", None, "viewer"), ("member.role", "viewer", "releaser"), ("member.leave", None, "releaser"),
    ]  # fmt: skip


# -- things made at once ----------------------------------------------------------------------------


def test_teams_of_one_name_made_at_once_get_addresses_of_their_own(seller: Any, make_user: Any) -> None:
    people = [make_user(name) for name in ("anna", "bert", "cleo")]
    assert at_once(*[lambda user=user: teams.create_team(user, "Same") for user in people]) == ["Team"] * 3
    assert sorted(Team.objects.values_list("slug", flat=True)) == ["same", "same-2", "same-3"]


def test_a_slug_that_is_taken_between_look_and_act_is_tried_again(
    seller: Any, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, blind = teams.unique_slug, ["acme-vision", "acme-vision"]
    monkeypatch.setattr(teams, "unique_slug", lambda *a, **k: blind.pop() if blind else look(*a, **k))
    assert teams.create_team(seller, "Acme Vision").slug == "acme-vision-2"
    monkeypatch.setattr(teams, "unique_slug", lambda *a, **k: "acme-vision")
    with pytest.raises(ProblemError, match="SLUG-RACE"):
        teams.create_team(seller, "Acme Vision")


def test_a_form_that_is_sent_twice_makes_one_thing(seller: Any, team: Team, ines: Any) -> None:
    key = uuid.uuid4()
    assert at_once(*[lambda: teams.create_team(seller, "Twice", key=key)] * 2) == ["Team", "Team"]
    assert Team.objects.get(name="Twice").memberships.count() == 1
    assert AuditEvent.objects.filter(action="team.create", subject="Twice").count() == 1
    made = [
        at_once(*[lambda: listings.create_listing(seller, team, kind=Kind.ALGORITHM, name="Trees", key=key)] * 2)
        for _ in range(2)
    ]
    assert made == [["Listing", "Listing"]] * 2
    assert Listing.objects.count() == 1
    theirs = teams.create_team(ines, "Twice", key=key)
    assert theirs.pk != key
    assert theirs.created_by == ines


def test_the_database_itself_holds_one_open_invitation_per_address(seller: Any, team: Team) -> None:
    made = invite(seller, team)
    with pytest.raises(IntegrityError):
        Invitation.objects.create(
            team=team, email=made.email, role=Role.VIEWER, nonce="n", expires_at=timezone.now() + timedelta(days=1)
        )
