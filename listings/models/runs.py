"""Runs, steps and attempts: what was tried, by which worker, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q

from listings.models.base import Row
from listings.models.listings import Version
from listings.states import ATTEMPT_OPEN, AttemptState, RunState, StepName, StepState

if TYPE_CHECKING:
    from listings.models.releases import Release


class Trigger(models.TextChoices):
    SUBMIT = "submit", "submitted"
    RERUN = "rerun", "run again"
    WEBHOOK = "webhook", "webhook"


class Run(Row):
    """One execution of the pipeline for a version; ``number`` counts from 1 within the version."""

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="runs")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=16, choices=RunState, default=RunState.ACTIVE, db_index=True)
    trigger = models.CharField(max_length=16, choices=Trigger, default=Trigger.SUBMIT)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    finished_at = models.DateTimeField(null=True, blank=True)
    superseded = models.BooleanField(default=False)

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(fields=("version", "number"), name="run_number_unique_in_version"),
            models.UniqueConstraint(
                fields=("version",), condition=Q(state="active"), name="one_active_run_per_version"
            ),
            models.CheckConstraint(condition=Q(state__in=RunState.values), name="run_state_known"),
        ]

    def __str__(self) -> str:
        return f"{self.version} run {self.number}"


class Step(Row):
    """One stage of a run or of a release: exactly one of the two owns it.

    ``state`` repeats the latest attempt's, or says why there is none; ``position`` orders the rail.
    """

    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.CASCADE, related_name="steps")
    release = models.ForeignKey(
        "listings.Release", null=True, blank=True, on_delete=models.CASCADE, related_name="steps"
    )
    name = models.CharField(max_length=16, choices=StepName)
    position = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=16, choices=StepState, default=StepState.WAITING)

    class Meta:
        ordering = ("position",)
        constraints = [
            models.CheckConstraint(
                condition=Q(run__isnull=False, release__isnull=True) | Q(run__isnull=True, release__isnull=False),
                name="step_has_exactly_one_owner",
            ),
            models.UniqueConstraint(fields=("run", "name"), condition=Q(run__isnull=False), name="step_once_per_run"),
            models.UniqueConstraint(
                fields=("release", "name"), condition=Q(release__isnull=False), name="step_once_per_release"
            ),
            models.CheckConstraint(condition=Q(state__in=StepState.values), name="step_state_known"),
        ]

    def __str__(self) -> str:
        return f"{self.owner} {self.name}"

    @property
    def owner(self) -> Run | Release:
        owner = self.run or self.release
        assert owner is not None
        return owner

    @property
    def version(self) -> Version:
        return self.owner.version


class Attempt(Row):
    """One try at a step. Never reset, never deleted.

    ``lease`` is the fencing token of the worker that holds it; every write of that worker carries it.
    ``poll_at`` is set while the attempt is parked: running, but held by no worker until then.
    ``facts`` is what the step established; ``problem`` the coded end, if it did not succeed. ``spans`` is its time
    outside Slipway: lists of kind (engine, registry, container, git, aws), start and end in seconds since the epoch.
    """

    step = models.ForeignKey(Step, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=16, choices=AttemptState, default=AttemptState.QUEUED)
    queue = models.CharField(max_length=16)
    reason = models.CharField(max_length=120, blank=True)

    hinted_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True)
    poll_at = models.DateTimeField(null=True, blank=True)
    polls = models.PositiveIntegerField(default=0)

    lease = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=120, blank=True)
    cancelled_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    facts = models.JSONField(default=dict, blank=True)
    spans = models.JSONField(default=list, blank=True)
    problem_code = models.CharField(max_length=48, blank=True, db_index=True)
    problem_params = models.JSONField(default=dict, blank=True)
    problem_evidence = models.JSONField(default=list, blank=True)
    log = models.ForeignKey("listings.Blob", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    log_lines = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("number",)
        indexes = [models.Index(fields=("state", "queue", "created_at"), name="attempt_queue")]
        constraints = [
            models.UniqueConstraint(fields=("step", "number"), name="attempt_number_unique_in_step"),
            models.UniqueConstraint(
                fields=("step",), condition=Q(state__in=sorted(ATTEMPT_OPEN)), name="one_open_attempt_per_step"
            ),
            models.CheckConstraint(condition=Q(state__in=AttemptState.values), name="attempt_state_known"),
        ]

    def __str__(self) -> str:
        return f"{self.step} attempt {self.number}"

    @property
    def is_open(self) -> bool:
        return self.state in ATTEMPT_OPEN

    @property
    def seconds(self) -> float | None:
        """Time from start to end, or None while either is missing."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


class Check(Row):
    """One rule with its outcome, established by an attempt. Texts come from the catalogue by ``code``."""

    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="checks")
    position = models.PositiveIntegerField()
    code = models.CharField(max_length=48, db_index=True)
    outcome = models.CharField(max_length=8)
    params = models.JSONField(default=dict, blank=True)
    evidence = models.JSONField(default=list, blank=True)
    patch = models.TextField(blank=True)

    class Meta:
        ordering = ("position",)
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=("pass", "warn", "fail", "skip")), name="check_outcome_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.outcome}"
