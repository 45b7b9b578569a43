"""What the tests of image sources share: a seller's registry, versions made of images in it, and bundles for them."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from listings import blobs
from listings.livelog import read_records
from listings.models import Credential, CredentialKind, Run, SourceKind, UploadPurpose
from listings.services import runs, versions
from listings.services.origins import Origin
from tests.images_by_hand import directory, file, program, tar
from tests.pipeline import GOOD, Pipeline, latest, packed
from tests.seller_registry import PASSWORD, USERNAME, SellerRegistry

BUNDLE = packed({name: GOOD[name] for name in ("slipway.yaml", "train.csv")})
SYSTEM = tar([directory("etc"), file("etc/os-release", b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n')])


def layers(mark: str = "") -> list[bytes]:
    """Two small layers; ``mark`` makes them another image's."""
    return [SYSTEM, tar([program("usr/local/bin/train", f"#!/bin/sh\n# {mark}\n".encode()), program("bin/sh")])]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SellerRegistry]:
    server = SellerRegistry(tmp_path_factory.mktemp("sellers"))
    server.start()
    yield server
    server.stop()


@dataclass
class Images:
    """Versions of ``pipeline``'s listing that come from images at ``host``; ``repository`` is this test's own."""

    pipeline: Pipeline
    host: str
    repository: str

    @classmethod
    def at(cls, pipeline: Pipeline, host: str) -> Images:
        """Of a registry that the operator lists."""
        pipeline.configure(source_allow_hosts=host)
        return cls(pipeline, host, f"seller/{uuid.uuid4().hex[:12]}")

    def reference(self, tag: str = "1.0") -> str:
        return f"{self.host}/{self.repository}:{tag}"

    def credential(
        self, password: str = PASSWORD, *, host: str = "", kind: str = CredentialKind.REGISTRY
    ) -> Credential:
        name = f"reader {uuid.uuid4().hex[:6]}"
        made = Credential(team=self.pipeline.team, kind=kind, name=name, host=host or self.host, username=USERNAME)
        made.seal(password)
        made.save()
        return made

    def submit(self, reference: str = "", credential: Credential | None = None, bundle: bytes = BUNDLE) -> Run:
        seller, team, listing = self.pipeline.seller, self.pipeline.team, self.pipeline.listing
        upload = versions.store_upload(
            seller, team, UploadPurpose.BUNDLE, "bundle.tar.gz", io.BytesIO(bundle), len(bundle)
        )
        origin = Origin(
            SourceKind.IMAGE, upload=upload, image_reference=reference or self.reference(), credential=credential
        )
        number = f"2.0.{listing.versions.count()}"
        return versions.submit_version(seller, versions.create_version(seller, listing, number=number, source=origin))

    def fetch(self, reference: str = "", credential: Credential | None = None, **more: Any) -> Run:
        return self.pipeline.drive(self.submit(reference, credential, **more), "fetch")

    def again(self, run: Run) -> Run:
        """Cancel what is left of a run and fetch the version once more."""
        runs.cancel_run(self.pipeline.seller, run)
        return self.pipeline.drive(runs.run_again(self.pipeline.seller, run.version), "fetch")

    @staticmethod
    def bundle_without(name: str) -> bytes:
        return packed({kept: GOOD[kept] for kept in ("slipway.yaml", "train.csv") if kept != name})

    @staticmethod
    def log(run: Run, step: str = "fetch") -> str:
        """The stored log of the step's latest attempt."""
        attempt = latest(run, step)
        assert attempt.log is not None
        with blobs.open_blob(attempt.log.sha256) as stored:
            return "\n".join(record.text for record in read_records(stored))

    def facts(self, run: Run) -> dict[str, Any]:
        attempt = latest(run, "fetch")
        assert attempt.problem_code == "", (attempt.problem_code, attempt.problem_params, attempt.problem_evidence)
        return dict(attempt.facts["image"])


@pytest.fixture
def images(pipeline: Pipeline, theirs: SellerRegistry) -> Images:
    """Of the seller's real registry, which the operator lists."""
    return Images.at(pipeline, theirs.host)
