"""Deliveries that come again: by the sender's own doing, at once, replayed by hand, or as a test."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from listings.models import (
    Decision,
    Delivery,
    Listing,
    ListingSource,
    Provider,
    Run,
    SourceKind,
    UploadPurpose,
    Version,
    Webhook,
)
from listings.problems import ProblemError
from listings.services import deliveries, planning, versions, webhooks
from listings.states import RunState
from tests import flow
from tests.hook_sending import IMAGE, URLS, git_source, make_webhook, payload, post, push, tag

pytestmark = pytest.mark.django_db
OTHER = "a" * 40


@pytest.fixture
def hook(seller: Any, listing: Listing) -> Webhook:
    git_source(listing)
    return make_webhook(seller, listing)


def test_a_delivery_id_that_came_before_answers_with_the_first_run(hook: Webhook) -> None:
    first = post(hook, push(), identity="one").json()
    told = post(hook, push(commit=OTHER), identity="one").json()
    assert (told["decision"], told["code"]) == ("repeated", "HOOK-REPEATED")
    assert (told["version"], told["run"], told["url"]) == (first["version"], first["run"], first["url"])
    assert Version.objects.count() == 1
    repeated = hook.deliveries.get(decision=Decision.REPEATED)
    assert (repeated.run, repeated.body) == (Run.objects.get(), None)


def test_a_delivery_id_that_is_none_is_hashed(hook: Webhook) -> None:
    odd = "x" * 5000
    assert post(hook, push(), identity=odd).json()["decision"] == "built"
    assert post(hook, push(), identity=odd).json()["decision"] == "repeated"
    assert {len(key) for key in hook.deliveries.values_list("key", flat=True)} == {64}


def test_without_an_id_the_body_tells_what_came_before(seller: Any, listing: Listing) -> None:
    hook = make_webhook(seller, listing, Provider.REGISTRY)
    assert post(hook, payload("registry-push")).json()["code"] == "HOOK-NO-SOURCE"
    assert post(hook, payload("registry-push")).json()["decision"] == "repeated"


@pytest.mark.django_db(transaction=True)
def test_the_same_delivery_many_times_at_once_is_built_once(hook: Webhook) -> None:
    together = Barrier(4)

    def send(_: int) -> dict[str, Any]:
        together.wait()
        try:
            told: dict[str, Any] = post(hook, push(), identity="one").json()
            return told
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(send, range(4)))
    assert sorted(told["decision"] for told in answers) == ["built", "repeated", "repeated", "repeated"]
    assert len({told["url"] for told in answers}) == 1
    assert (Version.objects.count(), Run.objects.count(), Delivery.objects.count()) == (1, 1, 4)
    assert Delivery.objects.exclude(body=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_different_pushes_at_once_get_numbers_of_their_own(hook: Webhook) -> None:
    together = Barrier(4)

    def send(digit: int) -> str:
        together.wait()
        try:
            return str(post(hook, push(commit=str(digit) * 40)).json()["version"])
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(send, range(1, 5)))
    assert sorted(made) == [f"0.0.1-main.{n}" for n in range(1, 5)]
    flow.plan_all()
    assert Run.objects.filter(state=RunState.ACTIVE).count() == 1


def test_a_replay_is_decided_on_anew(seller: Any, hook: Webhook) -> None:
    assert post(hook, push("refs/heads/topic"), identity="one").json()["code"] == "HOOK-BRANCH"
    first = hook.deliveries.get()
    webhooks.update_webhook(seller, hook, webhooks.Wanted(["main", "topic"]))
    hook.refresh_from_db()
    made = deliveries.replay(seller, Delivery.objects.get(pk=first.pk))
    assert (made.decision, made.version and made.version.number) == (Decision.BUILT, "0.0.1-topic.1")
    assert (made.replay_of, made.replayed_by, made.key, made.body) == (first, seller, "one", first.body)
    again = deliveries.replay(seller, made)
    assert (again.decision, again.code, again.replay_of) == (Decision.ACKNOWLEDGED, "HOOK-SAME-COMMIT", first)
    assert post(hook, push("refs/heads/topic"), identity="one").json()["decision"] == "repeated"


def test_a_replay_takes_no_newer_run_out_of_the_queue(seller: Any, hook: Webhook) -> None:
    """It is the older push of the two: what came after it on the branch is to be built all the same."""
    post(hook, push("refs/heads/topic", "1" * 40))
    webhooks.update_webhook(seller, hook, webhooks.Wanted(["topic"]))
    post(hook, push("refs/heads/topic", "2" * 40))
    replayed = deliveries.replay(seller, Delivery.objects.get(webhook=hook, commit="1" * 40))
    assert replayed.decision == Decision.BUILT
    states = {run.version.git_commit[0]: run.state for run in Run.objects.all()}
    assert states == {"1": RunState.ACTIVE, "2": RunState.ACTIVE}


def test_a_replay_obeys_the_rules_of_numbers(seller: Any, hook: Webhook) -> None:
    post(hook, tag(commit=OTHER))
    moved = post(hook, tag())
    assert moved.json()["code"] == "HOOK-TAG-MOVED"
    failed = hook.deliveries.get(decision=Decision.FAILED)
    assert deliveries.replay(seller, failed).code == "HOOK-TAG-MOVED"
    assert Version.objects.get().git_commit == OTHER


def test_what_kept_no_body_cannot_be_replayed(seller: Any, hook: Webhook) -> None:
    post(hook, push(), {})
    post(hook, push(), identity="one")
    post(hook, push(), identity="one")
    for decision in (Decision.REFUSED, Decision.REPEATED):
        with pytest.raises(ProblemError) as caught:
            deliveries.replay(seller, hook.deliveries.get(decision=decision))
        assert caught.value.code == "HOOK-NO-BODY"


@pytest.mark.parametrize("provider", [*Provider])
def test_a_test_delivery_goes_all_the_way_and_builds_nothing(provider: Provider, seller: Any, listing: Listing) -> None:
    if provider == Provider.REGISTRY:
        made = versions.store_upload(seller, listing.team, UploadPurpose.BUNDLE, "b.tgz", BytesIO(b"b"), 1)
        ListingSource.objects.create(listing=listing, kind=SourceKind.IMAGE, image_reference=IMAGE, bundle=made)
    else:
        git_source(listing, URLS[provider])
    hook = make_webhook(seller, listing, provider, branches="main latest")
    test = deliveries.send_test(seller, hook)
    assert (test.decision, test.code, test.is_test) == (Decision.ACKNOWLEDGED, "HOOK-TEST", True)
    assert test.params["number"].startswith("0.0.1-")
    assert deliveries.send_test(seller, hook).code == "HOOK-TEST"
    assert deliveries.replay(seller, test).is_test
    assert (Version.objects.count(), Run.objects.count()) == (0, 0)
    webhooks.update_webhook(seller, hook, webhooks.Wanted([], ["v*"]))
    hook.refresh_from_db()
    assert deliveries.send_test(seller, hook).code == "HOOK-BRANCH"


def test_nothing_that_goes_wrong_leaves_half_a_version(hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(planning, "start_run", broken)
    with pytest.raises(RuntimeError):
        post(hook, push(), identity="one")
    assert (Version.objects.count(), Delivery.objects.count()) == (0, 0)
    monkeypatch.undo()
    assert post(hook, push(), identity="one").json()["decision"] == "built"
