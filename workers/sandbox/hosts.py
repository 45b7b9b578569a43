"""Training on two hosts, for an algorithm that says it can: each with a container, a volume and a name of its own, and
nothing between them but a cable from one closed namespace to the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from docker.types import Mount

from listings.problems import ProblemError
from listings.reports import CheckOutcome, CheckReport
from listings.spec.models import Training, TrainingTest
from workers.sandbox.exits import meaning_of
from workers.sandbox.holder_client import HOST_NAME, Holder, Place
from workers.sandbox.named_log import NamedLog
from workers.sandbox.phase import ML, MODEL, Bench, Outcome, containers
from workers.sandbox.plan import NO_TIME
from workers.sandbox.resources.profile import Profile, host_share
from workers.sandbox.samples import Samples
from workers.sandbox.sending import send_archive
from workers.sandbox.subject import CANCEL_GRACE_SECONDS, Exit, Subject
from workers.sandbox.training.job import environment
from workers.sandbox.training.layout import FILE, JobInput, job_input, write_training_tar

CODE = "TEST-TRAIN-HOSTS"
HOSTS = {HOST_NAME: "10.255.77.1", "algo-2": "10.255.77.2"}
PHASES = {HOST_NAME: "train-hosts", "algo-2": "train-hosts-2"}
OUTSIDE = ("203.0.113.1", "169.254.169.254")
#: Once a host has failed, the job has; the others are stopped after this.
OTHER_GRACE_SECONDS = 10.0
#: With half the CPUs training may take twice as long as on one host, and so much longer for the hosts to meet.
HALF_TIMES, HALF_GRACE_SECONDS = 2, 60.0
#: After so many times as long, half the CPUs no longer explain that it has not ended.
TOO_MANY_TIMES = 4
#: Hosts that have neither printed nor computed for so long wait for each other, whatever their CPUs.
STUCK_SECONDS = 30.0
TICK_SECONDS = 0.15


@dataclass(frozen=True, slots=True)
class Allowed:
    """``profile`` of each host; ``limit``: seconds for both; ``time_excuses``: whether running out of them may be
    this host's doing, which gives each fewer CPUs than the one host had."""

    profile: Profile
    limit: float
    time_excuses: bool


@dataclass(frozen=True, slots=True)
class Stopped:
    """``text``: which hosts had not ended; ``late``: no more was wrong than that their time was over."""

    text: str
    late: bool


@dataclass(slots=True)
class Machine:
    """One of the hosts. ``ended`` None: it runs, or had to be stopped."""

    name: str
    holder: Holder
    subject: Subject
    volume: str
    ended: Exit | None = None

    def as_json(self) -> dict[str, Any]:
        code = self.ended.code if self.ended else None
        return {"host": self.name, "exit_code": code, "seconds": self.subject.lived}


def run(
    bench: Bench, training: Training, test: TrainingTest, samples: Samples, profile: Profile, *, seconds: float,
    has_time: Callable[[float], bool],
) -> list[Outcome]:  # fmt: skip
    """Train once on two hosts; the outcome of each, the first with the one check. None where the algorithm does not
    claim distributed training. ``seconds``: what training on one host took; ``has_time``: whether the step has the
    time for a run of so many seconds.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    if not training.SupportsDistributedTraining:
        return []
    allowed = allow(test, profile, half(bench, profile), seconds)
    if reason := _why_not(training, test, in_time=has_time(allowed.limit)):
        skipped = Outcome(PHASES[HOST_NAME], bench.network)
        _settle([skipped], _skip(reason))
        return [skipped]
    bench.section("Training on two hosts")
    outcomes = [Outcome(phase, bench.network) for phase in PHASES.values()]
    first, second = outcomes
    report = _skip("it never started")
    with (
        containers(_named(bench, HOST_NAME), first, allowed.profile, ML, place=_place(HOST_NAME)) as one,
        containers(_named(bench, "algo-2"), second, allowed.profile, ML, place=_place("algo-2", one[0])) as two,
    ):
        machines = [Machine(name, *parts) for name, parts in zip(HOSTS, (one, two), strict=True)]
        if reason := _connect(bench, machines):
            report = _skip(reason)
        else:
            job = job_input(training, test, FILE)
            _start(bench, machines, job, test, samples)
            report = _judge(bench, machines, _stop_late(machines, allowed.limit), allowed)
            for outcome, machine in zip(outcomes, machines, strict=True):
                outcome.facts = machine.as_json()
    _settle(outcomes, report)
    return outcomes


def _why_not(training: Training, test: TrainingTest, *, in_time: bool) -> str:
    files = [
        FILE in channel.SupportedInputModes for channel in training.TrainingChannels if channel.Name in test.channels
    ]
    if not all(files):
        return "its data are handed to two hosts as files only, and a channel does not support the mode File"
    return "" if in_time else NO_TIME


def _skip(reason: str) -> CheckReport:
    return CheckReport(CODE, CheckOutcome.SKIP, {"reason": reason, "hosts": str(len(HOSTS))})


def _named(bench: Bench, host: str) -> Bench:
    folder = bench.workdir / host
    folder.mkdir()
    return replace(bench, log=NamedLog(bench.log, host), workdir=folder)


def _place(host: str, beside: Holder | None = None) -> Place:
    return Place(host, HOSTS[host], str(beside.container.id) if beside else "")


def half(bench: Bench, profile: Profile) -> Profile:
    """Of each host: both together stay within this host's share."""
    cpus, memory = host_share(bench.engine.info())
    return replace(profile, memory_bytes=min(profile.memory_bytes, memory // 2), cpus=min(profile.cpus, cpus / 2))


def allow(test: TrainingTest, whole: Profile, each: Profile, seconds: float) -> Allowed:
    """What two hosts with the profile ``each`` may take where one with ``whole`` took ``seconds``."""
    limit = float(test.timeout_seconds)
    if each.cpus >= whole.cpus:
        return Allowed(each, limit, time_excuses=False)
    limit = max(limit, HALF_TIMES * seconds + HALF_GRACE_SECONDS)
    return Allowed(each, limit, time_excuses=limit < TOO_MANY_TIMES * seconds + HALF_GRACE_SECONDS)


def _connect(bench: Bench, machines: Sequence[Machine]) -> str:
    """Lay the cable and prove that it leads to the other host only, before a seller's container starts; "" if so, else
    why no container may be."""
    one, two = machines
    try:
        one.holder.call("connect", bench.stop, process=two.holder.process)
        for machine in machines:
            machine.holder.call("join", bench.stop, own=HOSTS[machine.name], hosts=HOSTS)
            machine.holder.call("echo", bench.stop, own=HOSTS[machine.name], on=True)
        away = [*OUTSIDE, *_engine_addresses(bench)]
        for machine in machines:
            found = machine.holder.call("prove", bench.stop, own=HOSTS[machine.name], hosts=HOSTS, away=away)
            if found["wrong"]:
                return f"on {machine.name}, {'; '.join(found['wrong'][:5])}"
        for machine in machines:
            machine.holder.call("echo", bench.stop, own=HOSTS[machine.name], on=False)
    except ProblemError as error:
        return f"the hosts could not be connected: {error.report.params.get('reason', error)}"
    bench.log.line(f"{', '.join(HOSTS)} reach each other, and neither host, gateway nor outside", "slipway")
    return ""


def _engine_addresses(bench: Bench) -> list[str]:
    """The engine host's addresses on its own networks."""
    found = []
    for network in bench.engine.api.networks():
        for part in (network.get("IPAM") or {}).get("Config") or []:
            gateway = str(part.get("Gateway", ""))
            if gateway and ":" not in gateway:
                found.append(gateway.partition("/")[0])
    return found[:8]


def _start(bench: Bench, machines: Sequence[Machine], job: JobInput, test: TrainingTest, samples: Samples) -> None:
    for machine in machines:
        packed = bench.workdir / machine.name / "training.tar"
        write_training_tar(packed, replace(job, resources=_resources(job, machine.name)), test, samples)
        send_archive(machine.holder, ML, packed, bench.stop)
        mount = Mount(target=ML, source=machine.volume, type="volume", no_copy=True)
        machine.subject.create(bench.image, "train", bench.labels, [mount], environment(bench))
    for machine in machines:
        machine.subject.start("train")


def _stop_late(machines: Sequence[Machine], limit: float) -> Stopped | None:
    """Wait for the end of all of them, ``limit`` seconds at most. What had to be stopped, None where they ended."""
    failed_at = 0.0
    while any(machine.ended is None for machine in machines):
        for machine in machines:
            if machine.ended is None:
                machine.ended = machine.subject.tick(TICK_SECONDS)
                if machine.ended is not None and machine.ended.code:
                    failed_at = failed_at or machine.subject.seconds
        seconds = machines[0].subject.seconds
        over = seconds > limit or (failed_at and seconds > failed_at + OTHER_GRACE_SECONDS)
        if over and any(machine.ended is None for machine in machines):
            return _stop(machines, seconds)
    return None


def _stop(machines: Sequence[Machine], seconds: float) -> Stopped:
    running = [machine for machine in machines if machine.ended is None]
    idle = min(machine.subject.idle_seconds() for machine in running)
    for machine in running:
        machine.subject.terminate(CANCEL_GRACE_SECONDS)
    text = f"{' and '.join(machine.name for machine in running)} had not ended after {seconds:.0f} s"
    if idle < STUCK_SECONDS:
        return Stopped(text, late=not any(machine.ended and machine.ended.code for machine in machines))
    return Stopped(f"{text}, and neither printed nor computed for the last {idle:.0f} s", late=False)


def _resources(job: JobInput, host: str) -> dict[str, Any]:
    names = sorted(HOSTS)
    groups = [{**group, "hosts": names} for group in job.resources["instance_groups"]]
    return {**job.resources, "current_host": host, "hosts": names, "instance_groups": groups}


def _judge(bench: Bench, machines: Sequence[Machine], stopped: Stopped | None, allowed: Allowed) -> CheckReport:
    how = [stopped.text] if stopped else []
    how += [
        f"{machine.name} ended with exit code {machine.ended.code} ({meaning_of(machine.ended.code)})"
        for machine in machines
        if machine.ended is not None and machine.ended.code
    ]
    if not how:
        profile = machines[0].subject.profile
        limits: dict[str, Any] = {"max_bytes": profile.disk_bytes, "max_entries": profile.inodes}
        found = machines[0].holder.call("measure", bench.stop, path=MODEL, **limits)
        how += [] if found["entries"] else [f"{HOST_NAME} left no file in {MODEL}"]
    bench.log.line(f"training on two hosts: {'; '.join(how) or 'both ended with exit code 0'}", "slipway")
    if any(machine.subject.out_of_memory for machine in machines):
        return _skip("this host has not the memory for two")
    if stopped and stopped.late and allowed.time_excuses:
        return _skip(f"{stopped.text}, with {allowed.profile.cpus:g} vCPU each, fewer than the one host had")
    params = {"reason": "; ".join(how), "hosts": str(len(machines))}
    evidence = machines[0].subject.last_lines() if how else ()
    return CheckReport(CODE, CheckOutcome.FAIL if how else CheckOutcome.PASS, params, evidence)


def _settle(outcomes: Sequence[Outcome], report: CheckReport) -> None:
    """One check says what this run found; that one host went past its limits is a reason of it."""
    ended = next((outcome.problem for outcome in outcomes if outcome.problem), None)
    for outcome in outcomes:
        outcome.checks.clear()
        outcome.problem = None
    if ended is not None:
        report = CheckReport(CODE, CheckOutcome.FAIL, {"reason": f"it broke ({ended.code})"}, ended.evidence)
    outcomes[0].add(report.outcome, CODE, evidence=report.evidence, **report.params)
