"""What `make compose-check` does inside the control worker's container, as people would by the pages.

Sent to `python3 -` there with one verb and its words; answers with one line of JSON, the last one.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402 - needs Django
from django.contrib.auth import get_user_model  # noqa: E402
from django.db import connection  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402

from listings import demo, links, starters  # noqa: E402
from listings.models import Attempt, Credential, Kind, Release, Team, UploadPurpose, Version  # noqa: E402
from listings.queries import next_number  # noqa: E402
from listings.services import listings as listing_service  # noqa: E402
from listings.services import releases, verdicts, versions, waivers  # noqa: E402

ADMIN, SELLER = "first-admin@example.com", "seller@example.com"
SECRET = "opens only with the key that sealed it"
LISTING = """\
listing:
  title: Mean of a column
  short_description: Learns the mean of a column of numbers, and predicts it.
  long_description: Learns the mean of the last column of its rows, and predicts it for every other row.
  highlights: [Small, Quick]
  categories: [Structured]
  keywords: [mean]
  usage_instructions: Train on a CSV file without a header, then send rows.
  sample_notebook_url: https://example.com/mean/notebook.ipynb
  repository_url: https://example.com/mean
  support_description: Write to support@example.com.
  release_notes: First release.
  input: {description: Rows of numbers., limitations: At most 6 MB., sample: "1,2", parameters: []}
  output: {description: One number a row., sample: "2", parameters: []}
  recommended_instance_types: {%s}
"""
TYPES = {
    Kind.ALGORITHM: "Training: ml.m5.large, BatchTransform: ml.m5.large, RealtimeInference: ml.m5.large",
    Kind.MODEL_PACKAGE: "BatchTransform: ml.m5.large, RealtimeInference: ml.m5.large",
}


def source(kind: Kind, pause: int) -> dict[str, bytes]:
    """The starter that the pages offer, on an image that is in the engine; building it takes ``pause`` seconds more."""
    files = {name: starters.starter_file(kind, name) for name in starters.starter_names(kind)}
    base = os.environ["SLIPWAY_BUILD_ROOM_IMAGE"]
    dockerfile = files["Dockerfile"].decode().replace("python:3.11-slim-bookworm", base)
    # A line of its own each time: nothing of the build may come from the engine's cache.
    files["Dockerfile"] = f"{dockerfile}RUN echo {os.urandom(8).hex()} && sleep {pause}\n".encode()
    spec = files["slipway.yaml"].decode().partition("\nlisting:")[0]
    files["slipway.yaml"] = f"{spec}\n{LISTING % TYPES[kind]}".encode()
    return files


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def seller_and_team() -> tuple[Any, Team]:
    users = get_user_model()
    seller = users.objects.filter(email=SELLER).first()
    if seller is None:
        seller = users.objects.create_verified_user(SELLER, None, full_name="Sam Seller")
    team = Team.objects.filter(slug="acme-vision").first() or demo.team_of(seller)
    if not Credential.objects.filter(team=team).exists():
        credential = Credential(team=team, kind="token", name="kept", host="git.example.com", created_by=seller)
        credential.seal(SECRET)
        credential.save()
    return seller, team


def submit(name: str, kind: str, pause: str) -> dict[str, Any]:
    """A version of the listing ``name``, which is made on first use."""
    seller, team = seller_and_team()
    listing = team.listings.filter(name=name).first() or listing_service.create_listing(
        seller, team, kind=Kind(kind), name=name, summary=name, product_id=f"prod-{name.lower():0<12}"
    )
    files = source(Kind(kind), int(pause))
    model = {path.removeprefix("model/"): data for path, data in files.items() if path.startswith("model/")}
    artifact = upload(seller, team, UploadPurpose.ARTIFACT, "model.tar.gz", packed(model)) if model else None
    version = versions.create_version(
        seller, listing, number=next_number(listing), notes="",
        source=upload(seller, team, UploadPurpose.SOURCE, "source.tar.gz", packed(files)), artifact=artifact,
    )  # fmt: skip
    versions.submit_version(seller, version)
    run = version.runs.get()
    return {"version": str(version.pk), "run": str(run.pk), "page": links.version(version)}


def upload(seller: Any, team: Team, purpose: UploadPurpose, name: str, content: bytes) -> Any:
    return versions.store_upload(seller, team, purpose, name, io.BytesIO(content), len(content))


def release(*ids: str) -> dict[str, Any]:
    """Waive what the gate asks of these versions' runs, request their releases and approve them."""
    admin, made = get_user_model().objects.get(email=ADMIN), []
    seller, _ = seller_and_team()
    for version in Version.objects.filter(pk__in=ids):
        for reason in verdicts.verdict_of(version.runs.get()).failures:
            assert reason.code == "GATE-OS", f"{reason.title}: {reason.detail}"
            waiver = waivers.ask(
                seller, version, code=reason.code, subject=reason.subject, reason="Our base image is Debian 12."
            )
            expires = timezone.now() + timedelta(days=30)
            waivers.grant(admin, waiver, reason="It is supported and scannable.", expires_at=expires, whole_team=True)
        asked = releases.request_release(seller, version, "Ready for buyers.")
        releases.approve(admin, asked, "Looked at.")
        made.append(str(asked.pk))
    return {"releases": made}


def publish(*ids: str) -> dict[str, Any]:
    admin = get_user_model().objects.get(email=ADMIN)
    for asked in Release.objects.filter(pk__in=ids):
        releases.publish(admin, asked)
    return {}


def facts() -> dict[str, Any]:
    """What must be the same after a restart, and after a backup was restored."""
    logs = Attempt.objects.filter(step__name="test", state="succeeded", log__isnull=False).order_by("created_at")
    attempt = logs.select_related("step__run__version").first()
    assert attempt is not None
    assert attempt.step.run is not None
    credential = Credential.objects.get()
    page = links.version(attempt.step.run.version)
    return {
        "database": f"{connection.vendor} {connection.pg_version}",
        "environment": settings.SLIPWAY.env,
        "users": get_user_model().objects.count(),
        "versions": Version.objects.count(),
        "attempts": Attempt.objects.count(),
        "published": Release.objects.filter(state="published").count(),
        "hosts": sorted({row.worker.partition(":")[0] for row in Attempt.objects.filter(queue="engine")} - {""}),
        "page": page,
        "log": reverse("attempt_log", args=[attempt.step.run.version.listing.team.slug, attempt.pk]),
        "log_lines": attempt.log_lines,
        "secret_opens": credential.reveal() == SECRET,
    }


if __name__ == "__main__":
    verbs = {"submit": submit, "release": release, "publish": publish, "facts": facts}
    sys.stdout.write(json.dumps(verbs[sys.argv[1]](*sys.argv[2:])) + "\n")
