"""Staged images: which are kept, which are removed from the registry, and what a run whose image is gone is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from listings.models import Attempt, Release, Run, Version
from listings.reports import StepReport
from listings.services import retention, versions
from listings.states import ReleaseState, RunState
from tests import flow
from tests.registry_fixtures import Registry, registry
from tests.seller_registry import image
from workers import freeing
from workers.registries import Credentials, RegistryClient
from workers.registries import Registry as Named

__all__ = ["registry"]

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def passed(seller: Any, version: Version, *, days: int, repository: str = "staging/a", digest: str = "sha256:a") -> Run:
    facts = {"staging_repository": repository, "digest": digest, "media_type": "m"}
    run = flow.run_through(versions.submit_version(seller, version), build=StepReport(facts))
    assert run.state == RunState.PASSED
    Run.objects.filter(pk=run.pk).update(finished_at=NOW - timedelta(days=days))
    return run


def found() -> list[str]:
    return [image.repository for image in retention.unneeded_images(NOW)]


def test_the_image_that_may_still_be_released_is_kept(seller: Any, draft: Version) -> None:
    passed(seller, draft, days=400)
    assert found() == []


def test_what_can_never_be_released_goes_after_its_days(seller: Any, draft: Version) -> None:
    run = passed(seller, draft, days=29)
    Version.objects.filter(pk=draft.pk).update(number="1.0.1-main.1")
    assert found() == []
    Run.objects.filter(pk=run.pk).update(finished_at=NOW - timedelta(days=31))
    assert found() == ["staging/a"]


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.ACTIVE])
def test_a_failed_run_goes_and_an_active_one_stays(state: RunState, seller: Any, draft: Version) -> None:
    run = passed(seller, draft, days=31)
    Run.objects.filter(pk=run.pk).update(state=state)
    assert found() == (["staging/a"] if state == RunState.FAILED else [])


@pytest.mark.parametrize("state", [ReleaseState.PUBLISHED, ReleaseState.IN_REVIEW, ReleaseState.WITHDRAWN])
def test_a_released_version_needs_its_image_no_more(state: ReleaseState, seller: Any, draft: Version) -> None:
    run = passed(seller, draft, days=31)
    Release.objects.create(version=draft, run=run, state=state)
    assert found() == (["staging/a"] if state == ReleaseState.PUBLISHED else [])


def test_an_image_that_was_fetched_counts_as_well(seller: Any, draft: Version) -> None:
    run = passed(seller, draft, days=31)
    Version.objects.filter(pk=draft.pk).update(number="1.0.1-main.1")
    Attempt.objects.filter(step__run=run, step__name="build").update(facts={})
    fetched = {"image": {"staging_repository": "staging/b", "digest": "sha256:b"}}
    Attempt.objects.filter(step__run=run, step__name="fetch").update(facts=fetched)
    assert found() == ["staging/b"]


def test_zero_days_keep_everything(seller: Any, draft: Version, settings: Any) -> None:
    passed(seller, draft, days=31)
    Version.objects.filter(pk=draft.pk).update(number="1.0.1-main.1")
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"staging_days": 0})
    assert found() == []


def test_what_nobody_needs_is_removed_once(
    seller: Any, draft: Version, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = Named(f"http://{registry.host}", registry.host, registry.host, Credentials(*registry.auth))
    monkeypatch.setattr(freeing, "staging", lambda: where)
    with RegistryClient(where) as client:
        digest = image([b"a layer"]).push(client, "staging/old", "v")
        passed(seller, draft, days=31, repository="staging/old", digest=digest)
        assert freeing.free_staged_images() == 0
        Version.objects.filter(pk=draft.pk).update(number="1.0.1-main.1")
        assert freeing.free_staged_images() == 1
        assert client.find("staging/old", "v") is None
    assert freeing.free_staged_images() == 0


def test_a_registry_that_is_down_is_asked_again(
    seller: Any, draft: Version, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(freeing, "staging", lambda: Named("http://127.0.0.1:1", "x", "x"))
    passed(seller, draft, days=31)
    Version.objects.filter(pk=draft.pk).update(number="1.0.1-main.1")
    assert freeing.free_staged_images() == 0
    assert "could not be removed" in caplog.text
    assert found() == ["staging/a"]
