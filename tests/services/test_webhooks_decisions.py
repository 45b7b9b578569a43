"""What becomes of a delivery that was rightly signed: the decision table, version numbers, and what comes twice."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from listings.hooks.events import REFS_AT_MOST
from listings.models import (
    Decision,
    Listing,
    ListingSource,
    Provider,
    Run,
    SourceKind,
    UploadPurpose,
    Version,
    Webhook,
)
from listings.models.runs import Trigger
from listings.problems import ProblemError
from listings.services import deliveries, listings, planning, releases, versions, webhooks
from listings.services.origins import Origin
from listings.states import RunState
from tests import flow
from tests.hook_sending import COMMIT, DIGEST, IMAGE, URLS, git_source, make_webhook, payload, post, push, tag

pytestmark = pytest.mark.django_db
OTHER = "a" * 40


@pytest.fixture
def hook(seller: Any, listing: Listing) -> Webhook:
    git_source(listing)
    return make_webhook(seller, listing)


#: provider, payload, event header -> decision, code, what of the reason must be there
TABLE = [
    (Provider.GITHUB, "github-push", "push", "built", "", "0.0.1-main.1"),
    (Provider.GITHUB, "github-tag", "push", "built", "", "1.2.3"),
    (Provider.GITHUB, "github-ping", "ping", "acknowledged", "HOOK-PING", "GitHub"),
    (Provider.GITHUB, "github-delete", "push", "ignored", "HOOK-DELETED", "old"),
    (Provider.GITHUB, "github-pull-request", "pull_request", "ignored", "HOOK-PULL-REQUEST", "pull_request"),
    (Provider.GITHUB, "github-pull-request", "pull_request_target", "ignored", "HOOK-PULL-REQUEST", ""),
    (Provider.GITHUB, "github-pull-request", "issues", "ignored", "HOOK-EVENT", "issues"),
    (Provider.GITLAB, "gitlab-push", "Push Hook", "built", "", "0.0.1-main.1"),
    (Provider.GITLAB, "gitlab-tag", "Tag Push Hook", "built", "", "1.2.3"),
    (Provider.GITLAB, "gitlab-delete", "Push Hook", "ignored", "HOOK-DELETED", "old"),
    (Provider.GITLAB, "gitlab-merge-request", "Merge Request Hook", "ignored", "HOOK-PULL-REQUEST", ""),
    (Provider.BITBUCKET, "bitbucket-push", "repo:push", "built", "", "0.0.1-main.1"),
    (Provider.BITBUCKET, "bitbucket-tag", "repo:push", "built", "", "1.2.3"),
    (Provider.BITBUCKET, "bitbucket-delete", "repo:push", "ignored", "HOOK-DELETED", "old"),
    (Provider.BITBUCKET, "bitbucket-data-center-push", "repo:refs_changed", "built", "", "0.0.1-main.1"),
    (Provider.BITBUCKET, "generic-ping", "diagnostics:ping", "acknowledged", "HOOK-PING", ""),
    (Provider.BITBUCKET, "bitbucket-push", "pullrequest:created", "ignored", "HOOK-PULL-REQUEST", ""),
    (Provider.GITEA, "gitea-push", "push", "built", "", "0.0.1-main.1"),
    (Provider.GITEA, "gitea-tag", "push", "built", "", "1.2.3"),
    (Provider.GITEA, "gitea-delete", "delete", "ignored", "HOOK-DELETED", "old"),
    (Provider.GITEA, "gitea-push", "pull_request", "ignored", "HOOK-PULL-REQUEST", ""),
    (Provider.GENERIC, "generic-build", "", "built", "", "0.0.1-main.1"),
    (Provider.GENERIC, "generic-tag", "", "built", "", "1.2.3"),
    (Provider.GENERIC, "generic-ping", "", "acknowledged", "HOOK-PING", ""),
]


@pytest.mark.parametrize(("provider", "name", "event", "decision", "code", "words"), TABLE)
def test_the_decision_table(
    provider: Provider, name: str, event: str, decision: str, code: str, words: str, seller: Any, listing: Listing
) -> None:
    git_source(listing, URLS[provider])
    hook = make_webhook(seller, listing, provider)
    answer = post(hook, payload(name), event=event)
    told = answer.json()
    assert (told["decision"], told["code"]) == (decision, code), told
    assert words in told["reason"]
    assert answer.status_code == (202 if decision == "built" else 200)
    assert Version.objects.count() == (1 if decision == "built" else 0)
    kept = hook.deliveries.get()
    assert (kept.decision, kept.code, kept.status) == (decision, code, answer.status_code)
    assert kept.body is not None
    if decision == "built":
        assert Version.objects.get().git_commit == COMMIT
        assert Version.objects.get().runs.get().trigger == Trigger.WEBHOOK


@pytest.mark.parametrize(
    ("ref", "code"),
    [
        ("refs/heads/topic", "HOOK-BRANCH"),
        ("refs/tags/nightly", "HOOK-TAG"),
        ("refs/tags/very-new", "HOOK-TAG-NAME"),
        ("refs/tags/v1.2", "HOOK-TAG-NAME"),
        ("refs/tags/v1.2.3+build", "HOOK-TAG-NAME"),
        ("refs/tags/v01.2.3", "HOOK-TAG-NAME"),
        ("refs/notes/commits", "HOOK-REF"),
        ("refs/pull/7/head", "HOOK-REF"),
        ("refs/heads/--upload-pack=x", "HOOK-REF"),
        ("refs/heads/a b", "HOOK-REF"),
        ("refs/heads/a\0b", "HOOK-REF"),
        ("refs/heads/a\ud800b", "HOOK-REF"),
        ("refs/heads/a..b", "HOOK-REF"),
        ("refs/heads/" + "x" * 300, "HOOK-REF"),
        ("refs/heads/", "HOOK-REF"),
        ("main", "HOOK-REF"),
    ],
)
def test_refs_that_are_not_built_are_listed_with_the_reason(ref: str, code: str, hook: Webhook) -> None:
    answer = post(hook, push(ref))
    assert (answer.status_code, answer.json()["code"]) == (200, code)
    kept = hook.deliveries.get()
    assert (kept.decision, kept.version, kept.body is not None) == (Decision.IGNORED, None, True)


def test_a_disabled_webhook_an_archived_listing_and_one_without_source(seller: Any, hook: Webhook) -> None:
    webhooks.set_enabled(seller, hook, False)
    assert post(hook, push()).json()["code"] == "HOOK-DISABLED"
    assert post(hook, payload("github-ping"), event="ping").json()["code"] == "HOOK-PING"
    webhooks.set_enabled(seller, hook, True)
    listings.archive_listing(seller, hook.listing)
    assert post(hook, push()).json()["code"] == "HOOK-ARCHIVED"
    hook.listing.refresh_from_db()
    listings.restore_listing(seller, hook.listing)
    ListingSource.objects.all().delete()
    assert post(hook, push()).json()["code"] == "HOOK-NO-SOURCE"
    assert Version.objects.count() == 0


@pytest.mark.parametrize(
    ("paths", "changed", "decision"),
    [
        ("src/**", ["src/train.py"], "built"),
        ("src/**", ["README.md", "src/a/b.py"], "built"),
        ("src/**", ["README.md"], "ignored"),
        ("!docs/**", ["docs/a.md"], "ignored"),
        ("!docs/**", ["docs/a.md", "Dockerfile"], "built"),
        ("src/** !src/*.md", ["src/a.md"], "ignored"),
        ("src/**", [], "ignored"),
    ],
)
def test_only_files_that_matter_are_built(
    paths: str, changed: list[str], decision: str, seller: Any, listing: Listing
) -> None:
    git_source(listing)
    hook = make_webhook(seller, listing, paths=paths)
    commits = [{"id": COMMIT, "added": [], "modified": changed, "removed": []}]
    told = post(hook, push(commits=commits)).json()
    assert told["decision"] == decision
    assert told["code"] == ("" if decision == "built" else "HOOK-PATHS")


@pytest.mark.parametrize(
    ("provider", "name", "change"),
    [
        (Provider.BITBUCKET, "bitbucket-push", {}),
        (Provider.GITHUB, "github-push", {"commits": []}),
        (Provider.GITLAB, "gitlab-push", {"total_commits_count": 21}),
        (Provider.GITEA, "gitea-push", {"total_commits": 99}),
    ],
)
def test_files_that_nobody_names_keep_nothing_from_being_built(
    provider: Provider, name: str, change: dict[str, Any], seller: Any, listing: Listing
) -> None:
    git_source(listing, URLS[provider])
    hook = make_webhook(seller, listing, provider, paths="nowhere/**")
    told = post(hook, payload(name) | change).json()
    assert (told["decision"], told["code"]) == ("built", "HOOK-PATHS-UNKNOWN")
    assert "were not asked" in told["reason"]


def test_a_tag_is_built_whatever_files_changed(seller: Any, listing: Listing) -> None:
    git_source(listing)
    hook = make_webhook(seller, listing, paths="nowhere/**")
    assert post(hook, payload("github-tag")).json()["version"] == "1.2.3"


def test_a_forged_payload_leads_nowhere(hook: Webhook) -> None:
    evil = {"full_name": "mallory/decision-trees", "clone_url": "file:///etc", "ssh_url": "ext::sh -c id"}
    told = post(hook, push(repository=evil)).json()
    assert (told["decision"], told["code"]) == ("ignored", "HOOK-REPOSITORY")
    assert Version.objects.count() == 0
    odd = {"full_name": "a\0\ud800\u202e/" + "x" * 5000}
    assert post(hook, push(repository=odd, sender={"login": "\0" + "y" * 500})).json()["code"] == "HOOK-REPOSITORY"
    mixed = payload("github-push")["repository"] | {"clone_url": "http://169.254.169.254/x.git", "fork": True}
    assert post(hook, push(repository=mixed)).json()["decision"] == "built"
    version = Version.objects.get()
    assert version.git_url == URLS[Provider.GITHUB]
    assert "169.254" not in f"{version.git_ref} {version.git_commit} {version.directory} {version.notes}"


def test_a_push_for_a_listing_that_is_built_from_an_image(seller: Any, listing: Listing) -> None:
    made = versions.store_upload(seller, listing.team, UploadPurpose.BUNDLE, "b.tgz", BytesIO(b"b"), 1)
    ListingSource.objects.create(listing=listing, kind=SourceKind.IMAGE, image_reference=IMAGE, bundle=made)
    assert post(make_webhook(seller, listing), push()).json()["code"] == "HOOK-SOURCE-KIND"
    registry = make_webhook(seller, listing, Provider.REGISTRY, branches="latest")
    event = payload("registry-latest")["events"][0]
    strange = event | {"target": event["target"] | {"repository": "mallory/decision-trees"}}
    assert post(registry, {"events": [strange]}).json()["code"] == "HOOK-REPOSITORY"
    assert post(registry, payload("registry-latest")).json()["version"] == "0.0.1-latest.1"
    again = event | {"id": "another"}
    assert post(registry, {"events": [again]}).json()["code"] == "HOOK-SAME-COMMIT"
    moved = event | {"target": event["target"] | {"digest": "sha256:" + "0" * 64}}
    assert post(registry, {"events": [moved]}).json()["version"] == "0.0.1-latest.2"
    flow.plan_all()
    first, second = Run.objects.order_by("created_at")
    assert (first.state, second.state) == (RunState.SUPERSEDED, RunState.ACTIVE)
    assert post(registry, payload("registry-push")).json()["version"] == "1.2.3"
    target = payload("registry-push")["events"][0]["target"] | {"digest": "sha256:" + "1" * 64}
    told = post(registry, {"events": [event | {"target": target}]}).json()
    assert (told["decision"], told["code"]) == ("failed", "HOOK-TAG-MOVED")
    assert Version.objects.get(number="1.2.3").image_digest == DIGEST


@pytest.mark.parametrize("tag", ["a b", "a/b", "x" * 129, "-x", 5])
def test_an_image_tag_that_is_none_builds_nothing(tag: Any, seller: Any, listing: Listing) -> None:
    registry = make_webhook(seller, listing, Provider.REGISTRY, branches="**")
    event = payload("registry-latest")["events"][0]
    told = post(registry, {"events": [event | {"target": event["target"] | {"tag": tag}}]}).json()
    assert told["code"] == "HOOK-REF"


def test_a_tag_with_the_same_commit_is_acknowledged_and_a_moved_one_overwrites_nothing(hook: Webhook) -> None:
    assert post(hook, tag()).json()["version"] == "1.2.3"
    told = post(hook, tag()).json()
    assert (told["decision"], told["code"], told["version"], told["run"]) == (
        "acknowledged",
        "HOOK-TAG-EXISTS",
        "1.2.3",
        1,
    )
    assert told["url"].endswith("/runs/1/")
    answer = post(hook, tag(commit=OTHER))
    assert (answer.status_code, answer.json()["decision"], answer.json()["code"]) == (200, "failed", "HOOK-TAG-MOVED")
    assert COMMIT[:7] in answer.json()["reason"]
    version = Version.objects.get()
    assert (version.git_commit, version.runs.count()) == (COMMIT, 1)


def test_a_number_that_an_upload_has_is_not_overwritten(hook: Webhook, draft: Version) -> None:
    told = post(hook, tag("v1.0.0")).json()
    assert (told["decision"], told["code"], told["version"]) == ("failed", "HOOK-NUMBER-TAKEN", "1.0.0")


def test_a_version_that_somebody_made_from_the_tag_is_the_tags(seller: Any, hook: Webhook) -> None:
    origin = Origin(SourceKind.GIT, git_url=URLS[Provider.GITHUB], git_ref="v2.0.0")
    versions.create_version(seller, hook.listing, number="2.0.0", source=origin)
    assert post(hook, tag("v2.0.0")).json()["code"] == "HOOK-TAG-EXISTS"


def test_branches_count_from_the_highest_full_version(seller: Any, hook: Webhook, upload: Any) -> None:
    def pushed(digit: int) -> str:
        return str(post(hook, push(commit=str(digit) * 40)).json()["version"])

    assert pushed(1) == "0.0.1-main.1"
    for number in ("1.4.9", "1.4.10-rc.1", "1.3.99"):
        versions.create_version(seller, hook.listing, number=number, source=upload)
    assert [pushed(n) for n in (2, 3)] == ["1.4.10-main.1", "1.4.10-main.2"]
    versions.create_version(seller, hook.listing, number="1.4.10-main.3", source=upload)
    versions.create_version(seller, hook.listing, number="1.4.10-main.x", source=upload)
    assert pushed(4) == "1.4.10-main.4"


def test_a_number_taken_meanwhile_is_stepped_over(hook: Webhook, upload: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real, told = versions.create_version, []

    def slow(user: Any, listing: Listing, **fields: Any) -> Version:
        if not told:
            told.append(real(None, listing, number=fields["number"], source=upload))
        return real(user, listing, **fields)

    monkeypatch.setattr(versions, "create_version", slow)
    assert post(hook, push()).json()["version"] == "0.0.1-main.2"


def test_a_branchs_version_can_be_tested_and_not_released(seller: Any, hook: Webhook) -> None:
    post(hook, push())
    run = Run.objects.get()
    planning.plan(run)
    assert flow.run_through(run).state == RunState.PASSED
    with pytest.raises(ProblemError) as caught:
        releases.request_release(seller, run.version)
    assert caught.value.code == "RELEASE-PRERELEASE"


def test_a_commit_that_is_pushed_again_has_its_version(hook: Webhook) -> None:
    first = post(hook, push()).json()
    told = post(hook, push()).json()
    assert (told["decision"], told["code"]) == ("acknowledged", "HOOK-SAME-COMMIT")
    assert (told["version"], told["run"], told["url"]) == (first["version"], first["run"], first["url"])
    assert Version.objects.count() == 1


def test_refs_beyond_the_limit_of_one_request_are_listed_by_name(seller: Any, listing: Listing) -> None:
    git_source(listing, URLS[Provider.BITBUCKET])
    hook = make_webhook(seller, listing, Provider.BITBUCKET)
    body = payload("bitbucket-two-changes")
    new = {"type": "branch", "target": {"type": "commit", "hash": COMMIT}}
    changes = [{"new": new | {"name": f"side-{number}"}, "old": None} for number in range(REFS_AT_MOST + 2)]
    told = post(hook, body | {"push": {"changes": changes}}, identity="many").json()
    assert len(told["deliveries"]) == REFS_AT_MOST + 1
    cut = hook.deliveries.get(code="HOOK-REFS-LEFT-OUT")
    assert cut.decision == "ignored"
    assert f"side-{REFS_AT_MOST}, side-{REFS_AT_MOST + 1}" in deliveries.reason(cut)


def test_one_request_with_two_changes_is_two_deliveries(seller: Any, listing: Listing) -> None:
    git_source(listing, URLS[Provider.BITBUCKET])
    hook = make_webhook(seller, listing, Provider.BITBUCKET)
    told = post(hook, payload("bitbucket-two-changes"), identity="two").json()
    assert (told["decision"], told["version"]) == ("built", "0.0.1-main.1")
    assert [part["code"] for part in told["deliveries"]] == ["", "HOOK-BRANCH"]
    assert sorted(hook.deliveries.values_list("key", flat=True)) == ["two#0", "two#1"]
    again = post(hook, payload("bitbucket-two-changes"), identity="two").json()
    assert [part["decision"] for part in again["deliveries"]] == ["repeated", "repeated"]
    side = hook.deliveries.get(key="two#1", decision=Decision.IGNORED)
    assert deliveries.replay(seller, side).ref == "wip/x"
