"""What a push means for a listing: nothing, a version that is there already, or a new one that is built.

Nothing of a delivery but the ref, the commit and the sender's name goes into a version: where it is fetched from is
the listing's own source.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import F

from listings.addresses import parse_image
from listings.hooks import Event, EventKind, filters, numbers, repositories
from listings.hooks.events import REFS_AT_MOST
from listings.models import Decision, Listing, ListingSource, Run, SourceKind, Version, Webhook
from listings.models.runs import Trigger
from listings.problems import ProblemError
from listings.services import planning, versions
from listings.services.origins import Origin

_TRIES = 20
_SHORT = 12
#: Characters of names of refs in one sentence.
_NAMED = 1000


@dataclass(frozen=True, slots=True)
class Verdict:
    """``code`` names an entry of the catalogue, filled with ``params``; a plain new version has none."""

    decision: Decision
    code: str = ""
    params: dict[str, str] = field(default_factory=dict)
    version: Version | None = None
    run: Run | None = None


def _ignored(code: str, **params: object) -> Verdict:
    return Verdict(Decision.IGNORED, code, {name: str(value) for name, value in params.items()})


def short(commit: str) -> str:
    """A commit as people write it, or the beginning of a digest."""
    return commit[: len("sha256:") + _SHORT] if commit.startswith("sha256:") else commit[:7]


@transaction.atomic(savepoint=False)
def decide(webhook: Webhook, event: Event, *, is_test: bool = False, is_replay: bool = False) -> Verdict:
    """Judge one event, and make and start the version that it asks for, but for a test. Raises nothing of its own.

    A replay is of an older push: it supersedes no run.
    """
    listing = webhook.listing
    # One push of a listing is decided at a time: the next one sees the versions that this one makes.
    Listing.objects.filter(pk=listing.pk).update(summary=F("summary"))
    source = ListingSource.objects.filter(listing=listing).select_related("credential", "bundle", "artifact").first()
    verdict = _without_source(webhook, event)
    if verdict is not None:
        return verdict
    if source is None:
        return _ignored("HOOK-NO-SOURCE", listing=listing.name)
    try:
        with transaction.atomic():
            verdict = _unwanted(webhook, event, source) or _wanted(webhook, event, source, is_test)
            if verdict.decision is Decision.BUILT and verdict.version is not None and not is_replay:
                _supersede(verdict.version, event)
            return verdict
    except ProblemError as error:
        return Verdict(Decision.FAILED, error.code, dict(error.report.params))


def _without_source(webhook: Webhook, event: Event) -> Verdict | None:
    """What can be said without knowing what the listing is built from."""
    listing = webhook.listing
    if event.kind is EventKind.PING:
        return Verdict(Decision.ACKNOWLEDGED, "HOOK-PING", {"provider": webhook.get_provider_display()})
    if not webhook.enabled:
        return _ignored("HOOK-DISABLED")
    if listing.is_archived:
        return _ignored("HOOK-ARCHIVED", listing=listing.name)
    if event.kind is EventKind.PULL_REQUEST:
        return _ignored("HOOK-PULL-REQUEST", event=event.name)
    if event.kind is EventKind.OTHER:
        return _ignored("HOOK-EVENT", event=event.name)
    if event.kind is EventKind.LEFT_OUT:
        count, refs = len(event.left_out), ", ".join(event.left_out)
        shown = refs if len(refs) <= _NAMED else f"{refs[:_NAMED]}…"
        return _ignored("HOOK-REFS-LEFT-OUT", limit=REFS_AT_MOST, count=count, refs=shown)
    if event.kind is EventKind.UNUSABLE_REF:
        return _ignored("HOOK-REF", ref=event.ref)
    return None


def _unwanted(webhook: Webhook, event: Event, source: ListingSource) -> Verdict | None:
    """Why this push builds nothing, or None."""
    other = _another_source(webhook, event, source)
    if other is not None:
        return other
    if event.kind is EventKind.DELETED:
        return _ignored("HOOK-DELETED", ref=event.ref or event.name)
    if _is_tag(event):
        if not filters.selects(webhook.tags, event.ref):
            return _ignored("HOOK-TAG", ref=event.ref, patterns=_listed(webhook.tags))
        if numbers.tag_number(event.ref) is None:
            return _ignored("HOOK-TAG-NAME", ref=event.ref)
        return None
    if not filters.selects(webhook.branches, event.ref):
        return _ignored("HOOK-BRANCH", ref=event.ref, patterns=_listed(webhook.branches))
    if webhook.paths and event.paths is not None and not filters.selects_any(webhook.paths, event.paths):
        return _ignored("HOOK-PATHS", count=len(event.paths), patterns=_listed(webhook.paths))
    return None


def _another_source(webhook: Webhook, event: Event, source: ListingSource) -> Verdict | None:
    is_image, name = source.kind == SourceKind.IMAGE, webhook.listing.name
    if event.kind is not EventKind.DELETED and is_image != (event.kind is EventKind.IMAGE):
        sent = "an image" if event.kind is EventKind.IMAGE else "a Git repository"
        return _ignored("HOOK-SOURCE-KIND", sent=sent, listing=name, built="an image" if is_image else "Git")
    if not event.repository:
        return None
    if is_image:
        ours = parse_image(source.image_reference).repository
        same = event.repository in (ours, ours.removeprefix("library/"))
    else:
        ours, same = repositories.path_of(source.git_url), repositories.is_same(event.repository, source.git_url)
    return None if same else _ignored("HOOK-REPOSITORY", repository=event.repository, source=ours)


def _is_tag(event: Event) -> bool:
    """Whether the ref names a version. A registry has tags only: those that are no version number act as branches."""
    if event.kind is EventKind.IMAGE:
        return numbers.tag_number(event.ref) is not None
    return event.kind is EventKind.TAG


def _listed(patterns: list[str]) -> str:
    return ", ".join(patterns)[:200] or "there is none"


def _wanted(webhook: Webhook, event: Event, source: ListingSource, is_test: bool) -> Verdict:
    """The version that this push names; a new one is made and started. Raises ProblemError."""
    number = numbers.tag_number(event.ref) if _is_tag(event) else None
    if number is not None:
        found = Version.objects.filter(listing=webhook.listing, number=number).first()
        if found is not None:
            return _existing_tag(found, event, source)
    else:
        found = _version_of(webhook.listing, event)
        if found is not None:
            params = {"ref": event.ref, "commit": short(event.commit), "number": found.number}
            return Verdict(Decision.ACKNOWLEDGED, "HOOK-SAME-COMMIT", params, found, _latest_run(found))
    if is_test:
        number = number or _branch_number(webhook.listing, event.ref)
        params = {"number": number, "ref": event.ref, "provider": webhook.get_provider_display()}
        return Verdict(Decision.ACKNOWLEDGED, "HOOK-TEST", params)
    version = _make(webhook.listing, event, source, number)
    run = versions.submit_version(None, version, Trigger.WEBHOOK, at_once=False)
    unknown = bool(webhook.paths) and number is None and event.paths is None
    params = {"number": version.number, "ref": event.ref, "commit": short(event.commit)}
    params |= {"provider": webhook.get_provider_display()} if unknown else {}
    return Verdict(Decision.BUILT, "HOOK-PATHS-UNKNOWN" if unknown else "", params, version, run)


def _existing_tag(found: Version, event: Event, source: ListingSource) -> Verdict:
    """A tag whose version exists: the same again, moved, or a number that something else has taken."""
    is_image = source.kind == SourceKind.IMAGE
    made_from = found.image_digest if is_image else found.git_commit
    ours = found.source_kind == source.kind and (is_image or found.git_url == source.git_url)
    # A version that somebody made from the tag itself learns its commit when it is fetched.
    by_name = ours and not made_from and found.git_ref in (event.ref, f"refs/tags/{event.ref}")
    params = {"number": found.number, "ref": event.ref, "commit": short(event.commit)}
    if ours and (made_from == event.commit or by_name):
        return Verdict(Decision.ACKNOWLEDGED, "HOOK-TAG-EXISTS", params, found, _latest_run(found))
    code = "HOOK-TAG-MOVED" if ours and made_from else "HOOK-NUMBER-TAKEN"
    before = short(made_from) if made_from else found.source_label
    return Verdict(Decision.FAILED, code, params | {"before": before}, found, _latest_run(found))


def _version_of(listing: Listing, event: Event) -> Version | None:
    """The version that an earlier push of the same commit to the same branch (of the same digest to the tag) made."""
    rows = Version.objects.filter(listing=listing)
    if event.kind is EventKind.IMAGE:
        rows = rows.filter(image_digest=event.commit, deliveries__ref=event.ref, deliveries__decision=Decision.BUILT)
    else:
        rows = rows.filter(git_branch=event.ref, git_commit=event.commit)
    return rows.order_by("-created_at").first()


def _latest_run(version: Version) -> Run | None:
    return version.runs.order_by("-number").first()


def _branch_number(listing: Listing, branch: str) -> str:
    full = Version.objects.filter(listing=listing, number_key__endswith="~").order_by("-number_key")
    prefix = numbers.branch_prefix(full.values_list("number", flat=True).first(), branch)
    taken = Version.objects.filter(listing=listing, number__startswith=prefix)
    return numbers.next_number(prefix, taken.values_list("number", flat=True))


def _make(listing: Listing, event: Event, source: ListingSource, number: str | None) -> Version:
    """The new version. A branch's number is tried again where somebody takes it meanwhile. Raises ProblemError."""
    origin = _origin(event, source, "" if number else event.ref)
    for _ in range(_TRIES):
        wanted = number or _branch_number(listing, event.ref)
        try:
            return versions.create_version(None, listing, number=wanted, source=origin, artifact=source.artifact)
        except ProblemError as error:
            if error.code != "VERSION-TAKEN" or number is not None:
                raise
    raise ProblemError("HOOK-RACE", ref=event.ref)


def _origin(event: Event, source: ListingSource, branch: str) -> Origin:
    if source.kind == SourceKind.IMAGE:
        name = parse_image(source.image_reference)
        return Origin(
            SourceKind.IMAGE, upload=source.bundle, image_reference=f"{name.registry}/{name.repository}@{event.commit}",
            image_digest=event.commit, credential=source.credential,
        )  # fmt: skip
    return Origin(
        SourceKind.GIT, git_url=source.git_url, git_ref=event.ref, git_commit=event.commit, git_branch=branch,
        directory=source.directory, credential=source.credential,
    )  # fmt: skip


def _supersede(version: Version, event: Event) -> None:
    """Take the place of older pushes to the same branch whose runs have not begun; a tag's version takes none."""
    if _is_tag(event):
        return
    rows = Run.objects.filter(version__listing=version.listing, trigger=Trigger.WEBHOOK).exclude(version=version)
    if event.kind is EventKind.IMAGE:
        rows = rows.filter(deliveries__ref=event.ref).distinct()
    else:
        rows = rows.filter(version__git_branch=event.ref)
    planning.supersede(rows)
