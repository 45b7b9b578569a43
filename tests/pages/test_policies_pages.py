"""Policies, the audit history and notices."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from listings import acts
from listings.forms.policies import policy_text
from listings.models import AuditEvent, Notice, Policy, Version
from listings.policy_defaults import DEFAULT_POLICY
from listings.queries.policies import differences
from listings.services import audit, notices, waivers
from listings.views.audit import KINDS
from tests.pages import decisions
from tests.pages.decisions import Page, look

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer(client: Client, admin: Any) -> Client:
    client.force_login(admin)
    return client


def amended(**changes: Any) -> dict[str, Any]:
    body = deepcopy(DEFAULT_POLICY)
    body["os"] |= changes.pop("os", {})
    return body | changes


# Policies


@pytest.mark.parametrize("name", ["policies", "audit"])
def test_sellers_do_not_see_the_admins_pages(client: Client, seller: Any, team: Any, name: str) -> None:
    client.force_login(seller)
    assert client.get(reverse(name)).status_code == 403


def test_slipway_s_own_policy_is_readable(
    reviewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(12):
        page = look(reviewer, reverse("policies"))
    assert "Slipway's own policy in force" in page.text
    assert "Oracle Linux ol 5 6 7" in page.text
    assert "Amazon Linux amzn every version" in page.text
    assert "Critical findings Close the gate" in page.text
    assert "Medium findings are shown" in page.text


def test_an_amendment_is_shown_with_what_it_changed(reviewer: Client, admin: Any) -> None:
    waivers.amend_policy(admin, amended(os={"debian": ["10", "11"]}, outgoing="fail"), "11 is scannable")
    page = look(reviewer, reverse("policies"))
    assert "Policy 1 in force" in page.text
    assert "11 is scannable" in page.text
    assert "added Debian 11" in page.text
    assert "removed Debian 6.0, 7, 8, 9" in page.text
    assert "outgoing calls: warn → fail" in page.text
    assert "11 (not named on the Marketplace page)" in page.text


def test_the_form_holds_the_policy_in_force_and_puts_an_amendment_in_force(reviewer: Client, admin: Any) -> None:
    page = look(reviewer, reverse("policies"))
    body = json.loads(page.typed["body"])
    assert body == DEFAULT_POLICY
    body["os"]["debian"].append("12")
    sent = {"body": json.dumps(body), "reason": "12 is scannable"}
    assert reviewer.post(reverse("policies"), sent).status_code == 302
    policy = Policy.objects.get()
    assert (policy.author, policy.body) == (admin, body)


@pytest.mark.parametrize(
    ("body", "reason", "says"),
    [
        ('{"os": {},', "because", "Line 1, column 11"),
        ('{"os": {}, "outgoing": "no"}', "because", "“outgoing” is warn or fail."),
        ('{"os": {}, "outgoing": "warn"}', "because", "“blocking_severities” is missing."),
        (json.dumps(DEFAULT_POLICY), " ", "This field is required"),
    ],
)
def test_a_faulty_amendment_is_explained_and_kept(reviewer: Client, body: str, reason: str, says: str) -> None:
    page = Page(reviewer.post(reverse("policies"), {"body": body, "reason": reason}))
    assert page.status == 422
    assert says in page.text
    assert page.typed["body"] == body
    assert page.typed.get("reason", "") == reason.strip()
    assert not Policy.objects.exists()


def test_the_text_to_edit_is_the_policy() -> None:
    body = amended(os={"amzn": ["*"], "debian": ["10"]})
    assert json.loads(policy_text(body)) == body
    assert len(policy_text(body).splitlines()) < 15


def test_differences_name_systems_rules_and_severities() -> None:
    after = amended(os={"rhel": ["9"], "amzn": ["2023"]}, blocking_severities=["critical"])
    assert differences(DEFAULT_POLICY, after) == [
        ("+", "Amazon Linux 2023"), ("-", "Amazon Linux every version"), ("+", "Red Hat Enterprise Linux 9"),
        ("-", "high findings close the gate"),
    ]  # fmt: skip
    assert differences(after, after) == []


# The audit history


def test_acts_are_told_in_sentences_with_who_what_when_and_why(
    reviewer: Client, seller: Any, admin: Any, draft: Version, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    decisions.approved(seller, admin, draft)
    with django_assert_max_num_queries(14):
        page = look(reviewer, reverse("audit"))
    assert f"{admin} approved Decision trees 1.0.0" in page.text
    assert "looked at the report" in page.text
    assert "UTC" in page.html


def test_the_audit_history_is_filtered_by_kind_team_and_words(
    reviewer: Client, seller: Any, admin: Any, draft: Version
) -> None:
    decisions.approved(seller, admin, draft)
    audit.record(None, "run.passed", "another run")
    page = look(reviewer, reverse("audit"), kind="release")
    assert "asked to release" in page.text
    assert "another run" not in page.text
    assert "another run" not in look(reviewer, reverse("audit"), team=draft.listing.team.slug).text
    assert "1 act match" in look(reviewer, reverse("audit"), q="another").text
    assert "Nothing matches" in look(reviewer, reverse("audit"), q="nobody did this").text


def test_every_kind_of_act_can_be_filtered_for() -> None:
    assert {name.partition(".")[0] for name in acts.ACTS} == {noun for noun, _ in KINDS}


def test_the_audit_history_is_paged_and_keeps_its_filters(reviewer: Client, admin: Any) -> None:
    for number in range(60):
        audit.record(admin, "listing.update", f"listing {number}")
    page = look(reviewer, reverse("audit"), kind="listing")
    assert "Page 1 of 2" in page.text
    assert "kind=listing&amp;page=2" in page.html
    older = look(reviewer, reverse("audit"), kind="listing", page="2")
    assert "listing 3 " in older.text
    assert "listing 59 " not in older.text


@pytest.mark.parametrize("query", [{"page": "x"}, {"page": "99"}, {"kind": "'"}, {"team": "no-such"}])
def test_odd_filters_of_the_audit_history_are_answered(reviewer: Client, query: dict[str, str]) -> None:
    assert look(reviewer, reverse("audit"), **query).status == 200


def test_what_was_typed_into_an_act_is_shown_as_text(reviewer: Client, admin: Any) -> None:
    AuditEvent.objects.create(
        actor=admin, actor_label="Adam", action="release.withdraw", subject="x", data={"reason": "<script>alert(1)"}
    )
    assert "<script>alert(1)" not in look(reviewer, reverse("audit")).html


# Notices


def test_notices_are_listed_followed_and_marked_read(
    client: Client, seller: Any, team: Any, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(seller)
    assert "Nothing yet" in look(client, reverse("notices")).text
    for number in range(55):
        notices.notify([seller], "run.failed", f"Run {number} failed", url="/policies/", body="the test step")
    with django_assert_max_num_queries(14):
        page = look(client, reverse("notices"))
    assert page.button("Mark all read") is not None
    assert "Page 1 of 2" in page.text
    first = Notice.objects.filter(user=seller).first()
    assert first is not None
    assert client.get(reverse("notice", args=[first.pk])).headers["Location"] == "/policies/"
    assert client.post(reverse("notices_read")).status_code == 302
    assert not Notice.objects.filter(user=seller, read_at=None).exists()
    assert look(client, reverse("notices")).button("Mark all read") is None


def test_nobody_reads_another_s_notices(client: Client, seller: Any, admin: Any, team: Any) -> None:
    notices.notify([admin], "run.failed", "secret run", url="/")
    client.force_login(seller)
    assert "secret run" not in look(client, reverse("notices")).text
    assert client.get(reverse("notice", args=[Notice.objects.get().pk])).status_code == 404
