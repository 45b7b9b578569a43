"""Webhooks in people's hands: made, shown, rotated, tried, replayed and deleted, by those who may."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page

from listings import links, sealing
from listings.models import AuditEvent, Blob, Decision, Listing, Provider, Role, Run, Version, Webhook
from listings.services import deliveries, listings, teams
from tests.browser import expect_no_sideways_scroll
from tests.hook_sending import COMMIT, git_source, make_webhook, payload, post, secret_of

NASTY = "x<script>alert(1)</script>&\"$(id);'{{7+7}}"


@pytest.fixture
def hook(seller: Any, listing: Listing) -> Webhook:
    git_source(listing)
    return make_webhook(seller, listing, branches="main")


def url(name: str, hook: Webhook, *more: Any) -> str:
    return reverse(name, args=[hook.listing.team.slug, hook.listing.slug, hook.pk, *more])


def new_url(listing: Listing) -> str:
    return reverse("webhook_new", args=[listing.team.slug, listing.slug])


def push(ref: str = "refs/heads/main", commit: str = COMMIT) -> dict[str, Any]:
    return payload("github-push") | {"ref": ref, "after": commit}


def test_a_listing_without_webhooks_says_what_they_are_for(signed_in: Client, listing: Listing) -> None:
    page = signed_in.get(reverse("webhooks", args=[listing.team.slug, listing.slug])).content.decode()
    assert "No webhook yet" in page
    assert new_url(listing) in page
    assert "no standing source" in page
    assert (
        reverse("webhooks", args=[listing.team.slug, listing.slug])
        in signed_in.get(links.listing(listing)).content.decode()
    )


@pytest.mark.parametrize("provider", [*Provider])
def test_making_one_shows_its_secret_once(provider: Provider, signed_in: Client, listing: Listing) -> None:
    answer = signed_in.post(new_url(listing), {"provider": provider, "branches": "main\r\nrelease/*", "tags": "v*"})
    assert answer.status_code == 201
    hook = Webhook.objects.get()
    assert (hook.provider, hook.branches, hook.tags, hook.paths) == (provider, ["main", "release/*"], ["v*"], [])
    secret, page = secret_of(hook), answer.content.decode()
    assert secret in page
    assert reverse("hook", args=[hook.pk]) in page
    assert "no-store" in answer["Cache-Control"]
    assert secret not in str(dict(signed_in.session))
    assert secret not in hook.sealed
    for other in (url("webhook", hook), url("webhook_edit", hook), new_url(listing), "/audit/"):
        assert secret not in signed_in.get(other).content.decode()
    assert secret not in str(list(AuditEvent.objects.values()))


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({"branches": "a**", "tags": "v*"}, "stands alone"),
        ({"branches": "", "tags": ""}, "neither a pattern"),
        ({"branches": "main", "paths": "a b"}, "space"),
    ],
)
def test_what_was_typed_stays_when_it_is_wrong(
    typed: dict[str, str], wrong: str, signed_in: Client, listing: Listing
) -> None:
    answer = signed_in.post(new_url(listing), {"provider": "gitea", **typed})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert wrong in page
    assert all(value in page for value in typed.values())
    assert '<option value="gitea" selected>' in page
    assert not Webhook.objects.exists()


def test_changing_what_is_built(signed_in: Client, hook: Webhook) -> None:
    assert "main" in signed_in.get(url("webhook_edit", hook)).content.decode()
    answer = signed_in.post(
        url("webhook_edit", hook), {"branches": "", "tags": "v*", "paths": "src/**", "provider": "x"}
    )
    assert answer.status_code == 302
    hook.refresh_from_db()
    assert (hook.provider, hook.branches, hook.tags, hook.paths) == ("github", [], ["v*"], ["src/**"])
    assert signed_in.post(url("webhook_edit", hook), {"branches": "!"}).status_code == 422


def test_rotating_ends_and_deleting(signed_in: Client, hook: Webhook) -> None:
    old = secret_of(hook)
    page = signed_in.post(url("webhook_rotate", hook)).content.decode()
    hook.refresh_from_db()
    assert secret_of(hook) in page
    assert old not in page
    assert sealing.reveal(hook.previous_sealed, str(hook.pk)) == old
    assert "End the old one now" in signed_in.get(url("webhook", hook)).content.decode()
    signed_in.post(url("webhook_end_previous", hook))
    hook.refresh_from_db()
    assert (hook.previous_sealed, hook.previous_until) == ("", None)
    for name, enabled in (("webhook_disable", False), ("webhook_disable", False), ("webhook_enable", True)):
        signed_in.post(url(name, hook))
        hook.refresh_from_db()
        assert hook.enabled is enabled
    post(hook, push(), identity="one")
    deliveries.replay(hook.created_by, hook.deliveries.get())
    signed_in.post(url("webhook_delete", hook))
    assert not Webhook.objects.exists()
    assert (Version.objects.count(), Blob.objects.count()) == (1, 0)
    acts = list(AuditEvent.objects.filter(action__regex="webhook|delivery").values_list("action", flat=True))
    assert sorted(acts) == sorted([
        "webhook.create", "webhook.rotate", "webhook.end_previous", "webhook.disable", "webhook.enable",
        "delivery.replay", "webhook.delete",
    ])  # fmt: skip


def test_deliveries_are_listed_with_decision_reason_and_way_on(signed_in: Client, hook: Webhook) -> None:
    post(hook, push())
    post(hook, push("refs/heads/topic"))
    post(hook, push(), {})
    page = signed_in.get(url("webhook", hook)).content.decode()
    for words in ("Built", "Ignored", "Refused", "No pattern for branches lets topic in", " ms", "by alice"):
        assert words in page
    assert links.run(Run.objects.get()) in page
    refused = signed_in.get(url("webhook", hook) + "?decision=refused").content.decode()
    assert "there is no X-Hub-Signature-256 header" in refused
    assert "topic" not in refused
    assert signed_in.get(url("webhook", hook) + "?decision=nonsense&page=99").status_code == 200


def test_the_list_of_deliveries_has_pages(signed_in: Client, hook: Webhook) -> None:
    for _ in range(26):
        post(hook, payload("github-ping"), event="ping")
    assert "Page 1 of 2" in signed_in.get(url("webhook", hook) + "?decision=acknowledged").content.decode()
    assert "Page 2 of 2" in signed_in.get(url("webhook", hook) + "?page=2").content.decode()


def test_what_a_sender_wrote_is_shown_and_not_obeyed(signed_in: Client, hook: Webhook) -> None:
    Webhook.objects.update(branches=["**"])
    body = push(f"refs/heads/{NASTY}") | {"sender": {"login": NASTY}}
    assert post(hook, body).json()["decision"] == "built"
    version, delivery = Version.objects.get(), hook.deliveries.get()
    for address in (url("webhook", hook), url("delivery", hook, delivery.pk), links.version(version),
                    links.listing(hook.listing)):  # fmt: skip
        page = signed_in.get(address).content.decode()
        assert "<script>alert" not in page
        assert ";'14" not in html.unescape(page)
        if address != links.listing(hook.listing):
            assert "&lt;script&gt;" in page


def test_a_delivery_says_why_and_what_helps_and_is_replayed_with_one_click(signed_in: Client, hook: Webhook) -> None:
    post(hook, push("refs/heads/topic"), identity="one")
    delivery = hook.deliveries.get()
    page = signed_in.get(url("delivery", hook, delivery.pk)).content.decode()
    for words in ("HOOK-BRANCH", "Add a pattern to the webhook", "refs/heads/topic", "x-github-event", "(removed)"):
        assert words in page
    signed_in.post(url("webhook_edit", hook), {"branches": "**"})
    answer = signed_in.post(url("delivery_replay", hook, delivery.pk))
    made = hook.deliveries.get(replay_of=delivery)
    assert answer["Location"] == url("delivery", hook, made.pk)
    assert made.decision == Decision.BUILT
    page = signed_in.get(answer["Location"]).content.decode()
    assert "Sally</a>" in page or "Sally replayed" in page
    assert url("delivery", hook, delivery.pk) in page
    assert url("delivery", hook, made.pk) in signed_in.get(url("delivery", hook, delivery.pk)).content.decode()


def test_what_cannot_be_replayed_has_no_button_and_says_why(signed_in: Client, hook: Webhook) -> None:
    post(hook, push(), {})
    refused = hook.deliveries.get()
    assert (
        url("delivery_replay", hook, refused.pk)
        not in signed_in.get(url("delivery", hook, refused.pk)).content.decode()
    )
    answer = signed_in.post(url("delivery_replay", hook, refused.pk), follow=True)
    assert "HOOK-NO-BODY" in answer.content.decode()


def test_a_test_delivery_shows_its_answer(signed_in: Client, hook: Webhook) -> None:
    page = signed_in.post(url("webhook_test", hook), follow=True).content.decode()
    assert "A push like this would make version 0.0.1-main.1 from main." in page
    assert "HOOK-TEST" in page
    assert not Version.objects.exists()


def test_the_run_says_which_push_started_it(signed_in: Client, hook: Webhook) -> None:
    post(hook, push())
    page = signed_in.get(links.version(Version.objects.get())).content.decode()
    said = re.sub(r"<[^>]+>", "", page)
    assert f"a push to main ({COMMIT[:7]}) by alice" in said
    assert url("delivery", hook, hook.deliveries.get().pk) in page
    hook.deliveries.all().delete()
    assert "by a webhook" in re.sub(
        r"<[^>]+>", "", signed_in.get(links.version(Version.objects.get())).content.decode()
    )


def test_who_may_only_look_sees_no_buttons(client: Client, seller: Any, make_user: Any, hook: Webhook) -> None:
    post(hook, push())
    delivery = hook.deliveries.get()
    viewer = make_user("vera")
    teams.add_member(seller, hook.listing.team, viewer.email, Role.VIEWER)
    client.force_login(viewer)
    page = (
        client.get(url("webhook", hook)).content.decode()
        + client.get(url("delivery", hook, delivery.pk)).content.decode()
    )
    for name in ("webhook_test", "webhook_edit", "webhook_rotate", "webhook_delete", "webhook_disable"):
        assert url(name, hook) not in page
    assert url("delivery_replay", hook, delivery.pk) not in page


def test_a_delivery_of_another_webhook_is_not_found(signed_in: Client, seller: Any, hook: Webhook) -> None:
    other = make_webhook(seller, hook.listing)
    post(hook, push())
    assert signed_in.get(url("delivery", other, hook.deliveries.get().pk)).status_code == 404


def test_the_pages_ask_few_questions(
    signed_in: Client, seller: Any, hook: Webhook, django_assert_max_num_queries: Any
) -> None:
    for n in range(24):
        post(hook, push(commit=f"{n:040d}".replace("0", "a")))
        make_webhook(seller, hook.listing) if n < 9 else None
    for address in (reverse("webhooks", args=[hook.listing.team.slug, hook.listing.slug]), url("webhook", hook)):
        with django_assert_max_num_queries(20, info=address):
            signed_in.get(address)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_from_new_webhook_to_replay_in_a_browser(
    width: int, theme: str, seller: Any, listing: Listing, open_window: Callable[..., Page]
) -> None:
    git_source(listing)
    page = open_window(seller, width=width, theme=theme)
    page.goto(links.listing(listing))
    page.get_by_role("link", name="Webhooks").click()
    page.get_by_role("link", name="New webhook").first.click()
    page.get_by_label("Branches").fill("release/*")
    page.get_by_role("button", name="Make webhook").click()
    hook = Webhook.objects.get()
    assert page.locator("[data-secret]").inner_text() == secret_of(hook)
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("button", name="Send a test delivery").click()
    page.get_by_text("No pattern for branches lets main in").first.wait_for()
    post(hook, push("refs/heads/" + "long-" * 40), identity="one")
    page.goto(url("webhook", hook))
    page.get_by_role("link", name="push of long").click()
    page.get_by_role("button", name="Replay").wait_for()
    expect_no_sideways_scroll(page)
    page.get_by_role("button", name="Replay").press("Enter")
    page.get_by_text("Sally replayed").wait_for()
    assert hook.deliveries.filter(replayed_by=seller).count() == 1
    page.goto(url("webhook", hook))
    expect_no_sideways_scroll(page)


def test_the_same_form_twice_makes_one_webhook(signed_in: Client, listing: Listing) -> None:
    git_source(listing)
    key = re.search(r'name="key" value="([^"]+)"', signed_in.get(new_url(listing)).content.decode())
    assert key is not None
    typed = {"key": key[1], "provider": "github", "branches": "main"}
    assert signed_in.post(new_url(listing), typed).status_code == 201
    again = signed_in.post(new_url(listing), typed, follow=True)
    assert "This webhook was made already" in again.content.decode()
    assert again.redirect_chain[0][0] == url("webhook", Webhook.objects.get())
    assert secret_of(Webhook.objects.get()) not in again.content.decode()


def test_a_webhook_elsewhere_is_neither_opened_nor_changed_by_its_id(
    signed_in: Client, seller: Any, hook: Webhook
) -> None:
    other = listings.create_listing(seller, hook.listing.team, kind=hook.listing.kind, name="Another")
    answer = signed_in.post(new_url(other), {"key": str(hook.pk), "provider": "gitea", "branches": "x"})
    assert answer.status_code == 422
    hook.refresh_from_db()
    assert (hook.listing, hook.provider, hook.branches) == (hook.listing, "github", ["main"])
    assert Webhook.objects.count() == 1


def test_a_reload_of_the_new_secret_does_not_rotate_it_away(signed_in: Client, hook: Webhook) -> None:
    old = secret_of(hook)
    mark = re.search(r'name="mark" value="(\w+)"', signed_in.get(url("webhook", hook)).content.decode())
    assert mark is not None
    assert signed_in.post(url("webhook_rotate", hook), {"mark": mark[1]}).status_code == 200
    hook.refresh_from_db()
    new = secret_of(hook)
    again = signed_in.post(url("webhook_rotate", hook), {"mark": mark[1]}, follow=True).content.decode()
    assert "The secret was rotated already" in again
    hook.refresh_from_db()
    assert (secret_of(hook), sealing.reveal(hook.previous_sealed, str(hook.pk))) == (new, old)
