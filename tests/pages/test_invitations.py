"""The way in by a mailed link: with an account and without, as somebody else, where sign-up is closed, too late."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from listings.models import Invitation, Listing, Membership, Role, Team
from listings.services import invitations, teams
from tests.browser import expect_no_sideways_scroll

pytestmark = pytest.mark.django_db
EMAIL, PASSWORD = "ines@example.com", "a-long-passphrase"


@pytest.fixture
def invited(seller: Any, team: Team) -> Invitation:
    return invitations.invite(seller, team, EMAIL, Role.DEVELOPER)


def path_of(invitation: Invitation) -> str:
    return f"/invitations/{invitations.token_of(invitation)}/"


def path_in(body: str) -> str:
    found = re.search(r"https?://[^/\s]+(/\S+)", body)
    assert found, body
    return found.group(1)


def test_an_owner_invites_and_sees_the_link(
    signed_in: Client, team: Team, django_capture_on_commit_callbacks: Any
) -> None:
    add = f"/t/{team.slug}/members/add/"
    with django_capture_on_commit_callbacks(execute=True):
        page = signed_in.post(add, {"email": EMAIL, "role": "viewer"}, follow=True).content.decode()
    made = Invitation.objects.get()
    assert path_in(mail.outbox[-1].body) == path_of(made)
    assert invitations.link_to(made) in page
    assert "1 waiting" in page
    assert "Sally" in page
    again = signed_in.post(add, {"email": EMAIL, "role": "viewer"})
    assert again.status_code == 422
    assert "INVITATION-OPEN" in again.content.decode()
    assert f'value="{EMAIL}"' in again.content.decode()


def test_the_answer_is_the_same_for_an_address_with_an_account(signed_in: Client, team: Team, make_user: Any) -> None:
    make_user("ines")
    add = f"/t/{team.slug}/members/add/"
    answers = []
    for email in (EMAIL, "nobody@example.com"):
        answer = signed_in.post(add, {"email": email, "role": "viewer"})
        answers.append((answer.status_code, answer["Location"]))
    assert answers[0] == answers[1]
    assert Invitation.objects.count() == 2


def test_only_owners_see_invitations(client: Client, team: Team, invited: Invitation, make_user: Any) -> None:
    member = make_user("dora")
    teams.admit(team, member, Role.RELEASER)
    client.force_login(member)
    page = client.get(f"/t/{team.slug}/members/").content.decode()
    assert 'id="invitations"' not in page
    assert invitations.token_of(invited) not in page


def test_resending_and_revoking(signed_in: Client, team: Team, invited: Invitation) -> None:
    base = f"/t/{team.slug}/members/invitations/{invited.pk}"
    old = path_of(invited)
    Invitation.objects.update(mailed_at=None)
    assert "invited again" in signed_in.post(f"{base}/resend/", follow=True).content.decode()
    assert "INVITATION-REPLACED" in signed_in.get(old).content.decode()
    invited.refresh_from_db()
    assert "can no longer join" in signed_in.post(f"{base}/revoke/", follow=True).content.decode()
    answer = signed_in.get(path_of(invited))
    assert answer.status_code == 409
    assert "INVITATION-REVOKED" in answer.content.decode()
    assert "INVITATION-CLOSED" in signed_in.post(f"{base}/revoke/", follow=True).content.decode()


def test_who_has_the_address_accepts_with_one_click(client: Client, invited: Invitation, make_user: Any) -> None:
    ines = make_user("ines")
    client.force_login(ines)
    page = client.get(path_of(invited)).content.decode()
    assert "Accept and join as Ines" in page
    assert not Membership.objects.filter(user=ines).exists()  # a look is no answer: mail programs look, too
    answer = client.post(f"{path_of(invited)}accept/")
    assert answer["Location"] == f"/t/{invited.team.slug}/"
    assert client.post(f"{path_of(invited)}accept/")["Location"] == answer["Location"]
    assert client.get(path_of(invited))["Location"] == answer["Location"]
    assert Membership.objects.get(user=ines).role == Role.DEVELOPER


def test_somebody_else_is_told_and_offered_to_switch(client: Client, invited: Invitation, make_user: Any) -> None:
    make_user("ines")
    other = make_user("otto")
    client.force_login(other)
    page = client.get(path_of(invited)).content.decode()
    assert "you are signed in as <b>otto@example.com</b>" in page
    assert "Accept" not in page
    refused = client.post(f"{path_of(invited)}accept/")
    assert (refused.status_code, "INVITATION-OTHER-ADDRESS" in refused.content.decode()) == (409, True)
    back = client.post("/account/logout/", {"next": path_of(invited)})
    assert back["Location"] == path_of(invited)
    assert "Create an account" in client.get(path_of(invited)).content.decode()


def test_an_address_that_is_not_confirmed_is_sent_to_confirm_it(
    client: Client, invited: Invitation, make_user: Any
) -> None:
    otto = make_user("otto")
    otto.emailaddress_set.create(email=EMAIL, verified=False)
    client.force_login(otto)
    assert "is not confirmed yet" in client.get(path_of(invited)).content.decode()
    otto.emailaddress_set.update(verified=True)
    assert "Accept and join" in client.get(path_of(invited)).content.decode()


def test_signing_in_leads_back_to_the_invitation(client: Client, invited: Invitation, make_user: Any) -> None:
    make_user("ines")
    page = client.get(path_of(invited)).content.decode()
    [login] = re.findall(r'href="(/account/login/\?next=[^"]+)"', page)
    answer = client.post(login, {"login": EMAIL, "password": PASSWORD})
    assert answer["Location"] == path_of(invited)


def sign_up(client: Client, email: str = EMAIL) -> Any:
    return client.post("/account/signup/", {"full_name": "Ines", "email": email, "password1": PASSWORD})


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("same_browser", [True, False])
def test_signing_up_and_confirming_leads_back_to_the_invitation(
    client: Client, invited: Invitation, settings: Any, is_open: bool, same_browser: bool
) -> None:
    settings.ACCOUNT_ALLOW_SIGNUPS = is_open
    client.get(path_of(invited))
    assert f'value="{EMAIL}"' in client.get("/account/signup/").content.decode()
    mail.outbox.clear()
    sign_up(client)
    confirm = path_in(mail.outbox[0].body)
    browser = client if same_browser else Client()
    browser.post(confirm)
    answer = browser.post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    assert answer["Location"] == path_of(invited)
    browser.post(f"{path_of(invited)}accept/")
    assert Membership.objects.get(team=invited.team, user__email=EMAIL).role == Role.DEVELOPER


def test_closed_sign_up_opens_for_the_invited_address_only(client: Client, invited: Invitation, settings: Any) -> None:
    settings.ACCOUNT_ALLOW_SIGNUPS = False
    sign_up(client)
    client.get(path_of(invited))
    answer = sign_up(client, "mallory@example.com")
    assert "Accounts are by invitation here" in answer.content.decode()
    Invitation.objects.update(revoked_at=timezone.now())
    assert "Sign-up is closed" in sign_up(client).content.decode()
    assert not Membership.objects.filter(user__email=EMAIL).exists()
    assert type(invited.invited_by).objects.count() == 1


@pytest.mark.parametrize("visitor", ["nobody", "owner"])
def test_links_that_lead_nowhere_say_why(client: Client, seller: Any, invited: Invitation, visitor: str) -> None:
    if visitor == "owner":
        client.force_login(seller)
    token = invitations.token_of(invited)
    for cut in (token[:-2], "x", token.replace(":", "-")):
        answer = client.get(f"/invitations/{cut}/")
        assert (answer.status_code, "INVITATION-UNKNOWN" in answer.content.decode()) == (409, True)
    Invitation.objects.update(expires_at=timezone.now() - timedelta(days=1))
    page = client.get(f"/invitations/{token}/").content.decode()
    assert "INVITATION-EXPIRED" in page
    assert "Ask an owner of Acme Vision to send it again." in page


def test_an_old_link_opens_no_closed_sign_up(client: Client, invited: Invitation, settings: Any) -> None:
    settings.ACCOUNT_ALLOW_SIGNUPS = False
    client.get(path_of(invited))
    Invitation.objects.update(expires_at=timezone.now())
    assert "Sign-up is closed" in client.get("/account/signup/").content.decode()


def test_a_form_that_is_sent_twice_makes_one_team_and_one_listing(signed_in: Client) -> None:
    def send(path: str, **data: str) -> list[str]:
        page = signed_in.get(path).content.decode()
        [key] = re.findall(r'name="key" value="([0-9a-f-]{36})"', page)
        return [signed_in.post(path, {"key": key, **data})["Location"] for _ in range(2)]

    first, second = send("/teams/new/", name="Twice")
    assert first == second
    assert len(set(send("/teams/new/", name="Twice") + [first])) == 2
    made = send(f"{first}listings/new/", kind="Algorithm", name="Trees")
    assert made[0] == made[1]
    assert Listing.objects.count() == 1


def test_leaving_a_team_needs_another_owner(signed_in: Client, seller: Any, team: Team, make_user: Any) -> None:
    own = Membership.objects.get(user=seller)
    leave = f"/t/{team.slug}/members/{own.pk}/remove/"
    assert "MEMBER-LAST-OWNER" in signed_in.post(leave, follow=True).content.decode()
    teams.admit(team, make_user("ines"), Role.OWNER)
    assert "You left Acme Vision" in signed_in.post(leave, follow=True).content.decode()
    assert signed_in.get(f"/t/{team.slug}/members/").status_code == 404


def test_the_last_changes_of_members_name_their_roles(
    signed_in: Client, seller: Any, team: Team, make_user: Any
) -> None:
    membership = teams.add_member(seller, team, make_user("ines").email, Role.VIEWER)
    teams.change_role(seller, membership, Role.RELEASER)
    page = signed_in.get(f"/t/{team.slug}/members/").content.decode()
    assert "viewer → releaser" in page


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_pages_in_a_browser(
    open_window: Callable[..., Page],
    seller: Any,
    team: Team,
    make_user: Any,
    width: int,
    theme: Literal["light", "dark"],
) -> None:
    # Without a hyphen or anything else at which a browser breaks by itself.
    long = f"{'averylongname' * 4}@{'averylongdomain' * 4}.example"
    invitations.invite(seller, team, long, Role.RELEASER)
    page = open_window(seller, width=width, theme=theme)
    page.goto(f"/t/{team.slug}/members/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_role("button", name="Send invitation").click()
    expect(page.locator("#invitations")).to_contain_text(EMAIL)
    expect_no_sideways_scroll(page)
    made = Invitation.objects.get(email=EMAIL)
    link = page.get_by_label(f"Copy the link for {EMAIL}")
    assert link.get_attribute("data-copy") == invitations.link_to(made)
    page.get_by_label(f"Revoke the invitation to {long}").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke invitation").click()
    expect(page.locator("#invitations")).to_contain_text("1 waiting")
    other = open_window(make_user("ines"), width=width, theme=theme)
    other.goto(path_of(made))
    expect_no_sideways_scroll(other)
    other.get_by_role("button", name="Accept and join").click()
    expect(other.locator("body")).to_contain_text("You are a member of Acme Vision, as developer.")
    # Whom it was not sent to is told the long address, in a sentence and on a button.
    again = invitations.invite(seller, team, long, Role.RELEASER)
    elsewhere = open_window(make_user("otto"), width=width, theme=theme)
    elsewhere.goto(path_of(again))
    expect(elsewhere.get_by_role("button", name=long)).to_be_visible()
    expect_no_sideways_scroll(elsewhere)
