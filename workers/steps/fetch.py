"""fetch: from an upload, a Git repository or an image's bundle to one normalised archive, a checked spec and artifact.

Establishes ``archive_sha256, archive_bytes, files, spec, artifact_sha256, artifact_bytes, artifact_unpacked_bytes,
artifact_files, artifact_listing, artifacts, commit``, and for an image ``image`` (see ``workers.sources.image.stage``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from listings import blobs
from listings.models import Blob, SourceKind
from listings.problems import ProblemError
from listings.reports import CheckOutcome, CheckReport, Evidence, StepReport
from listings.spec import SpecErrors, SpecProblem, VersionSpec, from_data, parse_bytes, publication_problems
from listings.spec.document import MAX_CHARACTERS
from workers.sources import git, image
from workers.sources.archive import Normalised, normalise
from workers.sources.artifact import ArtifactContents, examine
from workers.sources.members import Kind, Limits, readable
from workers.sources.reading import extract_tree, read_file
from workers.sources.stray import check as stray_files
from workers.steps.contract import StepContext

SPEC_FILE = "slipway.yaml"
_ARCHIVE_CODES = ("SOURCE-PATH-ESCAPE", "SOURCE-LINK-ESCAPE", "SPEC-INVALID", "SPEC-SAMPLE-MISSING")


def execute(context: StepContext) -> StepReport:
    try:
        form = _from_form(context)
        normal, archive, more = _source(context, form.build.dockerfile if form else "")
        spec = form or _from_source(context, normal, archive)
        _check_against_source(context, spec, normal)
    except SpecErrors as errors:
        for problem in errors.problems:
            context.log.line(f"{SPEC_FILE}: {problem}", "slipway")
        return StepReport(problem=errors.as_report())
    checks = [CheckReport(code, CheckOutcome.PASS) for code in _ARCHIVE_CODES]
    stray = stray_files(spec, (name for name, entry in normal.entries.items() if entry.kind is Kind.FILE))
    checks += [stray] if stray else []
    artifacts = _artifacts(context, spec, normal, archive, checks)
    checks.append(_publication(spec))
    facts: dict[str, Any] = {
        "archive_sha256": archive.sha256,
        "archive_bytes": archive.size,
        "files": normal.files,
        "spec": spec.as_json(),
        **artifacts,
        "commit": None,
        **more,
    }
    if context.version.source_kind == SourceKind.IMAGE:
        # Last: a spec with a mistake is told before gigabytes are fetched.
        facts["image"] = image.stage(context)
    return StepReport(facts=facts, checks=tuple(checks))


def _from_form(context: StepContext) -> VersionSpec | None:
    """The spec that was filled in by form, checked again: limits may have changed since."""
    if context.version.spec is None:
        return None
    spec = from_data(context.version.spec)
    context.log.line("The spec was filled in by form.", "slipway")
    return spec


def _source(context: StepContext, dockerfile: str) -> tuple[Normalised, Blob, Mapping[str, Any]]:
    """The version's source as one archive, and the facts that its kind adds. ``dockerfile`` is the form's, if any."""
    match context.version.source_kind:
        case SourceKind.UPLOAD:
            return *_archive(context, dockerfile), {}
        case SourceKind.GIT:
            target = context.workdir / "source.tar.gz"
            fetched = git.fetch(context, target, _limits())
            return fetched.normal, _keep(context, fetched.normal, target), {"commit": fetched.commit}
        case SourceKind.IMAGE:
            return *_archive(context, dockerfile), {}
    raise ProblemError("SOURCE-NO-UPLOAD")


def _archive(context: StepContext, dockerfile: str) -> tuple[Normalised, Blob]:
    """The uploaded build context, or an image's companion bundle."""
    upload, log = context.version.source, context.log
    if upload is None:
        raise ProblemError("SOURCE-NO-UPLOAD")
    log.section("Source")
    log.line(f"{upload.filename}, {readable(upload.blob.size)}, sha256 {upload.blob.sha256}", "slipway")
    target = context.workdir / "source.tar.gz"
    with blobs.open_blob(upload.blob.sha256) as packed:
        normal = normalise(packed, upload.blob.size, target, _limits(), context.stop.check, dockerfile)
    return normal, _keep(context, normal, target)


def _limits() -> Limits:
    return Limits(bytes=settings.SLIPWAY.source_max_bytes, files=settings.SLIPWAY.source_max_files)


def _keep(context: StepContext, normal: Normalised, target: Path) -> Blob:
    for note in normal.notes:
        context.log.line(note, "slipway")
    archive = _store(target)
    size = readable(normal.bytes)
    context.log.line(f"{normal.files} files, {size}; normalised archive sha256 {archive.sha256}", "slipway")
    return archive


def _store(path: Path) -> Blob:
    with path.open("rb") as content:
        blob = blobs.store(content)
    path.unlink()
    return blob


def _from_source(context: StepContext, normal: Normalised, archive: Blob) -> VersionSpec:
    if not normal.has_file(SPEC_FILE):
        names = normal.root_names()
        found = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        raise ProblemError("SOURCE-NO-SPEC", found=found)
    with blobs.open_blob(archive.sha256) as stored:
        content = read_file(stored, SPEC_FILE, 4 * MAX_CHARACTERS)
    assert content is not None
    spec = parse_bytes(content)
    context.log.line(f"{SPEC_FILE} is valid.", "slipway")
    return spec


def _check_against_source(context: StepContext, spec: VersionSpec, normal: Normalised) -> None:
    """Raises SpecErrors for another kind than the listing's and for sample files that are not there."""
    found: list[SpecProblem] = []
    kind = context.version.listing.kind
    if spec.kind != kind:
        found.append(SpecProblem("SPEC-KIND-MISMATCH", ("kind",), params={"found": spec.kind, "expected": kind}))
    for place, path in spec.sample_paths():
        if not normal.has_data(path):
            found.append(SpecProblem("SPEC-SAMPLE-MISSING", (place,), params={"file": path}))
    if found:
        raise SpecErrors(found)


def _artifacts(
    context: StepContext, spec: VersionSpec, normal: Normalised, archive: Blob, checks: list[CheckReport]
) -> dict[str, Any]:
    """The model's own archives, checked: the uploaded one, else those in the source, as facts.

    ``artifact_sha256``, ``artifact_bytes``, ``artifact_files`` and ``artifact_listing`` (name and bytes of its first
    files) are those of the one archive, None or missing where there is none; ``artifacts`` has the same of each
    container of a pipeline that has one. ``artifact_unpacked_bytes`` is the sum of all, None where there is none.
    """
    facts: dict[str, Any] = {
        "artifact_sha256": None, "artifact_bytes": None, "artifact_unpacked_bytes": None, "artifacts": {},
    }  # fmt: skip
    links = spec.inference.Containers if spec.inference else []
    in_image = spec.artifact is not None and spec.artifact.in_image
    unused = _why_unused(spec.kind, bool(links), in_image)
    if context.version.artifact is not None and unused:
        context.log.line(f"The uploaded model artifact is not used: {unused}.", "slipway")
    if spec.kind != "ModelPackage" or in_image:
        return facts
    context.log.section("Model artifacts")
    if not links:
        name, blob = _one_artifact(context, spec, normal, archive)
        contents = _examine(context, name, blob, checks)
        return facts | {f"artifact_{key}": value for key, value in _archive_facts(blob, contents).items()}
    for link in links:
        if link.artifact is not None:
            name, blob = _in_source(link.artifact, normal, archive)
            contents = _examine(context, name, blob, checks)
            facts["artifact_unpacked_bytes"] = (facts["artifact_unpacked_bytes"] or 0) + contents.bytes
            facts["artifacts"][link.ContainerHostname] = _archive_facts(blob, contents)
    return facts


def _archive_facts(blob: Blob, contents: ArtifactContents) -> dict[str, Any]:
    return {
        "sha256": blob.sha256, "bytes": blob.size, "unpacked_bytes": contents.bytes, "files": contents.files,
        "listing": [list(file) for file in contents.listing],
    }  # fmt: skip


def _why_unused(kind: str, is_pipeline: bool, in_image: bool) -> str:
    if kind != "ModelPackage":
        return "an algorithm makes its own"
    if is_pipeline:
        return "each container of a pipeline names its own in the source"
    return "the spec says that the image holds the model" if in_image else ""


def _examine(context: StepContext, name: str, blob: Blob, checks: list[CheckReport]) -> ArtifactContents:
    """Add the checks of one archive; returns what is in it. Raises ProblemError SOURCE-BAD-ARTIFACT."""
    with blobs.open_blob(blob.sha256) as content:
        contents = examine(content, blob.size, name, context.stop.check)
    context.log.line(
        f"{name}: {contents.files} files, {readable(contents.bytes)} unpacked; sha256 {blob.sha256}", "slipway"
    )
    checks += [CheckReport(code, CheckOutcome.PASS) for code in ("SOURCE-NO-ARTIFACT", "SOURCE-BAD-ARTIFACT")]
    checks += _layout(contents, name)
    return contents


def _layout(contents: ArtifactContents, name: str) -> list[CheckReport]:
    """How the model's files lie in their archive. SageMaker unpacks it as it is."""
    nested = CheckOutcome.WARN if contents.wrapper else CheckOutcome.PASS
    evidence = tuple(Evidence(path) for path in contents.junk)
    patch = (
        "COPYFILE_DISABLE=1 tar --exclude='._*' --exclude=.DS_Store --exclude=__MACOSX -czf model.tar.gz -C model .\n"
    )
    return [
        CheckReport("SOURCE-ARTIFACT-NESTED", nested, {"name": name, "top": contents.wrapper}),
        CheckReport(
            "SOURCE-ARTIFACT-JUNK",
            CheckOutcome.WARN if contents.junk else CheckOutcome.PASS,
            {"name": name, "count": str(contents.junk_count)},
            evidence,
            patch if contents.junk else "",
        ),
    ]


def _one_artifact(context: StepContext, spec: VersionSpec, normal: Normalised, archive: Blob) -> tuple[str, Blob]:
    uploaded = context.version.artifact
    if uploaded is not None:
        return uploaded.filename, uploaded.blob
    path = spec.artifact.path if spec.artifact else None
    if path is None:
        raise ProblemError("SOURCE-NO-ARTIFACT", detail="none was uploaded, and artifact.path is not set")
    return _in_source(path, normal, archive)


def _in_source(path: str, normal: Normalised, archive: Blob) -> tuple[str, Blob]:
    if not normal.has_file(path):
        raise ProblemError("SOURCE-NO-ARTIFACT", detail=f"none was uploaded, and the source has no file “{path}”")
    with blobs.open_blob(archive.sha256) as stored:
        for _name, content, _size in extract_tree(stored, path):
            return path, blobs.store(content)
    raise ProblemError("SOURCE-NO-ARTIFACT", detail=f"“{path}” cannot be read")


def _publication(spec: VersionSpec) -> CheckReport:
    """A warning only: a version can be tested before its texts are written."""
    missing = publication_problems(spec)
    if not missing:
        return CheckReport("SPEC-PUBLICATION", CheckOutcome.PASS)
    evidence = tuple(Evidence(problem.message, label=problem.path) for problem in missing)
    count = f"{len(missing)} value{'s' if len(missing) != 1 else ''}"
    params = {"path": missing[0].path, "what": missing[0].params["what"], "count": count}
    return CheckReport("SPEC-PUBLICATION", CheckOutcome.WARN, params, evidence)
