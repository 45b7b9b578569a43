"""Which staged images nobody needs any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.utils import timezone

from listings.models import Attempt, Release, Run
from listings.services import verdicts
from listings.states import RELEASE_DONE, RELEASE_OPEN, RunState

#: In an attempt's facts: when its image was removed from the staging registry.
FREED = "staging_freed"


@dataclass(frozen=True, slots=True)
class Unneeded:
    """An image in the staging registry, and the attempt that put it there."""

    attempt: Attempt
    repository: str
    digest: str


def unneeded_images(now: datetime | None = None, *, limit: int = 100) -> list[Unneeded]:
    """Images of runs that ended more than ``SLIPWAY_STAGING_DAYS`` ago, oldest first; none where that is 0.

    Kept are those of an open release, and that of a version's latest run if it passed and can still be released.
    """
    days = settings.SLIPWAY.staging_days
    if days <= 0:
        return []
    ended = Run.objects.filter(finished_at__lt=(now or timezone.now()) - timedelta(days=days))
    runs = ended.exclude(state=RunState.ACTIVE).exclude(pk__in=_releasable()).exclude(pk__in=_being_released())
    staged = Q(facts__has_key="staging_repository") | Q(facts__image__has_key="staging_repository")
    rows = Attempt.objects.filter(staged, step__run__in=runs).exclude(facts__has_key=FREED).select_related("step")
    found = [_image(attempt) for attempt in rows.order_by("finished_at")[:limit]]
    return [image for image in found if image.repository and image.digest]


def note_freed(image: Unneeded) -> None:
    """It is gone from the registry."""
    facts = {**image.attempt.facts, FREED: timezone.now().isoformat()}
    Attempt.objects.filter(pk=image.attempt.pk).update(facts=facts)


def _image(attempt: Attempt) -> Unneeded:
    facts = verdicts.staged_image({attempt.step.name: attempt.facts})
    return Unneeded(attempt, str(facts.get("staging_repository", "")), str(facts.get("digest", "")))


def _releasable() -> Subquery:
    """As listings/services/releases.py has it: only a version's latest run can be asked to be released."""
    latest = Run.objects.filter(version=OuterRef("version")).order_by("-number").values("pk")[:1]
    done = Release.objects.filter(version=OuterRef("version"), state__in=RELEASE_DONE)
    runs = Run.objects.annotate(latest=Subquery(latest)).filter(pk=F("latest"), state=RunState.PASSED)
    return Subquery(runs.exclude(version__number__contains="-").exclude(Exists(done)).values("pk"))


def _being_released() -> Subquery:
    return Subquery(Release.objects.filter(state__in=RELEASE_OPEN).values("run"))
