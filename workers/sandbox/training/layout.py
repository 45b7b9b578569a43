"""``/opt/ml`` as SageMaker lays it out for a training job, as one tar."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from listings.spec.models import Training, TrainingTest
from workers.sandbox.holder_client import HOST_NAME
from workers.sandbox.model_files import add_directory, add_file
from workers.sandbox.samples import Samples

DIRECTORIES = ("input", "input/config", "input/data", "model", "output", "output/data")


@dataclass(frozen=True, slots=True)
class JobInput:
    """The three configuration files of a training job."""

    hyperparameters: dict[str, str]
    channels: dict[str, dict[str, str]]
    resources: dict[str, Any]


def job_input(training: Training, test: TrainingTest, mode: str) -> JobInput:
    """What SageMaker would tell the job: declared defaults, overridden by the test's values, every one a string.

    ``mode``: File or FastFile, which look alike to the program.
    """
    values = {p.Name: p.DefaultValue for p in training.SupportedHyperParameters if p.DefaultValue is not None}
    declared = {channel.Name: channel for channel in training.TrainingChannels}
    channels = {}
    for name, sample in test.channels.items():
        content_type = sample.content_type or (declared[name].SupportedContentTypes[0] if name in declared else None)
        channels[name] = {
            **({"ContentType": content_type} if content_type else {}),
            "TrainingInputMode": mode,
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    group = {"instance_group_name": "homogeneousCluster", "instance_type": test.instance_type, "hosts": [HOST_NAME]}
    resources = {
        "current_host": HOST_NAME,
        "current_instance_type": test.instance_type,
        "current_group_name": "homogeneousCluster",
        "hosts": [HOST_NAME],
        "instance_groups": [group],
        "network_interface_name": "eth0",
    }
    return JobInput({**values, **test.hyperparameters}, channels, resources)


def write_training_tar(target: Path, job: JobInput, test: TrainingTest, samples: Samples) -> None:
    """The tar to unpack at ``/opt/ml``."""
    with tarfile.open(target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in DIRECTORIES:
            add_directory(archive, name)
        add_file(archive, "input/config/hyperparameters.json", _json(job.hyperparameters))
        add_file(archive, "input/config/inputdataconfig.json", _json(job.channels))
        add_file(archive, "input/config/resourceconfig.json", _json(job.resources))
        for channel, sample in test.channels.items():
            add_directory(archive, f"input/data/{channel}")
            for name, path in samples.files(sample.path):
                member = tarfile.TarInfo(f"input/data/{channel}/{name}")
                member.size, member.mode = path.stat().st_size, 0o644
                with path.open("rb") as content:
                    archive.addfile(member, content)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2).encode()
