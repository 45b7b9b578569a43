"""``/metrics``: what was made in the test is what a Prometheus parser reads."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from listings.models import Attempt, Delivery, Run, Webhook, WorkerProcess
from listings.queries.metrics import OUTCOMES
from listings.services import leases, versions
from listings.states import AttemptState, StepName
from portal import live, metrics
from tests import flow

pytestmark = pytest.mark.django_db(transaction=True)
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def unkept() -> None:
    metrics.kept.forget()


@pytest.fixture
def run(seller: Any, draft: Any) -> Run:
    return versions.submit_version(seller, draft)


def scrape(**headers: str) -> Samples:
    answer = Client().get("/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(answer.content.decode()))
    assert all(family.documentation for family in families)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_attempts_and_their_durations_by_step_and_outcome(run: Run) -> None:
    flow.end(run, "fetch")
    flow.end(run, "build", flow.failed())
    ended = timezone.now()
    for name, seconds in (("fetch", 3), ("build", 70)):
        Attempt.objects.filter(step__run=run, step__name=name).update(
            started_at=ended - timedelta(seconds=seconds), finished_at=ended
        )
    samples = scrape()
    assert value(samples, "slipway_attempts_total", step="fetch", outcome="succeeded") == 1
    assert value(samples, "slipway_attempts_total", step="build", outcome="failed") == 1
    assert value(samples, "slipway_attempts_total", step="push", outcome="succeeded") == 0
    bucket = "slipway_step_duration_seconds_bucket"
    assert [value(samples, bucket, step="fetch", le=le) for le in ("1.0", "5.0", "+Inf")] == [0, 1, 1]
    assert [value(samples, bucket, step="build", le=le) for le in ("60.0", "300.0", "+Inf")] == [0, 1, 1]
    assert value(samples, "slipway_step_duration_seconds_sum", step="build") == pytest.approx(70)
    assert value(samples, "slipway_step_duration_seconds_count", step="build") == 1
    assert value(samples, "slipway_runs", state="failed") == 1


def test_what_waits_and_for_how_long(run: Run) -> None:
    Attempt.objects.update(created_at=timezone.now() - timedelta(seconds=90))
    samples = scrape()
    assert value(samples, "slipway_queue_length", queue="engine", step="fetch") == 1
    assert 90 <= value(samples, "slipway_queue_oldest_age_seconds", queue="engine", step="fetch") < 120
    assert value(samples, "slipway_queue_length", queue="control", step="register") == 0
    assert value(samples, "slipway_queue_oldest_age_seconds", queue="control", step="register") == 0
    metrics.kept.forget()
    flow.claim(run, "fetch")
    samples = scrape()
    assert value(samples, "slipway_queue_length", queue="engine", step="fetch") == 0
    assert value(samples, "slipway_attempts_running", step="fetch") == 1
    assert value(samples, "slipway_worker_slots_busy", queue="engine") == 1


def test_a_lost_lease_is_counted(run: Run) -> None:
    claim = flow.claim(run, "fetch")
    Attempt.objects.filter(pk=claim.attempt.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert leases.lose_expired() == 1
    samples = scrape()
    assert value(samples, "slipway_leases_lost_total") == 1
    assert value(samples, "slipway_attempts_total", step="fetch", outcome="lost") == 1
    # When it died is not known, so it has no duration.
    assert value(samples, "slipway_step_duration_seconds_count", step="fetch") == 0


def test_workers_their_disks_and_what_they_reaped() -> None:
    rows = (("engine@a", "engine", 2, 0), ("engine@b", "engine", 0, 0), ("engine@c", "engine", 4, 99),
            ("control@a", "control", 1, 0))  # fmt: skip
    for name, queue, slots, silent in rows:
        WorkerProcess.objects.create(
            name=name, queue=queue, host=name[-1], boot=uuid.uuid4(), slots=slots,
            seen_at=timezone.now() - timedelta(seconds=silent),
            detail={"disk": {"free_bytes": 5}, "reaped": {"container": 3}} if name == "engine@a" else {},
        )  # fmt: skip
    samples = scrape()
    assert value(samples, "slipway_workers", queue="engine", state="ready") == 1
    assert value(samples, "slipway_workers", queue="engine", state="unready") == 1
    assert value(samples, "slipway_workers", queue="control", state="ready") == 1
    assert value(samples, "slipway_worker_slots", queue="engine") == 2
    assert value(samples, "slipway_worker_disk_free_bytes", worker="engine@a") == 5
    assert value(samples, "slipway_reaped_total", host="a", kind="container") == 3


def test_deliveries_by_provider_and_decision(listing: Any) -> None:
    webhook = Webhook.objects.create(listing=listing, provider="gitea", sealed="-")
    for key, decision in (("1", "built"), ("2", "ignored"), ("3", "ignored")):
        Delivery.objects.create(webhook=webhook, key=key, decision=decision, status=202)
    samples = scrape()
    assert value(samples, "slipway_webhook_deliveries_total", provider="gitea", decision="ignored") == 2
    assert value(samples, "slipway_webhook_deliveries_total", provider="gitea", decision="built") == 1


def test_viewers_of_this_process_and_the_rest_of_it(monkeypatch: Any) -> None:
    monkeypatch.setattr(live, "metrics", live.Metrics(viewers=7, opened=9))
    samples = scrape()
    [(_, viewers)] = [(key, found) for key, found in samples.items() if key[0] == "slipway_live_viewers"]
    assert viewers == 7
    assert value(samples, "slipway_dependency_up", dependency="database") == 1
    assert value(samples, "slipway_storage_free_bytes") > 0
    assert value(samples, "process_resident_memory_bytes") > 0
    assert any(name == "slipway_build_info" and dict(labels)["version"] for name, labels in samples)


def test_counters_only_grow_while_a_run_goes_through(run: Run) -> None:
    seen = 0.0
    for name in StepName.values[:6]:
        flow.end(run, name)
        metrics.kept.forget()
        samples = scrape()
        total = sum(v for (n, _), v in samples.items() if n == "slipway_attempts_total")
        assert total == seen + 1
        seen = total
    assert value(samples, "slipway_runs", state="passed") == 1


def test_reading_is_bounded_and_kept(run: Run, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(16):
        scrape()
    with django_assert_max_num_queries(0):
        scrape()


def test_openmetrics_is_spoken_to_who_asks_for_it() -> None:
    answer = Client().get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert [f for f in parse_openmetrics(answer.content.decode()) if f.name == "slipway_attempts"]


def test_a_token_opens_and_everything_else_does_not(settings: Any) -> None:
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"metrics_token": SecretStr("open-sesame")})
    assert scrape(Authorization="Bearer open-sesame")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic open-sesame"}):
        assert Client().get("/metrics", headers=headers).status_code == 404


def test_without_a_token_only_this_machine_reads(settings: Any) -> None:
    assert scrape()
    assert Client(REMOTE_ADDR="203.0.113.9").get("/metrics").status_code == 404
    assert Client().get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 404
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"env": "production"})
    assert Client().get("/metrics").status_code == 404


def test_every_outcome_is_an_end() -> None:
    assert set(OUTCOMES) == set(AttemptState.values) - {"queued", "running", "cancelling"}
