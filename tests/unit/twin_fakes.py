"""A server that answers by a function, on a clock that only requests move: for probes without an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from listings.spec.models import Inference, InferenceTest, RequestSample
from tests.engine.context import MemoryLog
from workers.sandbox.holder_client import Answer, Holder
from workers.sandbox.phase import Bench, Outcome
from workers.sandbox.resources.profile import Profile
from workers.sandbox.samples import Samples
from workers.sandbox.serving import probing as probes
from workers.sandbox.serving.probing import Probe, Probing, run_probes
from workers.sandbox.subject import Subject
from workers.steps.contract import Stop

#: (status, seconds that the answer takes) of a body of a content type.
Talk = Callable[[bytes, str], tuple[int, float]]
INFERENCE = Inference.model_validate({
    "SupportedTransformInstanceTypes": ["ml.m5.large"], "SupportedContentTypes": ["text/csv", "application/json"],
    "SupportedResponseMIMETypes": ["text/csv"],
})  # fmt: skip


class Server:
    """Stands for holder and container. ``load``: figures of each load, in turn, where they differ from a good one's."""

    def __init__(self, talk: Talk) -> None:
        self.talk, self.now = talk, 1000.0
        self.ports: tuple[int, ...] = (8080,)
        self.bodies: list[bytes] = []
        self.timeouts: list[float] = []
        self.load: list[dict[str, Any]] = []

    def request(
        self, _method: str, _path: str, _stop: Stop, *, timeout: float, body: bytes = b"",
        headers: Mapping[str, str] | None = None, **_: object,
    ) -> Answer:  # fmt: skip
        self.bodies.append(body)
        self.timeouts.append(timeout)
        status, seconds = self.talk(body, (headers or {}).get("Content-Type", ""))
        self.now += min(seconds, timeout)
        if seconds > timeout:
            return Answer(error="timeout", ms=timeout * 1000)
        return Answer(status=status, ms=seconds * 1000)

    def call(self, do: str, _stop: Stop, _within: float, **arguments: Any) -> dict[str, Any]:
        assert do == "load"
        self.timeouts.append(float(arguments["timeout"]))
        figures = good_load(int(arguments["requests"])) | (self.load.pop(0) if self.load else {})
        self.now += float(figures["seconds"])
        return figures

    def tick(self, _seconds: float) -> None:
        return None

    seconds = 1.0
    cpu_seconds = 0.0
    profile = Profile("ml.m5.large", 8 << 30, 2.0, 64, 1 << 28, 5000, ())

    def last_lines(self, _count: int = 12) -> tuple[()]:
        return ()


def good_load(requests: int) -> dict[str, Any]:
    return {
        "clients": 4, "requests": requests, "errors": 0, "ends": {"200": requests}, "seconds": 1.0, "throughput": 100.0,
        "p50_ms": 5.0, "p90_ms": 5.0, "p99_ms": 5.0, "max_ms": 5.0, "histogram": [], "slow_connects": 0, "pings": 5,
        "ping_ends": {"200": 5}, "ping_p99_ms": 1.0, "ping_max_ms": 1.0,
    }  # fmt: skip


def make_probing(
    monkeypatch: pytest.MonkeyPatch, server: Server, samples: Mapping[str, tuple[str, bytes]], **options: Any
) -> Probing:
    """``samples``: content type and body by name; the server is asked each, and each is good."""
    monkeypatch.setattr(probes, "time", SimpleNamespace(monotonic=lambda: server.now))
    read = cast(Samples, SimpleNamespace(read=lambda path: samples[path][1]))
    bench = Bench(cast(Any, None), cast(Any, None), "", {}, "test", MemoryLog(), Stop(), Path())
    made = Probing(
        bench, Outcome("serve", facts={"records": []}), cast(Holder, server), cast(Subject, server), read, INFERENCE,
        InferenceTest(), {"records": []}, **options,
    )  # fmt: skip
    for name, (content_type, body) in samples.items():
        sample = RequestSample(name=name, body=name, content_type=content_type)
        made.good.append((sample, made.post(body, content_type)))
    server.bodies.clear()
    server.timeouts.clear()
    return made


def run(probing: Probing, code: str, probe: Callable[[Probing], None], spent: float = 0.0) -> dict[str, str]:
    """The outcome of each code, after one probe that begins ``spent`` seconds after the others."""
    run_all(probing, [Probe((code,), probe)], spent)
    return {check.code: check.outcome.value for check in probing.outcome.checks}


def run_all(probing: Probing, chosen: Iterable[Probe], spent: float = 0.0) -> None:
    def wait(each: Probing) -> None:
        cast(Server, cast(object, each.holder)).now += spent

    run_probes(probing, [Probe((), wait, needs_sample=False), *chosen])


def reason(probing: Probing, code: str) -> str:
    return next(check.params["reason"] for check in probing.outcome.checks if check.code == code)
