"""An inference pipeline: its containers beside each other on one instance, each request handed from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import IO, Any

from django.conf import settings
from docker.types import Mount

from listings.problems import ProblemError
from listings.reports import Evidence
from listings.spec.models import Inference, InferenceTest
from workers.sandbox.holder_client import Holder
from workers.sandbox.named_log import NamedLog
from workers.sandbox.network import Network
from workers.sandbox.phase import MODEL, Bench, Outcome, containers, judge_memory, judge_processes
from workers.sandbox.resources import volumes
from workers.sandbox.resources.profile import Profile
from workers.sandbox.resources.volumes import ImageVolume
from workers.sandbox.samples import Samples
from workers.sandbox.serving import load, negotiation, requests, rough, signs, start
from workers.sandbox.serving.patches import add_patches
from workers.sandbox.serving.probing import Probe, Probing, describe, run_probes
from workers.sandbox.serving.run import STOP_SECONDS, judge_stop, no_facts, place_model
from workers.sandbox.subject import Exit, Subject

START = "TEST-PIPELINE-START"
#: None of them 8080, so that a container that does not ask for its port is found out.
FIRST_PORT = 21_080
PORT_RANGE = "21000-21999"
#: Where the holder has the models of the second container and those after it.
MODELS = "/srv/models"
OWN_VOLUMES = "/srv/volumes"
Model = Callable[[], AbstractContextManager[IO[bytes] | None]]

#: As for one container, less what asks one server about itself.
PROBES = (
    Probe(("TEST-CONTENT-TYPE",), negotiation.unknown_type, needs_sample=False),
    Probe(("TEST-INPUT-TYPE",), negotiation.input_types),
    Probe(("TEST-CHARSET",), negotiation.charset),
    Probe(("TEST-ACCEPT",), negotiation.accept),
    Probe(("TEST-HEADERS",), negotiation.headers),
    Probe(("TEST-EMPTY-BODY",), rough.empty_body, deadly="TEST-EMPTY-BODY"),
    Probe(("TEST-BAD-BODY",), rough.bad_body, deadly="TEST-BAD-BODY"),
    Probe(load.CODES, load.parallel_clients, deadly="TEST-LOAD"),
)


@dataclass(frozen=True, slots=True)
class Link:
    """One container of the pipeline. ``model``: opens its archive. ``place``: its model directory in the holder.
    ``own``: volumes that the image declares; those of the first container are made with it."""

    name: str
    environment: dict[str, str]
    model: Model
    port: int
    place: str
    volume: str
    own: tuple[ImageVolume, ...] = ()


def run(
    bench: Bench, test: InferenceTest, inference: Inference, samples: Samples, models: Sequence[Model],
    profile: Profile,
) -> Outcome:  # fmt: skip
    """Serve with every container of ``inference.Containers``; ``models`` are theirs, in their order.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    outcome, log = Outcome("serve", bench.network), signs.WatchedLog(bench.log)
    bench = replace(bench, log=log)
    bench.section(f"Inference by {len(models)} containers in a row")
    links = _links(bench, inference, models)
    share = _share(profile, len(links))
    first = replace(bench, log=NamedLog(log, links[0].name))
    with ExitStack() as stack:
        links = [links[0], *(replace(link, own=_own(bench, stack, link)) for link in links[1:])]
        more = [_volume(bench, stack, link) for link in links[1:]]
        more += [volume.for_holder() for link in links[1:] for volume in link.own]
        with containers(first, outcome, share, MODEL, more) as (holder, subject, volume):
            outcome.facts = no_facts() | {"pipeline": []}
            probing = Probing(bench, outcome, holder, subject, samples, inference, test, outcome.facts)
            probing.names = tuple(link.name for link in links)
            holder.ports = tuple(link.port for link in links)
            with _others(bench, holder, share, links[1:]) as others:
                probing.others = outcome.others = others
                _start(probing, links, [volume, *(link.volume for link in links[1:])])
                _await_pings(probing, links)
                requests.send_all(probing)
                if bench.network is Network.REFUSE:
                    run_probes(probing, PROBES)
                _stop(probing, links)
    signs.judge(outcome, log, say_none=outcome.facts is not None)
    add_patches(outcome)
    return outcome


def _links(bench: Bench, inference: Inference, models: Sequence[Model]) -> list[Link]:
    return [
        Link(
            link.ContainerHostname, {**inference.Environment, **link.Environment}, model, FIRST_PORT + index,
            f"{MODELS}/{index}" if index else MODEL, f"slipway-{bench.name}-serve-{bench.network.value}-{index}",
        )
        for index, (link, model) in enumerate(zip(inference.Containers, models, strict=True))
    ]  # fmt: skip


def _share(profile: Profile, count: int) -> Profile:
    """They share one instance; how is not documented, so each gets the same part of it."""
    return replace(profile, memory_bytes=profile.memory_bytes // count, cpus=profile.cpus / count)


def _volume(bench: Bench, stack: ExitStack, link: Link) -> Mount:
    bench.engine.create_volume(name=link.volume, labels=bench.labels)
    stack.callback(bench.engine.remove_volume, link.volume)
    return Mount(target=link.place, source=link.volume, type="volume", no_copy=True)


def _own(bench: Bench, stack: ExitStack, link: Link) -> tuple[ImageVolume, ...]:
    """The image's own volumes once more for this container, so that what it writes there counts."""
    found = volumes.declared(bench.engine, bench.image, link.volume, MODEL)
    own = tuple(replace(each, seen=f"{OWN_VOLUMES}/{link.port}/{number}") for number, each in enumerate(found))
    for each in own:
        bench.engine.create_volume(name=each.name, labels=bench.labels)
        stack.callback(bench.engine.remove_volume, each.name)
    return own


@contextmanager
def _others(bench: Bench, holder: Holder, share: Profile, links: Sequence[Link]) -> Iterator[tuple[Subject, ...]]:
    with ExitStack() as stack:
        made = []
        for link in links:
            subject = Subject(
                bench.engine, holder, share, NamedLog(bench.log, link.name), bench.stop, link.place, link.own
            )
            stack.callback(subject.close)
            made.append(subject)
        yield tuple(made)


def _start(probing: Probing, links: Sequence[Link], places: Sequence[str]) -> None:
    """All of them, each with its model. Raises ProblemError TEST-ARTIFACT, TEST-HOST-ROOM, TEST-NO-PROGRAM."""
    bench = probing.bench
    subjects = (probing.subject, *probing.others)
    for link, subject, volume in zip(links, subjects, places, strict=True):
        with link.model() as model:
            place_model(bench, probing.holder, model, link.place)
        mount = Mount(target=MODEL, source=volume, type="volume", read_only=True, no_copy=True)
        given = {"SAGEMAKER_BIND_TO_PORT": str(link.port), "SAGEMAKER_SAFE_PORT_RANGE": PORT_RANGE}
        given |= {**link.environment, **probing.test.environment}
        subject.create(bench.image, "serve", bench.labels, [mount], given)
    for subject in subjects:
        subject.start("serve")


def _await_pings(probing: Probing, links: Sequence[Link]) -> None:
    """A good ping of each. Raises ProblemError TEST-SERVE-EXITED, TEST-PIPELINE-START."""
    waiting = list(links)
    while waiting:
        start.alive(probing)
        for link in list(waiting):
            answer = probing.holder.request(
                "GET", "/ping", probing.bench.stop, timeout=start.PING_SECONDS, max_bytes=1024, ports=[link.port]
            )
            seconds = probing.subject.seconds
            if answer.status == 200:
                waiting.remove(link)
                line = probing.say(f"{link.name}: GET /ping answered 200 on port {link.port} after {seconds:g} s")
                probing.mark("ping", f"{link.name}: the first good /ping", line)
                probing.facts["pipeline"].append({"name": link.name, "port": link.port, "first_ping_seconds": seconds})
            elif seconds > settings.SLIPWAY.ping_deadline_seconds:
                evidence = (
                    Evidence(describe(answer), label="/ping"), *probing.subject.profile.share_evidence(),
                    start.listening(probing.holder, probing.subject), *probing.subject.last_lines(),
                )  # fmt: skip
                raise ProblemError(
                    START, evidence=evidence, name=link.name, port=link.port, answer=describe(answer),
                    limit=f"{settings.SLIPWAY.ping_deadline_seconds:g}",
                )  # fmt: skip
    probing.facts["first_ping_seconds"] = probing.subject.seconds
    probing.outcome.passed(START, count=len(links))
    start.judge_start(probing, probing.subject.seconds)
    start.judge_address(probing, [link.port for link in links])


def _stop(probing: Probing, links: Sequence[Link]) -> None:
    """SIGTERM to each, from the last to the first; the slowest is judged."""
    outcome = probing.outcome
    probing.mark("signal", "SIGTERM")
    slowest, codes = 0.0, {}
    for link, subject in reversed(list(zip(links, (probing.subject, *probing.others), strict=True))):
        seconds, ended = subject.terminate(STOP_SECONDS)
        probing.say(f"{link.name}: SIGTERM: ended after {seconds:g} s with exit code {ended.code}")
        slowest, codes[link.name] = max(slowest, seconds), ended.code
        judge_memory(outcome, subject, Exit(0, ended.out_of_memory, ended.seconds))
        if subject is not probing.subject:
            judge_processes(outcome, subject)
    probing.mark("end", "all have ended")
    facts: dict[str, Any] = {"stop_seconds": slowest, "exit_code": codes[links[0].name]}
    probing.facts |= facts
    for told in probing.facts["pipeline"]:
        told["exit_code"] = codes[told["name"]]
    judge_stop(probing, slowest, STOP_SECONDS)
