"""What the demo shows: two people, a team connected to the stand-in, and two sample listings."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model

from listings.models import Kind, Listing, Team, Upload, UploadPurpose, Version
from listings.queries import next_number
from listings.services import listings as listing_service
from listings.services import teams, versions

SELLER, ADMIN = "seller@example.com", "admin@example.com"
ACCOUNT, REGION = "111122223333", "us-east-1"


@dataclass(frozen=True, slots=True)
class Sample:
    folder: str
    kind: Kind
    name: str
    summary: str
    product_id: str


SAMPLES = (
    Sample(
        "decision-trees", Kind.ALGORITHM, "Decision trees", "Trains and serves decision trees.", "prod-slipdemotrees"
    ),
    Sample(
        "churn-predictor", Kind.MODEL_PACKAGE, "Churn predictor", "Scores customers with a model.", "prod-slipdemochurn"
    ),
)


@dataclass(frozen=True, slots=True)
class People:
    seller: Any
    admin: Any


def people(password: str) -> People:
    """The demo's seller and admin, made on first use; ``password`` is set anew each time."""
    return People(
        _person(SELLER, "Dev Account", password, is_staff=False),
        _person(ADMIN, "Admin Account", password, is_staff=True),
    )


def _person(email: str, name: str, password: str, *, is_staff: bool) -> Any:
    users = get_user_model()
    user = users.objects.filter(email=email).first() or users.objects.create_user(email=email, password=password)
    user.full_name, user.is_staff = name, is_staff
    user.set_password(password)
    user.save()
    user.emailaddress_set.get_or_create(email=email, defaults={"verified": True, "primary": True})
    return user


def team_of(seller: Any) -> Team:
    """The demo's team, connected to the AWS stand-in."""
    team = Team.objects.filter(slug="acme-vision").first() or teams.create_team(seller, "Acme Vision")
    role = f"arn:aws:iam::{ACCOUNT}:role"
    values = {
        "aws_account_id": ACCOUNT, "aws_region": REGION, "aws_role_arn": f"{role}/slipway-demo",
        "s3_bucket": "slipway-demo-acme-vision", "ecr_prefix": "acme-vision",
        "validation_role_arn": f"{role}/slipway-validation", "access_role_arn": f"{role}/slipway-marketplace",
    }  # fmt: skip
    teams.connect_aws(seller, team, values)
    return team


def listing_of(seller: Any, team: Team, sample: Sample) -> Listing:
    found = Listing.objects.filter(team=team, name=sample.name).first()
    return found or listing_service.create_listing(
        seller, team, kind=sample.kind, name=sample.name, summary=sample.summary, product_id=sample.product_id
    )


def new_version(seller: Any, listing: Listing, sample: Sample) -> Version:
    """Upload the sample as a seller would, and submit the listing's next version."""
    folder = Path(settings.BASE_DIR) / "samples" / sample.folder
    source = _upload(seller, listing.team, UploadPurpose.SOURCE, f"{sample.folder}.tar.gz", pack(folder))
    artifact = None
    if sample.kind == Kind.MODEL_PACKAGE:
        artifact = _upload(seller, listing.team, UploadPurpose.ARTIFACT, "model.tar.gz", make_model(folder))
    version = versions.create_version(
        seller, listing, number=next_number(listing), source=source, artifact=artifact, notes="The demo's sample."
    )
    versions.submit_version(seller, version)
    return version


def _upload(user: Any, team: Team, purpose: UploadPurpose, name: str, content: bytes) -> Upload:
    return versions.store_upload(user, team, purpose, name, io.BytesIO(content), len(content))


def pack(folder: Path) -> bytes:
    """The folder as a .tar.gz build context."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.add(path, arcname=str(path.relative_to(folder)))
    return buffer.getvalue()


def make_model(folder: Path) -> bytes:
    """Train the sample's model with its own ``make_model.py``; returns model.tar.gz."""
    with tempfile.TemporaryDirectory() as directory:
        make = [sys.executable, str(folder / "make_model.py"), directory]
        subprocess.run(make, check=True, capture_output=True, timeout=120)
        return (Path(directory) / "model.tar.gz").read_bytes()
