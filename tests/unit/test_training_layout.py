"""What a training job's files hold, by input mode."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from listings.spec.models import Training, TrainingTest
from workers.sandbox.exits import meaning_of
from workers.sandbox.training.layout import FAST_FILE, FILE, PIPE, JobInput, job_input, write_training_tar

TRAINING = Training.model_validate({
    "SupportedHyperParameters": [
        {"Name": "epochs", "Type": "Integer", "DefaultValue": "2"},
        {"Name": "rate", "Type": "Continuous", "DefaultValue": "0.1"},
        {"Name": "label", "Type": "FreeText"},
    ],
    "TrainingChannels": [
        {"Name": "train", "SupportedContentTypes": ["text/csv"], "SupportedInputModes": ["File", "Pipe"]},
        {"Name": "test", "SupportedContentTypes": ["text/csv"], "SupportedInputModes": ["File"]},
    ],
})  # fmt: skip
TEST = TrainingTest.model_validate({
    "instance_type": "ml.m5.large",
    "hyperparameters": {"epochs": "5"},
    "channels": {"train": {"path": "a"}, "test": {"path": "b", "content_type": "text/plain"}},
})  # fmt: skip


class Files:
    """Stands for the samples: each path is one file that holds its own name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self, path: str) -> list[tuple[str, Path]]:
        place = self.folder / path
        place.write_text(path)
        return [(f"{path}.csv", place)]


def laid_out(job: JobInput, folder: Path) -> dict[str, Any]:
    """Name -> content, None for a directory."""
    packed = folder / "packed.tar"
    samples: Any = Files(folder)
    write_training_tar(packed, job, TEST, samples)
    with tarfile.open(fileobj=io.BytesIO(packed.read_bytes())) as archive:
        return {m.name: (archive.extractfile(m) or io.BytesIO()).read() if m.isfile() else None for m in archive}


def test_values_are_text_and_keys_are_there_only_where_something_is_set() -> None:
    job = job_input(TRAINING, TEST, FILE)
    assert job.hyperparameters == {"epochs": "5", "rate": "0.1"}
    assert job.channels["train"] == {
        "ContentType": "text/csv", "TrainingInputMode": "File", "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }  # fmt: skip
    assert job.channels["test"]["ContentType"] == "text/plain"
    undeclared = job_input(TRAINING.model_copy(update={"TrainingChannels": []}), TEST, FILE)
    assert "ContentType" not in undeclared.channels["train"]
    assert job.resources["hosts"] == ["algo-1"] == job.resources["instance_groups"][0]["hosts"]


def test_file_mode_has_the_files_and_nothing_that_sagemaker_would_not_make(tmp_path: Path) -> None:
    found = laid_out(job_input(TRAINING, TEST, FILE), tmp_path)
    assert set(found) == {
        "input", "input/config", "input/data", "model", "output", "output/data",
        "input/config/hyperparameters.json", "input/config/inputdataconfig.json", "input/config/resourceconfig.json",
        "input/data/train", "input/data/train/a.csv", "input/data/test", "input/data/test/b.csv",
    }  # fmt: skip
    assert all(isinstance(value, str) for value in json.loads(found["input/config/hyperparameters.json"]).values())


def test_a_fastfile_channel_is_a_place_to_mount_at_and_a_pipe_channel_is_not_there_yet(tmp_path: Path) -> None:
    job = job_input(TRAINING, TEST, FAST_FILE).with_mode(["train"], PIPE)
    found = laid_out(job, tmp_path)
    assert [name for name in found if name.startswith("input/data/")] == ["input/data/test"]
    modes = {
        name: each["TrainingInputMode"] for name, each in json.loads(found["input/config/inputdataconfig.json"]).items()
    }
    assert modes == {"train": "Pipe", "test": "FastFile"}


def test_an_empty_channel_is_a_directory_without_a_file(tmp_path: Path) -> None:
    job = job_input(TRAINING, TEST, FILE).with_empty("train")
    found = laid_out(job, tmp_path)
    assert "input/data/train" in found
    assert "input/data/train/a.csv" not in found
    assert "input/data/test/b.csv" in found
    assert job.channels["train"]["S3DistributionType"] == "ShardedByS3Key"


def test_checkpoints_are_there_for_a_job_that_has_them_only(tmp_path: Path) -> None:
    job = job_input(TRAINING, TEST, FILE)
    assert "checkpoints" not in laid_out(job, tmp_path)
    assert "checkpoints" in laid_out(job.with_checkpoints(), tmp_path)


@pytest.mark.parametrize(
    ("code", "out_of_memory", "words"),
    [
        (137, True, "running out of memory"),
        (137, False, "no process of it ran out of memory"),
        (1, True, "run out of memory"),
        (126, False, "executable bit"),
        (127, False, "PATH"),
        (134, False, "SIGABRT"),
        (139, False, "AVX"),
        (143, False, "SIGTERM"),
        (159, False, "signal 31"),
        (7, False, "its own exit code"),
    ],
)
def test_an_exit_code_is_told_in_words(code: int, out_of_memory: bool, words: str) -> None:
    assert words in meaning_of(code, out_of_memory=out_of_memory)
