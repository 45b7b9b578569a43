"""Small versions whose steps last a while, and how they are submitted."""

from __future__ import annotations

import io
import tarfile
from typing import Any

from listings.models import Kind, Run, Team, UploadPurpose
from listings.services import listings as listing_service
from listings.services import versions

DOCKERFILE = """\
FROM slipway.local/busybox:1
COPY train /bin/train
RUN dd if=/dev/urandom of=/ballast bs=1M count={ballast} && sleep {build}
"""
TRAIN = """\
#!/bin/sh
trap 'exit 143' TERM
sleep {train} & wait $!
echo loss=0.5
echo learned > /opt/ml/model/model.txt
"""
SPEC = """\
slipway: 1
kind: Algorithm
training:
  SupportedTrainingInstanceTypes: [ml.m5.large]
  TrainingChannels:
    - {Name: train, SupportedContentTypes: [text/csv], SupportedInputModes: [File]}
tests:
  training:
    instance_type: ml.m5.large
    channels: {train: {path: train.csv, content_type: text/csv}}
"""


def context_with(*, build: int = 0, train: int = 0, ballast: int = 1, files: int = 400) -> bytes:
    """A build context whose build and training last that many seconds, with ``ballast`` MiB of image and ``files``
    more files in the source."""
    contents = {
        "Dockerfile": DOCKERFILE.format(build=build, ballast=ballast),
        "train": TRAIN.format(train=train),
        "slipway.yaml": SPEC,
        "train.csv": "1,2\n",
    } | {f"notes/{number}.txt": f"{number}\n" * 500 for number in range(files)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755 if name == "train" else 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def submit(seller: Any, team: Team, name: str, context: bytes) -> Run:
    """A listing of that name, its version 1.0.0 from ``context``, and the run that this starts."""
    listing = listing_service.create_listing(seller, team, kind=Kind.ALGORITHM, name=name, product_id="")
    source = versions.store_upload(
        seller, team, UploadPurpose.SOURCE, "context.tar.gz", io.BytesIO(context), len(context)
    )
    return versions.submit_version(seller, versions.create_version(seller, listing, number="1.0.0", source=source))
