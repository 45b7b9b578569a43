"""What differs for buyers between two releases: measured figures, the contract of the spec, the texts they read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from listings.models import Finding, Release, Run, SourceKind, Version
from listings.reports import Severity
from listings.services import verdicts
from listings.spec import VersionSpec
from listings.spec.models import Channel, HyperParameter, ListingText, ParameterRange
from listings.states import ReleaseState, StepName
from listings.templatetags.slipway import duration, memory, size

NOTHING = "—"


@dataclass(frozen=True, slots=True)
class Change:
    """One row. ``name`` is the part of the label set in the code font; ``tone`` is better, worse, warn or plain."""

    label: str
    before: str
    after: str
    note: str = ""
    tone: str = "plain"
    name: str = ""


def changes_for_buyers(release: Release) -> dict[str, Any] | None:
    """``against`` (the last published release) and ``rows``; None on a listing's first release."""
    before = last_published(release)
    if before is None:
        return None
    rows = list(_rows(before.run, release.run))
    return {"against": before, "rows": rows, "breaking": [row for row in rows if row.tone == "warn"]}


def last_published(release: Release) -> Release | None:
    """The listing's release that was public when this one was made or published, or is public now."""
    rows = Release.objects.filter(
        version__listing_id=release.version.listing_id, state__in=(ReleaseState.PUBLISHED, ReleaseState.SUPERSEDED),
        published_at__isnull=False,
    ).exclude(version_id=release.version_id)  # fmt: skip
    if release.published_at is not None:
        rows = rows.filter(published_at__lt=release.published_at)
    return rows.order_by("-published_at").select_related("run__version", "version").first()


def _rows(old_run: Run, new_run: Run) -> Iterator[Change]:
    old, new = verdicts.facts_of(old_run), verdicts.facts_of(new_run)
    yield from source_changes(old_run.version, new_run.version)
    yield from _figures(old, new)
    yield from _findings(old_run.version, new_run.version)
    specs = [_spec(old), _spec(new)]
    if specs[0] is not None and specs[1] is not None:
        yield from contract_changes(specs[0], specs[1])
        yield from _texts(specs[0].listing, specs[1].listing)


def _spec(facts: dict[str, Any]) -> VersionSpec | None:
    stored = facts.get(StepName.FETCH, {}).get("spec")
    return VersionSpec.stored(stored) if stored else None


# Where the container comes from.


def source_changes(old: Version, new: Version) -> Iterator[Change]:
    """Another kind of source, repository or image; another commit or digest. Uploads differ always: no row."""
    if old.source_kind != new.source_kind:
        yield Change("Source", _kind_of(old), _kind_of(new), "changed")
        return
    for label, before, after in (
        ("Repository", old.git_url, new.git_url),
        ("Directory", old.directory or "/", new.directory or "/"),
        ("Commit", old.git_commit[:12], new.git_commit[:12]),
        ("Image", _repository_of(old), _repository_of(new)),
        ("Digest at its registry", old.image_digest[:19], new.image_digest[:19]),
    ):
        if before != after and (before or after):
            yield Change(label, before or NOTHING, after or NOTHING, "source")


def _kind_of(version: Version) -> str:
    return f"{SourceKind(version.source_kind).label}: {version.source_label}"


def _repository_of(version: Version) -> str:
    """An image's name without tag and digest: those change with every version."""
    name = version.image_reference.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


# Figures: lower is better for every one of them.


def _slowest(facts: dict[str, Any]) -> float | None:
    sent = (facts.get("test", {}).get("inference") or {}).get("requests") or []
    times = [request["ms"] for request in sent if isinstance(request.get("ms"), int | float)]
    return max(times) / 1000 if times else None


def _dig(*path: str) -> Callable[[Any], float | None]:
    def read(facts: Any) -> float | None:
        for key in path:
            facts = facts.get(key) if isinstance(facts, dict) else None
        return facts if isinstance(facts, int | float) else None

    return read


def _seconds(value: float | None) -> str:
    return f"{value * 1000:.0f} ms" if value is not None and value < 1 else duration(value)


_FIGURES: tuple[tuple[str, Callable[[Any], float | None], Callable[[float | None], str]], ...] = (
    ("Image size", _dig("inspect", "bytes_compressed"), size),
    ("Training on the sample", _dig("test", "training", "seconds"), duration),
    ("First good ping", _dig("test", "inference", "first_ping_seconds"), _seconds),
    ("Slowest sample request", _slowest, _seconds),
    ("Peak memory", _dig("test", "peak_memory_bytes"), memory),
)


def _figures(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for label, read, write in _FIGURES:
        before, after = read(old), read(new)
        if before is None or after is None:
            continue
        percent = round((after - before) / before * 100) if before else 0
        sign, tone = ("+", "worse") if percent > 0 else ("−", "better")
        note = f"{sign}{abs(percent)} %" if percent else "same"
        yield Change(label, write(before), write(after), note, tone if percent else "plain")
    before_os, after_os = (facts.get("scan", {}).get("os", {}).get("name", "") for facts in (old, new))
    if before_os and after_os and before_os != after_os:
        yield Change("Operating system", before_os, after_os, "changed")


def _findings(old: Version, new: Version) -> Iterator[Change]:
    before, after = _identifiers(old), _identifiers(new)
    if not before and not after:
        return
    fixed, added = len(before.keys() - after.keys()), len(after.keys() - before.keys())
    notes = [f"{fixed} fixed"] * bool(fixed) + [f"{added} new"] * bool(added)
    tone = "worse" if added else "better" if fixed else "plain"
    yield Change("Findings", _by_severity(before), _by_severity(after), ", ".join(notes) or "same", tone)


def _identifiers(version: Version) -> dict[str, str]:
    """Identifier -> severity in the version's latest scan."""
    latest = version.scan_results.first()
    rows = Finding.objects.filter(scan_result=latest).values_list("identifier", "severity") if latest else ()
    return dict(rows)


def _by_severity(found: dict[str, str]) -> str:
    counts = [(sum(s == severity for s in found.values()), severity.value) for severity in Severity]
    return ", ".join(f"{count} {name}" for count, name in counts if count) or "0"


# The contract: what buyers' jobs, endpoints and tuning rely on.


def contract_changes(old: VersionSpec, new: VersionSpec) -> Iterator[Change]:
    """Differences that a buyer's existing job meets. Tone ``warn`` where one that worked may fail."""
    before, after = old.training, new.training
    if before is not None and after is not None:
        yield from _hyperparameters(before.SupportedHyperParameters, after.SupportedHyperParameters)
        yield from _channels(before.TrainingChannels, after.TrainingChannels)
        yield from _sets(
            "Metric", [each.Name for each in before.MetricDefinitions], [each.Name for each in after.MetricDefinitions],
            "tuning jobs on it fail",
        )  # fmt: skip
        yield from _sets(
            "Training instance type", before.SupportedTrainingInstanceTypes, after.SupportedTrainingInstanceTypes,
            "jobs on it fail",
        )  # fmt: skip
    for label, field, lost in (
        ("Transform instance type", "SupportedTransformInstanceTypes", "jobs on it fail"),
        ("Real-time instance type", "SupportedRealtimeInferenceInstanceTypes", "endpoints on it fail"),
        ("Request content type", "SupportedContentTypes", "requests with it fail"),
        ("Response content type", "SupportedResponseMIMETypes", "clients that accept it fail"),
    ):
        yield from _sets(label, getattr(old.inference, field, []), getattr(new.inference, field, []), lost)


def _sets(label: str, before: Iterable[str], after: Iterable[str], lost: str) -> Iterator[Change]:
    old, new = list(before), list(after)
    for name in old:
        if name not in new:
            yield Change(label, "yes", "removed", lost, "warn", name)
    for name in new:
        if name not in old:
            yield Change(label, NOTHING, "yes", "added", "better", name)


def _hyperparameters(before: Iterable[HyperParameter], after: Iterable[HyperParameter]) -> Iterator[Change]:
    old, new = {each.Name: each for each in before}, {each.Name: each for each in after}
    for name, one in old.items():
        if name not in new:
            yield Change("Hyperparameter", "yes", "removed", "jobs that set it fail", "warn", name)
        else:
            yield from _hyperparameter(one, new[name])
    for name, one in new.items():
        if name not in old:
            needed = one.IsRequired and one.DefaultValue is None
            note, tone = ("existing jobs do not set it", "warn") if needed else ("added", "better")
            yield Change("Hyperparameter", NOTHING, "required" if needed else "optional", note, tone, name)


def _hyperparameter(old: HyperParameter, new: HyperParameter) -> Iterator[Change]:
    label, name = "Hyperparameter", new.Name
    if old.Type != new.Type:
        yield Change(label, old.Type, new.Type, "values of the old type fail", "warn", name)
    elif old.Range != new.Range:
        wider = _covers(new.Range, old.Range)
        note = "cannot be narrowed later" if wider else "values that were allowed fail"
        yield Change(label, _range(old.Range), _range(new.Range), note, "note" if wider else "warn", name)
    if old.DefaultValue != new.DefaultValue:
        yield Change(
            "Default of", old.DefaultValue or "none", new.DefaultValue or "none", "results may differ", "note", name
        )
    if new.IsRequired and not old.IsRequired:
        yield Change(label, "optional", "required", "existing jobs may not set it", "warn", name)


def _channels(before: Iterable[Channel], after: Iterable[Channel]) -> Iterator[Change]:
    old, new = {each.Name: each for each in before}, {each.Name: each for each in after}
    for name, channel in old.items():
        if name not in new:
            yield Change("Channel", "yes", "removed", "jobs that send it fail", "warn", name)
            continue
        if new[name].IsRequired and not channel.IsRequired:
            yield Change("Channel", "optional", "required", "existing jobs may not send it", "warn", name)
        yield from _sets(f"Content type of channel {name}", channel.SupportedContentTypes,
                         new[name].SupportedContentTypes, "data in it is refused")  # fmt: skip
        yield from _sets(f"Input mode of channel {name}", channel.SupportedInputModes,
                         new[name].SupportedInputModes, "jobs in it fail")  # fmt: skip
    for name, channel in new.items():
        if name not in old:
            note, tone = ("existing jobs do not send it", "warn") if channel.IsRequired else ("added", "better")
            yield Change("Channel", NOTHING, "required" if channel.IsRequired else "optional", note, tone, name)


def _bounds(given: ParameterRange | None) -> tuple[Decimal, Decimal] | None:
    numeric = given and (given.IntegerParameterRangeSpecification or given.ContinuousParameterRangeSpecification)
    if not numeric:
        return None
    try:
        return Decimal(numeric.MinValue), Decimal(numeric.MaxValue)
    except InvalidOperation:
        return None


def _values(given: ParameterRange | None) -> list[str] | None:
    return given.CategoricalParameterRangeSpecification.Values \
        if given and given.CategoricalParameterRangeSpecification else None  # fmt: skip


def _range(given: ParameterRange | None) -> str:
    bounds, values = _bounds(given), _values(given)
    if bounds is not None:
        return f"{bounds[0]} … {bounds[1]}"
    return ", ".join(values) if values else "any"


def _covers(wide: ParameterRange | None, narrow: ParameterRange | None) -> bool:
    """Whether all that ``narrow`` allows is allowed by ``wide``. No range allows everything."""
    if wide is None or _range(wide) == "any":
        return True
    outer, inner = _bounds(wide), _bounds(narrow)
    if outer is not None and inner is not None:
        return outer[0] <= inner[0] and inner[1] <= outer[1]
    allowed, used = _values(wide), _values(narrow)
    return allowed is not None and used is not None and set(used) <= set(allowed)


# The texts on the product's page.

_TEXTS = {
    "title": "Title", "short_description": "Short description", "long_description": "Long description",
    "highlights": "Highlights", "categories": "Categories", "keywords": "Keywords",
    "usage_instructions": "Usage instructions", "sample_notebook_url": "Sample notebook",
    "repository_url": "Repository", "support_description": "Support", "input": "Description of the input",
    "output": "Description of the output", "recommended_instance_types": "Recommended instance types",
}  # fmt: skip


def _texts(old: ListingText, new: ListingText) -> Iterator[Change]:
    for field, label in _TEXTS.items():
        before, after = getattr(old, field), getattr(new, field)
        if before != after:
            yield Change(label, _cut(before), _cut(after), "text")


def _cut(value: Any) -> str:
    text = ", ".join(value) if isinstance(value, list) else value if isinstance(value, str) else "as before"
    text = " ".join(text.split())
    if not isinstance(value, str | list):
        return "…"
    return f"{text[:70]}…" if len(text) > 70 else text or NOTHING
