"""``/opt/ml`` as SageMaker lays it out for a training job: what goes into its files, and the tars to unpack."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from listings.spec.models import Training, TrainingTest
from workers.sandbox.holder_client import HOST_NAME
from workers.sandbox.model_files import add_directory, add_file
from workers.sandbox.samples import Samples

FILE, FAST_FILE, PIPE = "File", "FastFile", "Pipe"
DIRECTORIES = ("input", "input/config", "input/data", "model", "output", "output/data")
#: Only a job with a CheckpointConfig has it, which neither an algorithm nor its validation profile can ask for.
CHECKPOINTS = "checkpoints"
#: A tuning job adds this hyperparameter to the declared ones.
TUNING_PARAMETER = "_tuning_objective_metric"


@dataclass(frozen=True, slots=True)
class JobInput:
    """The three configuration files of a training job, and what else differs between jobs.

    ``empty``: channels without a file. ``checkpoints``: as a job with a CheckpointConfig.
    """

    hyperparameters: dict[str, str]
    channels: dict[str, dict[str, str]]
    resources: dict[str, Any]
    empty: frozenset[str] = frozenset()
    checkpoints: bool = False

    def mode(self, channel: str) -> str:
        return self.channels[channel]["TrainingInputMode"]

    def with_values(self, values: Mapping[str, str]) -> Self:
        return replace(self, hyperparameters={**self.hyperparameters, **values})

    def without(self, parameter: str) -> Self:
        return replace(self, hyperparameters={k: v for k, v in self.hyperparameters.items() if k != parameter})

    def with_mode(self, names: Iterable[str], mode: str) -> Self:
        """The named channels read in another mode, as a job's own InputDataConfig may ask for."""
        changed = {name: {**self.channels[name], "TrainingInputMode": mode} for name in names}
        return replace(self, channels={**self.channels, **changed})

    def with_checkpoints(self) -> Self:
        return replace(self, checkpoints=True)

    def with_empty(self, name: str) -> Self:
        """The channel as a host sees it that ShardedByS3Key has left without a file."""
        changed = {**self.channels[name], "S3DistributionType": "ShardedByS3Key"}
        return replace(self, channels={**self.channels, name: changed}, empty=frozenset({name}))


def job_input(training: Training, test: TrainingTest, mode: str) -> JobInput:
    """What SageMaker would tell the job: declared defaults, overridden by the test's values, every one a string.

    ``mode``: File, FastFile or Pipe. A channel without a content type has no such key.
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
    """The tar to unpack at ``/opt/ml``. A FastFile channel is a directory to mount at, a Pipe channel nothing yet."""
    with tarfile.open(target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in (*DIRECTORIES, *((CHECKPOINTS,) if job.checkpoints else ())):
            add_directory(archive, name)
        add_file(archive, "input/config/hyperparameters.json", _json(job.hyperparameters))
        add_file(archive, "input/config/inputdataconfig.json", _json(job.channels))
        add_file(archive, "input/config/resourceconfig.json", _json(job.resources))
        for channel, sample in test.channels.items():
            if job.mode(channel) == PIPE:
                continue
            add_directory(archive, f"input/data/{channel}")
            if job.mode(channel) == FILE and channel not in job.empty:
                _add_sample(archive, f"input/data/{channel}/", samples.files(sample.path))


def write_channel_tar(target: Path, files: Iterable[tuple[str, Path]]) -> None:
    """One channel's files as the tar to unpack at the root of a volume of its own."""
    with tarfile.open(target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add_sample(archive, "", files)


def _add_sample(archive: tarfile.TarFile, prefix: str, files: Iterable[tuple[str, Path]]) -> None:
    for name, path in files:
        member = tarfile.TarInfo(f"{prefix}{name}")
        member.size, member.mode = path.stat().st_size, 0o644
        with path.open("rb") as content:
            archive.addfile(member, content)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2).encode()
