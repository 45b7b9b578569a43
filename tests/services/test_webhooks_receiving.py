"""A webhook's address, provider by provider: who is let in, who is not, and what is kept of both."""

from __future__ import annotations

import gzip
import json
import time
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from listings import blobs
from listings.models import (
    Blob,
    Decision,
    Delivery,
    Listing,
    ListingSource,
    Provider,
    SourceKind,
    UploadPurpose,
    Version,
    Webhook,
)
from listings.services import deliveries, versions, webhooks
from tests.bad_input import provokes
from tests.hook_sending import (
    COMMIT,
    DIGEST,
    IMAGE,
    URLS,
    git_source,
    make_webhook,
    payload,
    post,
    secret_of,
    signed,
    standard,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def bundle(seller: Any, listing: Listing) -> Any:
    """The companion bundle of the image that is the listing's standing source."""
    content = b"a bundle"
    made = versions.store_upload(
        seller, listing.team, UploadPurpose.BUNDLE, "bundle.tar.gz", BytesIO(content), len(content)
    )
    ListingSource.objects.create(listing=listing, kind=SourceKind.IMAGE, image_reference=IMAGE, bundle=made)
    return made


PUSHES = {
    Provider.GITHUB: ("github-push", ""),
    Provider.GITLAB: ("gitlab-push", ""),
    Provider.BITBUCKET: ("bitbucket-push", ""),
    Provider.GITEA: ("gitea-push", ""),
    Provider.GENERIC: ("generic-build", ""),
}


@pytest.mark.parametrize("provider", [*PUSHES])
def test_a_rightly_signed_push_makes_a_version_of_the_listings_own_source(
    provider: Provider, seller: Any, listing: Listing
) -> None:
    git_source(listing, URLS[provider], directory="training")
    hook = make_webhook(seller, listing, provider)
    answer = post(hook, payload(PUSHES[provider][0]))
    told = answer.json()
    assert (answer.status_code, told["decision"], told["code"]) == (202, "built", ""), told
    version = Version.objects.get(listing=listing)
    assert (version.number, version.git_url, version.git_commit) == ("0.0.1-main.1", URLS[provider], COMMIT)
    assert (version.git_ref, version.git_branch, version.directory) == ("main", "main", "training")
    assert told["version"] == "0.0.1-main.1"
    assert told["run"] == version.runs.get().number
    assert told["url"].endswith(f"/versions/{version.number}/runs/1/")
    delivery = hook.deliveries.get()
    assert (delivery.version, delivery.ref, delivery.commit, delivery.sender) == (version, "main", COMMIT, "alice")


def _wrong(headers: dict[str, str]) -> dict[str, str]:
    """The same headers with a secret or signature that is one character off."""
    for name in ("X-Hub-Signature-256", "X-Gitlab-Token", "X-Hub-Signature", "X-Gitea-Signature", "Authorization"):
        if name in headers:
            last = "0" if headers[name][-1] != "0" else "1"
            return headers | {name: headers[name][:-1] + last}
    return headers | {"webhook-signature": "v1,AAAA" + headers["webhook-signature"][7:]}


@pytest.mark.parametrize("provider", [*Provider])
@provokes("HOOK-SIGNATURE", "wrong signature")
def test_a_wrong_signature_is_refused_and_the_right_one_taken(
    provider: Provider, seller: Any, listing: Listing
) -> None:
    hook = make_webhook(seller, listing, provider)
    body = json.dumps(payload(PUSHES.get(provider, ("registry-push", ""))[0])).encode()
    headers = signed(provider, secret_of(hook), body)
    for bad in (_wrong(headers), signed(provider, "whsec_c2VjcmV0", body), {}):
        answer = post(hook, body, bad)
        assert (answer.status_code, answer.json()["code"]) == (401, "HOOK-SIGNATURE")
    refused = list(hook.deliveries.all())
    assert {(row.decision, row.body, row.version) for row in refused} == {(Decision.REFUSED, None, None)}
    assert len(refused) == 3
    assert Blob.objects.count() == 0
    assert post(hook, body, headers).json()["code"] == "HOOK-NO-SOURCE"


@pytest.mark.parametrize("provider", [Provider.GITHUB, Provider.BITBUCKET, Provider.GITEA, Provider.GENERIC])
def test_a_changed_body_is_refused(provider: Provider, seller: Any, listing: Listing) -> None:
    hook = make_webhook(seller, listing, provider)
    body = json.dumps(payload(PUSHES[provider][0])).encode()
    headers = signed(provider, secret_of(hook), body)
    answer = post(hook, body.replace(b"main", b"evil"), headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "HOOK-SIGNATURE")


def test_githubs_old_signature_is_not_enough(seller: Any, listing: Listing) -> None:
    hook = make_webhook(seller, listing)
    answer = post(hook, payload("github-push"), {"X-GitHub-Event": "push", "X-Hub-Signature": "sha1=" + "a" * 40})
    assert answer.status_code == 401
    assert "SHA-1" in answer.json()["reason"]


def test_gitlabs_signing_token_is_taken_and_decides_alone(seller: Any, listing: Listing) -> None:
    git_source(listing, URLS[Provider.GITLAB])
    hook = make_webhook(seller, listing, Provider.GITLAB)
    body = json.dumps(payload("gitlab-push")).encode()
    own = {"X-Gitlab-Event": "Push Hook"}
    good = own | standard(secret_of(hook), body, "one")
    token = {"X-Gitlab-Token": secret_of(hook)}
    assert post(hook, body.replace(b"main", b"evil"), good | token).json()["code"] == "HOOK-SIGNATURE"
    assert post(hook, body, good).json()["decision"] == "built"


@provokes("HOOK-TIMESTAMP", "replayed old timestamp")
def test_an_old_request_sent_again_is_refused_and_a_fresh_one_taken(seller: Any, listing: Listing) -> None:
    git_source(listing, URLS[Provider.GENERIC])
    hook = make_webhook(seller, listing, Provider.GENERIC)
    body = json.dumps(payload("generic-build")).encode()
    for off in (-301, -86400, 301):
        answer = post(hook, body, standard(secret_of(hook), body, "one", int(time.time()) + off))
        assert (answer.status_code, answer.json()["code"]) == (401, "HOOK-TIMESTAMP")
    assert hook.deliveries.filter(decision=Decision.REFUSED).count() == 3
    assert Version.objects.count() == 0
    assert post(hook, body, standard(secret_of(hook), body, "one")).json()["decision"] == "built"


@pytest.mark.parametrize("stamp", ["", "now", "1e3", "٣", "-5", "9" * 400])
def test_a_timestamp_that_is_none_is_refused(stamp: str, seller: Any, listing: Listing) -> None:
    hook = make_webhook(seller, listing, Provider.GENERIC)
    headers = standard(secret_of(hook), b"{}", "one") | {"webhook-timestamp": stamp}
    assert post(hook, b"{}", headers).json()["code"] == "HOOK-SIGNATURE"


@pytest.mark.parametrize("signature", ["v1", "v1,", "v1,!!", "v2,AAAA", "v1,AAAA v1a,x", ",", " "])
def test_a_malformed_signature_is_refused(signature: str, seller: Any, listing: Listing) -> None:
    hook = make_webhook(seller, listing, Provider.GENERIC)
    headers = standard(secret_of(hook), b"{}", "one") | {"webhook-signature": signature}
    assert post(hook, b"{}", headers).status_code == 401


def test_both_secrets_hold_while_one_is_rotated_and_the_old_one_ends(seller: Any, listing: Listing) -> None:
    hook = make_webhook(seller, listing)
    oldest = secret_of(hook)
    webhooks.rotate_secret(seller, hook)
    old = secret_of(hook)
    new = webhooks.rotate_secret(seller, hook)
    body = json.dumps(payload("github-ping")).encode()

    def status(secret: str) -> int:
        return int(post(hook, body, signed(Provider.GITHUB, secret, body, event="ping")).status_code)

    assert [status(secret) for secret in (oldest, old, new)] == [401, 200, 200]
    webhooks.end_previous_secret(seller, hook)
    assert [status(secret) for secret in (old, new)] == [401, 200]


def test_the_old_secret_ends_by_itself(seller: Any, listing: Listing) -> None:
    hook = make_webhook(seller, listing)
    old = secret_of(hook)
    webhooks.rotate_secret(seller, hook, timezone.now() - timedelta(hours=23, minutes=59))
    body = json.dumps(payload("github-ping")).encode()
    headers = signed(Provider.GITHUB, old, body, event="ping")
    assert post(hook, body, headers).status_code == 200
    Webhook.objects.filter(pk=hook.pk).update(previous_until=timezone.now() - timedelta(seconds=1))
    assert post(hook, body, headers).status_code == 401


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{}", "text/plain", 415, "HOOK-CONTENT-TYPE"),
        (b"{}", "multipart/form-data; boundary=x", 415, "HOOK-CONTENT-TYPE"),
        (b"[]", "application/json", 400, "HOOK-NOT-JSON"),
        (b"\xff\xfe", "application/json", 400, "HOOK-NOT-JSON"),
        (b"payload=%7B", "application/x-www-form-urlencoded", 400, "HOOK-NOT-JSON"),
        (b"a=1", "application/x-www-form-urlencoded", 400, "HOOK-NOT-JSON"),
        (b"&".join([b"a=1"] * 50), "application/x-www-form-urlencoded", 400, "HOOK-NOT-JSON"),
        (b'{"a":' * 100_000, "application/json", 400, "HOOK-NOT-JSON"),
        (b"[" * 1_000_000, "application/json", 400, "HOOK-NOT-JSON"),
        (b"1" * 5000, "application/json", 400, "HOOK-NOT-JSON"),
    ],
)
def test_what_is_no_json_of_a_provider_is_refused(
    body: bytes, content_type: str, status: int, code: str, seller: Any, listing: Listing
) -> None:
    hook = make_webhook(seller, listing)
    answer = post(hook, body, content_type=content_type)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert hook.deliveries.get().body is None


STRANGE: dict[Provider, list[dict[str, Any]]] = {
    Provider.GITHUB: [{}, {"ref": 5}, {"ref": "refs/heads/main", "after": "x"}, payload("gitlab-push")],
    Provider.GITLAB: [{}, {"object_kind": []}, {"object_kind": "push"}, payload("github-push")],
    Provider.BITBUCKET: [{}, {"push": {"changes": "no"}}, payload("github-push")],
    Provider.GITEA: [{}, {"ref": "refs/heads/main", "after": COMMIT}, payload("bitbucket-push")],
    Provider.REGISTRY: [{}, {"events": []}, {"events": [1]}, {"events": [{"action": "push"}]}],
    Provider.GENERIC: [{}, {"type": "slipway.build"}, {"type": "slipway.build", "data": {"ref": "a", "tag": "b"}}],
}


@pytest.mark.parametrize("provider", [*Provider])
@provokes("HOOK-NOT-PROVIDERS", "JSON that is not the provider's")
def test_json_of_somebody_else_is_refused_and_the_providers_own_taken(
    provider: Provider, seller: Any, listing: Listing
) -> None:
    hook = make_webhook(seller, listing, provider)
    for strange in STRANGE[provider]:
        answer = post(hook, strange)
        assert (answer.status_code, answer.json()["code"]) == (422, "HOOK-NOT-PROVIDERS"), strange
    assert {row.decision for row in hook.deliveries.all()} == {Decision.REFUSED}
    own = payload(PUSHES.get(provider, ("registry-push", ""))[0])
    assert post(hook, own).json()["code"] == "HOOK-NO-SOURCE"


@pytest.mark.parametrize(
    "commit", ["HEAD", "--upload-pack=touch /tmp/x", COMMIT[:7], COMMIT.upper(), "g" * 40, 7, None]
)
def test_a_commit_that_is_no_commit_id_is_refused(commit: Any, seller: Any, listing: Listing) -> None:
    git_source(listing)
    hook = make_webhook(seller, listing)
    answer = post(hook, payload("github-push") | {"after": commit})
    assert (answer.status_code, answer.json()["code"]) == (422, "HOOK-NOT-PROVIDERS")


def test_githubs_form_is_read(seller: Any, listing: Listing) -> None:
    from urllib.parse import urlencode

    git_source(listing)
    hook = make_webhook(seller, listing)
    body = urlencode({"payload": json.dumps(payload("github-push"))}).encode()
    assert post(hook, body, content_type="application/x-www-form-urlencoded").json()["decision"] == "built"


def test_an_unknown_address_and_another_method(seller: Any, listing: Listing, client: Client) -> None:
    hook = make_webhook(seller, listing)
    url = reverse("hook", args=[hook.pk])
    hook.delete()
    answer = client.post(url, b"{}", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (404, "HOOK-UNKNOWN")
    for method in ("get", "put", "delete", "patch", "options"):
        answer = getattr(client, method)(url)
        assert (answer.status_code, answer.json()["code"], answer["Allow"]) == (405, "HOOK-METHOD", "POST")


def test_no_cookie_is_needed_and_none_is_set(seller: Any, listing: Listing) -> None:
    hook = make_webhook(seller, listing)
    client = Client(enforce_csrf_checks=True)
    answer = post(hook, payload("github-ping"), event="ping", client=client)
    assert (answer.status_code, answer.json()["code"]) == (200, "HOOK-PING")
    assert not client.cookies


def test_a_registry_push_makes_a_version_of_the_digest(seller: Any, listing: Listing, bundle: Any) -> None:
    hook = make_webhook(seller, listing, Provider.REGISTRY, branches="latest")
    told = post(hook, payload("registry-push")).json()
    assert (told["decision"], told["version"]) == ("built", "1.2.3")
    version = Version.objects.get(number="1.2.3")
    assert version.image_reference == f"{IMAGE.removesuffix(':latest')}@{DIGEST}"
    assert (version.image_digest, version.source) == (DIGEST, bundle)
    assert post(hook, payload("registry-latest")).json()["version"] == "1.2.4-latest.1"
    assert post(hook, payload("registry-blob")).json()["code"] == "HOOK-EVENT"
    assert post(hook, payload("registry-pull")).json()["code"] == "HOOK-EVENT"


def test_what_is_kept_holds_no_secret(seller: Any, listing: Listing) -> None:
    git_source(listing)
    hook = make_webhook(seller, listing)
    secret = secret_of(hook)
    body = payload("github-push") | {
        "token": "t0k", "installation": {"access_token": "acc", "id": 5}, "note": f"my secret is {secret}",
        "mirror": "https://bob:hunter2@git.example/x.git", "list": [{"password": "pw", "deploy_key_url": "kept"}],
    }  # fmt: skip
    raw = json.dumps(body).encode()
    headers = signed(Provider.GITHUB, secret, raw) | {
        "Cookie": "sessionid=abc", "Authorization": "Basic eA==", "X-Api-Key": "k3y", "X-Odd": "odd",
    }  # fmt: skip
    post(hook, raw, headers)
    delivery = hook.deliveries.get()
    kept = deliveries.stored_body(delivery)
    assert kept is not None
    text = json.dumps(kept[0]) + json.dumps(delivery.headers)
    for hidden in (secret, "t0k", '"acc"', "hunter2", '"pw"', "sessionid", "eA==", "k3y", "odd", "sha256="):
        assert hidden not in text
    assert kept[0]["mirror"] == "https://git.example/x.git"
    assert kept[0]["list"][0]["deploy_key_url"] == "kept"
    assert kept[0]["head_commit"]["id"] == COMMIT
    assert delivery.headers["x-github-event"] == "push"
    assert delivery.headers["x-hub-signature-256"] == "(removed)"


def test_who_knows_no_secret_hides_no_mistake_of_who_does(
    seller: Any, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "REFUSED_KEPT", 3)
    hook = make_webhook(seller, listing)
    assert post(hook, {"ref": 1}).json()["code"] == "HOOK-NOT-PROVIDERS"
    for number in range(5):
        post(hook, str(number).encode(), {"X-GitHub-Event": "push"})
    kept = list(hook.deliveries.values_list("code", flat=True))
    assert sorted(kept) == ["HOOK-NOT-PROVIDERS", *["HOOK-SIGNATURE"] * 3]


def test_who_knows_no_secret_fills_neither_table_nor_storage(
    seller: Any, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "REFUSED_KEPT", 5)
    monkeypatch.setattr(deliveries, "VERIFIED_KEPT", 4)
    hook = make_webhook(seller, listing)
    for _ in range(3):
        post(hook, payload("github-ping"), event="ping")
    noise = {f"X-Noise-{n}-Token": "z" * 500 for n in range(90)} | {"X-GitHub-Event": "e" * 9000}
    for n in range(12):
        post(hook, b"x" * 1000 + str(n).encode(), noise)
    refused = list(hook.deliveries.filter(decision=Decision.REFUSED))
    assert len(refused) == 5
    assert all(len(json.dumps(row.headers)) < 3000 and row.body is None and len(row.event) <= 60 for row in refused)
    assert hook.deliveries.exclude(decision=Decision.REFUSED).count() == 3
    for _ in range(3):
        post(hook, payload("github-ping"), event="ping")
    assert hook.deliveries.exclude(decision=Decision.REFUSED).count() == 4
    assert Blob.objects.count() == 4


def test_a_pruned_delivery_takes_its_body_and_its_replays_along(
    seller: Any, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = make_webhook(seller, listing)
    post(hook, payload("github-ping"), event="ping")
    first = hook.deliveries.get()
    deliveries.replay(seller, first)
    deliveries.replay(seller, first)
    monkeypatch.setattr(deliveries, "VERIFIED_KEPT", 2)
    post(hook, payload("github-ping"), event="ping")
    assert not Delivery.objects.filter(pk=first.pk).exists()
    assert first.body_id
    assert Blob.objects.filter(pk=first.body_id).count() == Delivery.objects.filter(body=first.body_id).count() == 0
    with pytest.raises(FileNotFoundError):
        blobs.open_blob(first.body_id)


def test_a_compressed_body_is_what_was_signed(seller: Any, listing: Listing) -> None:
    """Nothing is unpacked: a body that only becomes JSON by that is none."""
    hook = make_webhook(seller, listing)
    assert post(hook, gzip.compress(b"{}")).json()["code"] == "HOOK-NOT-JSON"
