"""Parallel clients for a few seconds: latency, errors, /ping meanwhile, and whether memory grows with the requests."""

from __future__ import annotations

import base64
from typing import Any

from listings.reports import CheckOutcome
from workers.sandbox.serving import growth
from workers.sandbox.serving.probing import ERRORS, Probing

CLIENTS = 4
#: First so many requests unmeasured, each worker's first among them; then the measured ones. Whichever is first.
WARM_REQUESTS, WARM_SECONDS = 100, 3.0
REQUESTS, SECONDS = 300, 6.0
REPLY_SECONDS = 30.0
#: A model whose single request takes this long is not asked hundreds of times.
SLOW_REQUEST_MS = 15_000.0
PING_LIMIT_MS = 2000.0
ACCEPT_MS = 250
#: So many connections and this share of all must be accepted late before it is the server's doing.
LATE_CONNECTS, LATE_SHARE = 3, 0.01
SHOWN = ("clients", "requests", "errors", "seconds", "throughput", "p50_ms", "p90_ms", "p99_ms", "max_ms", "histogram",
         "ping_p99_ms", "ping_max_ms", "ends")  # fmt: skip
CODES = ("TEST-LOAD", "TEST-PING-LOAD", "TEST-SERVE-ACCEPT", growth.CODE)


def parallel_clients(probing: Probing) -> None:
    """Raises OutOfTime, Died, StepStopped."""
    sample, alone = probing.good[0]
    if alone.ms > SLOW_REQUEST_MS:
        _skip_all(probing, f"one request alone takes {alone.ms / 1000:.0f} s")
        return
    # Requests are never cut short here, so there must be time for those that are under way when each part ends.
    probing.require_time(WARM_SECONDS + SECONDS + 2 * probing.needs)
    probing.mark("load", "requests of parallel clients begin")
    warm = _load(probing, WARM_REQUESTS, WARM_SECONDS)
    if "too-large" in warm["ends"]:
        _skip_all(probing, "a container hands on more than the parallel clients can hold")
        return
    # What hangs need not hang a second time.
    hangs = "timeout" in warm["ends"]
    before = growth.memory(probing)
    figures = warm if hangs else _load(probing, REQUESTS, SECONDS)
    after = growth.memory(probing)
    probing.require_alive(0.1)
    growth.judge(probing, growth.Round(0 if hangs else int(figures["requests"]), before, after), _send)
    if _slow_pings(figures) and not hangs and probing.left > 2 * SECONDS:
        # A busy test host may have been at fault: it counts when it happens twice.
        figures = _load(probing, REQUESTS, SECONDS)
    text = (
        f"{figures['clients']} clients, {figures['requests']} requests of sample {sample.name} in "
        f"{figures['seconds']:g} s: p50 {figures['p50_ms']:g} ms, p99 {figures['p99_ms']:g} ms, "
        f"{figures['errors']} without success; /ping within {figures['ping_max_ms']:g} ms"
    )
    probing.mark("load", "they end", probing.say(text))
    probing.require_alive(0.1)
    probing.facts["load"] = {name: figures[name] for name in SHOWN}
    _judge_errors(probing, figures, alone.status)
    if hangs:
        probing.skip("TEST-PING-LOAD", "a request had no answer before the load was measured")
    else:
        _judge_pings(probing, figures)
    _judge_accepts(probing, figures, warm)


def _skip_all(probing: Probing, reason: str) -> None:
    for code in CODES:
        probing.skip(code, reason)


def _load(probing: Probing, requests: int, seconds: float) -> dict[str, Any]:
    sample, _ = probing.good[0]
    timeout = probing.request_seconds
    return probing.holder.call(
        "load", probing.bench.stop, seconds + timeout + REPLY_SECONDS, watched=True, clients=CLIENTS, requests=requests,
        seconds=seconds, timeout=timeout, ports=list(probing.holder.ports),
        body=base64.b64encode(probing.samples.read(sample.body)).decode(),
        headers={"Content-Type": sample.content_type, **({"Accept": sample.accept} if sample.accept else {})},
    )  # fmt: skip


def _send(probing: Probing, requests: int, seconds: float) -> int:
    return int(_load(probing, requests, seconds)["requests"])


def _ends(ends: dict[str, int]) -> str:
    return ", ".join(f"{count} x {ERRORS.get(end, f'status {end}')}" for end, count in sorted(ends.items()))


def _judge_errors(probing: Probing, figures: dict[str, Any], usual: int) -> None:
    bad = {end: count for end, count in figures["ends"].items() if end != str(usual)}
    names = ("clients", "requests", "throughput", "p50_ms", "p90_ms", "p99_ms")
    params = {name: f"{figures[name]:g}" for name in names}
    reason = f"of {figures['requests']} requests, {_ends(bad)}" if bad else ""
    if not figures["requests"]:
        bad, reason = {"none": 0}, "no request came to an end"
    evidence = probing.subject.last_lines(8) if bad else ()
    probing.outcome.add(
        CheckOutcome.WARN if bad else CheckOutcome.PASS, "TEST-LOAD", evidence=evidence, reason=reason, **params
    )


def _judge_pings(probing: Probing, figures: dict[str, Any]) -> None:
    if not figures["pings"]:
        probing.skip("TEST-PING-LOAD", "no /ping was sent")
        return
    slow = _slow_pings(figures)
    # How many workers a server starts may follow the number of CPUs, so that with fewer even an idle one is late.
    share = probing.subject.profile.share_evidence() if set(figures["ping_ends"]) <= {"200", "timeout"} else ()
    probing.outcome.add(
        (CheckOutcome.WARN if share else CheckOutcome.FAIL) if slow else CheckOutcome.PASS, "TEST-PING-LOAD",
        evidence=(*share, *probing.subject.last_lines(6)) if slow else (),
        reason=f"while {figures['clients']} clients sent requests, {slow}" if slow else "",
        pings=figures["pings"], ms=f"{figures['ping_max_ms']:.0f}",
    )  # fmt: skip


def _slow_pings(figures: dict[str, Any]) -> str:
    """What was wrong with the pings; "" if nothing."""
    bad = {end: count for end, count in figures["ping_ends"].items() if end != "200"}
    if bad:
        return f"of {figures['pings']} pings, {_ends(bad)}"
    return f"the slowest took {figures['ping_max_ms']:.0f} ms" if figures["ping_max_ms"] > PING_LIMIT_MS else ""


def _judge_accepts(probing: Probing, figures: dict[str, Any], warm: dict[str, Any]) -> None:
    if probing.others:
        probing.skip("TEST-SERVE-ACCEPT", "connections within a pipeline are not timed")
        return
    late = int(figures["slow_connects"]) + int(warm["slow_connects"])
    count = sum(int(each["requests"]) + int(each["pings"]) for each in (figures, warm))
    bad = late >= LATE_CONNECTS and late > LATE_SHARE * count
    reason = f"{late} of {count} connections were accepted only after more than {ACCEPT_MS} ms"
    probing.outcome.add(
        CheckOutcome.WARN if bad else CheckOutcome.PASS, "TEST-SERVE-ACCEPT", reason=reason, limit_ms=ACCEPT_MS
    )
