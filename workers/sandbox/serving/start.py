"""From the start to the first good answer to /ping, and where port 8080 is open."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings

from listings.problems import ProblemError
from listings.reports import CheckOutcome, Evidence
from workers.sandbox.holder_client import Answer, Holder
from workers.sandbox.serving.probing import PORT, Died, Probing, describe, ended
from workers.sandbox.subject import Subject

PING_SECONDS = 2.0
SLOW_START_SECONDS = 240.0  # the limit of 2023; today's is 480 s (settings.ping_deadline_seconds)
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared with, not bound to
#: A /ping that answers a constant takes a millisecond or two; one of so many does on a busy host, too.
SLOW_PING_MS = 100.0
PINGS, MAX_BAD_PINGS = 20, 3


def await_ping(probing: Probing) -> float:
    """Seconds from the start to the first good ping. Raises ProblemError TEST-SERVE-EXITED, TEST-SERVE-PING."""
    limit, open_seconds = settings.SLIPWAY.ping_deadline_seconds, None
    holder, subject = probing.holder, probing.subject
    while True:
        alive(probing)
        answer = holder.request("GET", "/ping", probing.bench.stop, timeout=PING_SECONDS, max_bytes=1024)
        seconds = subject.seconds
        if open_seconds is None and answer.error != "refused":
            open_seconds = seconds
            probing.mark("start", f"port {PORT} is open")
        if answer.status == 200:
            break
        if seconds > limit:
            evidence = (
                Evidence(describe(answer), label="/ping"), *subject.profile.share_evidence(),
                listening(holder, subject), *subject.last_lines(),
            )  # fmt: skip
            raise ProblemError("TEST-SERVE-PING", evidence=evidence, limit=f"{limit:g}", answer=describe(answer))
    probing.facts |= {"first_ping_seconds": seconds, "port_seconds": open_seconds}
    probing.mark("ping", "the first good /ping", probing.say(f"GET /ping answered 200 after {seconds:g} s"))
    return seconds


def judge_start(probing: Probing, seconds: float) -> None:
    probing.outcome.add(
        CheckOutcome.WARN if seconds > SLOW_START_SECONDS else CheckOutcome.PASS, "TEST-SERVE-START",
        seconds=f"{seconds:g}", usual=f"{SLOW_START_SECONDS:g}",
    )  # fmt: skip


def alive(probing: Probing, seconds: float = 0.1) -> None:
    """Raises ProblemError TEST-SERVE-EXITED, TEST-MEMORY where the container has ended."""
    try:
        probing.require_alive(seconds)
    except Died as died:
        raise ended(probing, died) from died


def judge_address(probing: Probing, ports: Sequence[int] = (PORT,)) -> None:
    """Whether each of ``ports`` is open on every interface."""
    outcome, subject = probing.outcome, probing.subject
    found = probing.holder.call("listening", subject.stop)["listening"]
    open_on = {port: [entry["address"] for entry in found if entry["port"] == port] for port in ports}
    closed = [port for port, addresses in open_on.items() if not any(each in EVERYWHERE for each in addresses)]
    addresses = ", ".join(dict.fromkeys(each for port in closed or ports for each in open_on[port]))
    if closed:
        evidence = (listening(probing.holder, subject),)
        outcome.failed("TEST-SERVE-LOOPBACK", evidence, address=addresses, port=closed[0])
    else:
        outcome.passed("TEST-SERVE-LOOPBACK", address=addresses, port=", ".join(map(str, ports)))


def listening(holder: Holder, subject: Subject) -> Evidence:
    found = holder.call("listening", subject.stop)["listening"]
    places = [f"{entry['address']}:{entry['port']}" for entry in found]
    return Evidence(", ".join(places) or "no TCP port", label="listening on")


def judge_idle_ping(probing: Probing) -> None:
    """A /ping that answers a constant takes next to no time; the quickest of a few is no victim of a busy host."""
    answers: list[Answer] = []
    bad: list[Answer] = []
    while len(answers) < PINGS and len(bad) < MAX_BAD_PINGS:
        answer = probing.holder.request("GET", "/ping", probing.bench.stop, timeout=PING_SECONDS, max_bytes=1024)
        answers.append(answer)
        if answer.status != 200:
            bad.append(answer)
        elif answer.ms < SLOW_PING_MS:
            break
    probing.require_alive(0.01)
    ms = min(answer.ms for answer in answers)
    if bad:
        worst = next((answer for answer in bad if answer.error != "timeout"), bad[0])
        share = probing.subject.profile.share_evidence() if worst.error == "timeout" else ()
        report = probing.outcome.warned if share else probing.outcome.failed
        report("TEST-PING-LOAD", share, reason=f"{describe(worst)} between two requests")
    slow = ms >= SLOW_PING_MS
    reason = f"the quickest of {len(answers)} took {ms:.0f} ms"
    probing.outcome.add(CheckOutcome.WARN if slow else CheckOutcome.PASS, "TEST-PING-SLOW", reason=reason, ms=f"{ms:g}")
