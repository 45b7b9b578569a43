"""Whether a request without an answer in time may owe that to a host with fewer CPUs than the instance type has."""

from __future__ import annotations

from listings.reports import Evidence
from workers.sandbox.holder_client import Answer
from workers.sandbox.serving.probing import Probing

#: Who computes less than this share of its CPUs while it is waited for waits itself: more CPUs would not help.
IDLE_SHARE = 0.1


def cpu_seconds(probing: Probing) -> float:
    """What the container, or all of a pipeline, has computed so far."""
    return sum(subject.cpu_seconds for subject in (probing.subject, *probing.others))


def excuse(probing: Probing, answer: Answer, before: float) -> tuple[Evidence, ...]:
    """The host's share as evidence where it may explain that ``answer`` did not come; else nothing.

    ``before``: ``cpu_seconds`` when the request was sent.
    """
    profile, seconds = probing.subject.profile, answer.ms / 1000
    used = cpu_seconds(probing) - before
    if answer.error != "timeout" or not profile.cpu_share or used < IDLE_SHARE * profile.cpus * seconds:
        return ()
    text = f"{profile.cpu_share}; of {seconds:.0f} s that were waited it computed {used:.0f} CPU seconds"
    return (Evidence(text, label="this host"),)
