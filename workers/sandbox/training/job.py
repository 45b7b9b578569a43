"""One training container's life: laid out, started, run to its end, and what it says of itself afterwards."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings
from docker.types import Mount

from listings.problems import Owner, ProblemError, get
from listings.reports import Evidence
from listings.spec.models import Training, TrainingTest
from workers.sandbox.exits import meaning_of
from workers.sandbox.holder_client import Holder
from workers.sandbox.phase import ML, Bench, Outcome, containers
from workers.sandbox.resources.profile import Profile
from workers.sandbox.samples import Samples
from workers.sandbox.sending import send_archive
from workers.sandbox.subject import CANCEL_GRACE_SECONDS, Exit, OutputPump, Subject
from workers.sandbox.training.layout import (
    FAST_FILE,
    FILE,
    PIPE,
    JobInput,
    job_input,
    write_channel_tar,
    write_training_tar,
)

DATA = f"{ML}/input/data"
FAILURE = f"{ML}/output/failure"
FAILURE_CHARACTERS = 1024  # so much of the file becomes the job's FailureReason
#: Where the holder has the channels that are no plain files in /opt/ml.
CHANNELS = "/srv/channels"
T = TypeVar("T")
NUMBER = re.compile(r"[-+]?[0-9][0-9.eE+-]*")


@dataclass(frozen=True, slots=True)
class Setup:
    """What every training run of one test works with. ``mode``: the verdict run's input mode."""

    training: Training
    test: TrainingTest
    mode: str
    samples: Samples
    profile: Profile

    def job(self) -> JobInput:
        return job_input(self.training, self.test, self.mode)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. ``exit`` None: it was stopped, for the problem ``stopped``. ``failure``: what it left as its
    reason."""

    exit: Exit | None
    stopped: str
    failure: str
    evidence: tuple[Evidence, ...]

    @property
    def succeeded(self) -> bool:
        return self.exit is not None and self.exit.code == 0

    @property
    def how(self) -> str:
        """As part of a sentence: it …"""
        if self.exit is None:
            return f"had to be stopped ({self.stopped})"
        if self.exit.code == 0:
            return "ended with exit code 0"
        meaning = meaning_of(self.exit.code, out_of_memory=self.exit.out_of_memory)
        return f"ended with exit code {self.exit.code} ({meaning})"


def run_job(
    bench: Bench, outcome: Outcome, setup: Setup, job: JobInput, live: Callable[[Holder, Subject], T]
) -> T | None:
    """Start ``train`` on the job; what ``live`` makes of the running container. None where a seller's problem ended
    it, which then is in ``outcome``.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    apart = [name for name in setup.test.channels if job.mode(name) != FILE]
    with ExitStack() as stack:
        volumes = {name: f"slipway-{bench.name}-{outcome.phase}-{index}" for index, name in enumerate(apart)}
        for volume in volumes.values():
            bench.engine.create_volume(name=volume, labels=bench.labels)
            stack.callback(bench.engine.remove_volume, volume)
        places = {name: f"{CHANNELS}/{index}" for index, name in enumerate(apart)}
        with_holder = [_mount(places[name], volume) for name, volume in volumes.items()]
        with containers(bench, outcome, setup.profile, ML, with_holder) as (holder, subject, volume):
            _lay_out(bench, holder, setup, job, places)
            mounts = [_mount(ML, volume)]
            mounts += [
                _mount(f"{DATA}/{name}", volumes[name], read_only=True) for name in apart if job.mode(name) == FAST_FILE
            ]
            subject.create(bench.image, "train", bench.labels, mounts, environment(bench))
            subject.start("train")
            outcome.mark(0.0, "start", "train")
            return live(holder, subject)
    return None


def _mount(target: str, volume: str, *, read_only: bool = False) -> Mount:
    return Mount(target=target, source=volume, type="volume", no_copy=True, read_only=read_only)


def _lay_out(bench: Bench, holder: Holder, setup: Setup, job: JobInput, places: dict[str, str]) -> None:
    packed = bench.workdir / "training.tar"
    write_training_tar(packed, job, setup.test, setup.samples)
    send_archive(holder, ML, packed, bench.stop)
    for name, place in places.items():
        if name not in job.empty:
            write_channel_tar(packed, setup.samples.files(setup.test.channels[name].path))
            send_archive(holder, place, packed, bench.stop)
    piped = {name: place for name, place in places.items() if job.mode(name) == PIPE}
    if piped:
        holder.call("pipes", bench.stop, target=DATA, sources=piped)
    modes = ", ".join(f"{name} ({job.mode(name)}{', empty' * (name in job.empty)})" for name in job.channels)
    bench.log.line(f"train: {len(job.hyperparameters)} hyperparameters; channels: {modes or 'none'}", "slipway")


def environment(bench: Bench) -> dict[str, str]:
    job = f"slipway-{bench.name}"[:63]
    arn = f"arn:aws:sagemaker:{settings.SLIPWAY.aws_region}:000000000000:training-job/{job}"
    return {"TRAINING_JOB_NAME": job, "TRAINING_JOB_ARN": arn}


def until_end(subject: Subject, limit: float) -> Exit:
    """Raises ProblemError TEST-TRAIN-TIMEOUT, TEST-TRAIN-IDLE, after stopping the container."""
    idle_limit = settings.SLIPWAY.idle_timeout_seconds
    while (ended := subject.tick()) is None:
        if subject.seconds > limit:
            subject.terminate(CANCEL_GRACE_SECONDS)
            evidence = (*subject.profile.share_evidence(), *subject.last_lines())
            raise ProblemError("TEST-TRAIN-TIMEOUT", evidence=evidence, limit=f"{limit:g}")
        if subject.idle_seconds() > idle_limit:
            subject.terminate(CANCEL_GRACE_SECONDS)
            raise ProblemError("TEST-TRAIN-IDLE", evidence=subject.last_lines(), limit=f"{idle_limit:g}")
    return ended


def to_end(bench: Bench, outcome: Outcome, holder: Holder, subject: Subject, limit: float) -> Ended:
    """Its end in a run that is no verdict: being stopped, too, is an answer. Raises ProblemError, StepStopped."""
    ended, stopped = None, ""
    try:
        ended = until_end(subject, limit)
        mark_end(outcome, subject, ended)
    except ProblemError as error:
        if get(error.code).owner is not Owner.SELLER:
            raise
        stopped = error.code
    told = read_failure(bench, holder)
    said = (Evidence(told, label=FAILURE),) if told else ()
    found = Ended(ended, stopped, told, said + subject.last_lines(5))
    bench.log.line(f"train {found.how}", "slipway")
    return found


def mark_end(outcome: Outcome, subject: Subject, ended: Exit) -> None:
    if ended.out_of_memory:
        outcome.mark(subject.lived, "out-of-memory", "the kernel killed a process for memory")
    outcome.mark(subject.lived, "end", f"exit code {ended.code}")


def read_failure(bench: Bench, holder: Holder) -> str:
    """The part of ``/opt/ml/output/failure`` that SageMaker would show."""
    found = bench.engine.get_file(holder.container, FAILURE, 4 * FAILURE_CHARACTERS)
    return (found or b"").decode("utf-8", "replace")[:FAILURE_CHARACTERS].strip()


def output_facts(pump: OutputPump) -> dict[str, Any]:
    """What a run printed, for comparison with another: ``last`` is the same where only numbers differ."""
    seconds, lines = pump.kept_seconds(), pump.kept()
    return {
        "lines": pump.lines,
        "first_seconds": round(seconds[0], 3) if seconds else None,
        "last_seconds": round(seconds[-1], 3) if seconds else None,
        "last": hashlib.sha256(NUMBER.sub("0", lines[-1]).encode()).hexdigest()[:16] if lines else "",
    }
