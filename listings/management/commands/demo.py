"""Takes both samples through every step to *published*, as a seller and an admin would, and says so live."""

from __future__ import annotations

import secrets
import time
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from listings import demo, problems
from listings.models import Attempt, Release, Run, Version
from listings.services import releases, verdicts, waivers
from listings.states import ATTEMPT_OPEN, AttemptState, ReleaseState, RunState

POLL_SECONDS = 0.3
WAIVER_REASON = "Debian 12 is supported and scannable today; the Marketplace page's list stops at Debian 10."


class Command(BaseCommand):
    help = "Load the two sample listings and take them to published (demo installations only)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--timeout", type=float, default=600.0, help="seconds until giving up")

    def handle(self, **options: Any) -> None:
        if not settings.SLIPWAY.is_demo:
            raise CommandError("This is not a demo installation (SLIPWAY_ENV=demo).")
        self.started, self.deadline = time.monotonic(), time.monotonic() + options["timeout"]
        self.shown: dict[Any, str] = {}
        password = secrets.token_urlsafe(9)
        who = demo.people(password)
        team = demo.team_of(who.seller)
        made = [demo.new_version(who.seller, demo.listing_of(who.seller, team, s), s) for s in demo.SAMPLES]
        for version in made:
            self.say(f"{version}: submitted by {who.seller}")
        self.wait(made, self.runs_ended)
        self.waive(who, made)
        released = [self.release(who, version) for version in made]
        self.wait(made, lambda: self.reached(released, ReleaseState.REGISTERED))
        for release in released:
            release.refresh_from_db()
            releases.publish(who.admin, release)
            self.say(f"{release.version}: {who.admin} pressed Publish")
        self.wait(made, lambda: self.reached(released, ReleaseState.PUBLISHED))
        self.summary(released)
        self.sign_ins(password)

    def say(self, text: str) -> None:
        self.stdout.write(f"{time.monotonic() - self.started:6.1f} s  {text}")
        self.stdout.flush()

    def wait(self, versions: list[Version], done: Callable[[], bool]) -> None:
        """Show each step as it moves, until ``done``."""
        while True:
            finished = done()
            for attempt in Attempt.objects.filter(step__run__version__in=versions).select_related("step__run__version"):
                self.show(attempt, attempt.step.run.version)
            for attempt in Attempt.objects.filter(step__release__version__in=versions).select_related(
                "step__release__version"
            ):
                self.show(attempt, attempt.step.release.version)
            if finished:
                return
            if time.monotonic() > self.deadline:
                raise CommandError("The demo took too long; the portal's pages say where it stands.")
            time.sleep(POLL_SECONDS)

    def show(self, attempt: Attempt, version: Version) -> None:
        if self.shown.get(attempt.pk) == attempt.state:
            return
        self.shown[attempt.pk] = attempt.state
        if attempt.state == AttemptState.QUEUED:
            return
        took = f" in {attempt.seconds:.1f} s" if attempt.seconds is not None else ""
        self.say(f"{version}: {attempt.step.name} {attempt.get_state_display().lower()}{took}")
        if attempt.state not in ATTEMPT_OPEN and attempt.problem_code:
            self.tell_problem(attempt)

    def tell_problem(self, attempt: Attempt) -> None:
        problem = problems.get(attempt.problem_code)
        self.stdout.write(f"          {problem.code}: {problems.fill(problem.cause, attempt.problem_params)}")
        for evidence in attempt.problem_evidence[-8:]:
            self.stdout.write(f"          | {evidence['text']}")

    def runs_ended(self) -> bool:
        return not Run.objects.filter(state=RunState.ACTIVE).exists()

    def reached(self, released: list[Release], wanted: ReleaseState) -> bool:
        states = set(Release.objects.filter(pk__in=[r.pk for r in released]).values_list("state", flat=True))
        if states & {ReleaseState.REGISTRATION_FAILED, ReleaseState.WITHDRAWN}:
            self.fail_with("A release could not be registered.")
        if wanted == ReleaseState.PUBLISHED and ReleaseState.REGISTERED in states:
            self.fail_with("A change set was refused.")
        return states == {wanted}

    def fail_with(self, text: str) -> None:
        for attempt in Attempt.objects.exclude(problem_code="").order_by("-created_at")[:4]:
            self.tell_problem(attempt)
        raise CommandError(text)

    def waive(self, who: demo.People, versions: list[Version]) -> None:
        """The samples' base is not on the Marketplace page's list: asked for and granted in the open."""
        for version in versions:
            run = version.runs.get()
            if run.state != RunState.PASSED:
                self.fail_with(f"{version}: the run {run.state}.")
            for reason in verdicts.verdict_of(run).failures:
                if reason.code != "GATE-OS":
                    self.fail_with(f"{version}: {reason.title}. {reason.detail}")
                waiver = waivers.ask(
                    who.seller, version, code=reason.code, subject=reason.subject, reason="Our base image is Debian 12."
                )
                self.say(f"{version}: gate: {reason.title}; {who.seller} asks for a waiver")
                expires = timezone.now() + timedelta(days=90)
                waivers.grant(who.admin, waiver, reason=WAIVER_REASON, expires_at=expires, whole_team=True)
                self.say(f"{version}: {who.admin} waives {reason.subject} for the team until {expires:%Y-%m-%d}")

    def release(self, who: demo.People, version: Version) -> Release:
        release = releases.request_release(who.seller, version, "The sample, ready for buyers.")
        self.say(f"{version}: {who.seller} requests a release")
        releases.approve(who.admin, release, "Checks, operating system and digest looked at.")
        self.say(f"{version}: {who.admin} approves")
        return release

    def summary(self, released: list[Release]) -> None:
        for release in released:
            release.refresh_from_db()
            facts = verdicts.facts_of(release.run)
            self.stdout.write(f"\n{release.version}: {release.get_state_display().lower()}")
            self.stdout.write(f"  digest      {facts['push']['digest']}")
            self.stdout.write(f"  image       {facts['push']['image_uri']}")
            self.stdout.write(f"  ARN         {release.resource_arn}")
            self.stdout.write(f"  change set  {release.change_set_id}")
            attempts = [*verdicts.succeeded_attempts(release.run).values()]
            attempts += Attempt.objects.filter(step__release=release, state="succeeded").select_related("step")
            times = "  ".join(f"{a.step.name} {a.seconds or 0:.1f} s" for a in attempts)
            self.stdout.write(f"  time        {times}")

    def sign_ins(self, password: str) -> None:
        self.stdout.write(f"\nSlipway is at {settings.SLIPWAY.public_url}")
        self.stdout.write(f"  seller  {demo.SELLER}  {password}")
        self.stdout.write(f"  admin   {demo.ADMIN}  {password}")
