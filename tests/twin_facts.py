"""Facts in the shapes that the steps of a run hand back: a good run, a failing one, an old one and a hostile one."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from listings.reports import CheckOutcome, CheckReport, Evidence, ProblemReport, StepReport

MIB = 1 << 20
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e'\"&"


def resources(end: float, peak: float, count: int = 120) -> dict[str, list[float]]:
    """A container that starts busily, then serves: equally long series."""
    at = [round(end * index / (count - 1), 2) for index in range(count)]
    rise = [1 - math.exp(-4 * second / end) for second in at]
    return {
        "seconds": at,
        "cpu": [round(max(0.02, 1.6 * math.exp(-3 * s / end) + 0.25 * (math.sin(s) > 0.7)), 3) for s in at],
        "memory": [round(peak * (0.12 + 0.88 * part)) for part in rise],
        "processes": [float(1 + round(4 * part)) for part in rise],
        "disk": [round(3e6 * part) for part in rise],
    }


def run(phase: str, end: float, peak: float, marks: list[dict[str, Any]], network: str = "refuse") -> dict[str, Any]:
    return {"phase": phase, "network": network, "seconds": end, "marks": marks, "resources": resources(end, peak)}


def mark(seconds: float, kind: str, text: str, log_line: int | None = None) -> dict[str, Any]:
    return {"seconds": seconds, "kind": kind, "text": text, "log_line": log_line}


def sent(name: str, text: str, ms: float = 4.2, **more: Any) -> dict[str, Any]:
    body = text.encode()
    return {
        "name": name, "status": 200, "ms": ms, "matched": True, "content_type": "text/csv", "bytes": len(body),
        "error": "", "sha256": hashlib.sha256(body).hexdigest(), "text": text, "differences": [], **more,
    }  # fmt: skip


def call(host: str = "huggingface.co", network: str = "refuse", **more: Any) -> dict[str, Any]:
    return {
        "phase": "serve", "network": network, "protocol": "tcp", "host": host, "address": "240.0.0.9", "port": 443,
        "count": 3, "first_seconds": 0.8, "last_seconds": 9.1, "hint": "", "log_line": 12, **more,
    }  # fmt: skip


def load(factor: float = 1.0) -> dict[str, Any]:
    bins = [[1, 40], [2, 210], [5, 520], [10, 160], [20, 48], [50, 17], [100, 5]]
    return {
        "clients": 8, "requests": 1000, "errors": 0, "seconds": round(4.1 * factor, 2),
        "throughput": round(243.9 / factor, 1), "p50_ms": round(3.4 * factor, 2), "p90_ms": round(9.1 * factor, 2),
        "p99_ms": round(41 * factor, 1), "max_ms": round(88 * factor, 1), "histogram": bins, "ping_p99_ms": 2.1,
        "ping_max_ms": 6.0,
    }  # fmt: skip


TRAINING = {
    "exit_code": 0, "seconds": 12.1, "failure": "", "model_bytes": 1_204_511, "model_sha256": "5e" * 32,
    "model_files": 3, "model_unpacked_bytes": 3_912_004,
    "model_listing": [["model.json", 3_900_000], ["labels.txt", 12_000], ["code/inference.py", 4]],
    "metrics": {"validation:accuracy": [0.71, 0.83, 0.9, 0.934], "train:error": [0.3, 0.2, 0.11, 0.08]},
    "metric_series": {
        "validation:accuracy": [[2.1, 0.71], [4.0, 0.83], [6.2, 0.9], [9.9, 0.934]],
        "train:error": [[2.1, 0.3], [4.0, 0.2], [6.2, 0.11], [9.9, 0.08]],
    },
}  # fmt: skip

INSPECT = {
    "architecture": "amd64", "os": "linux", "user": "", "bytes_compressed": 365_000_000,
    "bytes_uncompressed": 1_010_000_000, "os_release": {"PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)"},
    "layers": [
        {"digest": "sha256:" + "11" * 32, "bytes": 120_000_000, "bytes_compressed": 50_000_000, "files": 5210,
         "created_by": "/bin/sh -c #(nop) ADD file:4fee in / ", "package_count": 120,
         "packages": [["deb", "libc6", "2.36-9"], ["deb", "bash", "5.2"]], "largest": [["usr/bin/perl", 3_900_000]]},
        {"digest": "sha256:" + "22" * 32, "bytes": 820_000_000, "bytes_compressed": 300_000_000, "files": 9804,
         "created_by": "/bin/sh -c pip install --no-cache-dir torch==2.3.1 scikit-learn==1.5.0", "package_count": 31,
         "packages": [["pypi", "torch", "2.3.1"], ["pypi", "scikit-learn", "1.5.0"]],
         "largest": [["usr/lib/python3/site-packages/torch/lib/libtorch_cpu.so", 440_000_000]]},
        {"digest": "sha256:" + "33" * 32, "bytes": 70_000_000, "bytes_compressed": 15_000_000, "files": 12,
         "created_by": "COPY . /opt/program # buildkit", "package_count": 0, "packages": [], "largest": []},
    ],
    "xray": {"lines": [1], "share": 0.81},
}  # fmt: skip

ADVISOR = [
    {"instance_type": "ml.m5.large", "use": use, "fits": True, "reason": "612 MiB of 8 GiB used", "measured": True,
     "vcpus": 2, "memory_gib": 8, "usd_per_hour": 0.115}
    for use in ("training", "transform", "realtime")
] + [
    {"instance_type": "ml.t2.medium", "use": "realtime", "fits": True, "reason": "by calculation", "measured": False,
     "vcpus": 2, "memory_gib": 4, "usd_per_hour": 0.056},
    {"instance_type": "ml.c5.huge", "use": "transform", "fits": None, "reason": "not in the table", "measured": False,
     "vcpus": None, "memory_gib": None, "usd_per_hour": None},
]  # fmt: skip


def tested(**more: Any) -> dict[str, Any]:
    """A good run of the isolated test."""
    serve_marks = [
        mark(0.0, "start", "serve started", 4), mark(1.4, "ping", "first good ping", 6),
        mark(2.0, "request", "POST /invocations sample", 7), mark(3.2, "load", "8 clients, 1000 requests"),
        mark(29.0, "signal", "SIGTERM", 9), mark(30.0, "end", "ended with exit code 0", 10),
    ]  # fmt: skip
    return {
        "profile": {"network": "none", "instance_type": "ml.m5.large", "memory_bytes": 8 << 30, "cpus": 2.0,
                    "clamped": []},
        "training": TRAINING,
        "inference": {
            "first_ping_seconds": 1.4, "stop_seconds": 0.4, "exit_code": 0,
            "requests": [sent("one row", "setosa\n"), sent("three rows", "setosa\nvirginica\nversicolor\n", 5.1)],
            "load": load(), "memory_growth": {"requests": 1000, "first_bytes": 590 * MIB, "last_bytes": 612 * MIB},
            "execution_parameters": {"MaxConcurrentTransforms": 4, "BatchStrategy": "MULTI_RECORD"},
        },
        "batch": {"first_ping_seconds": 1.1, "stop_seconds": 0.4, "exit_code": 0, "records": [
            {"name": "three rows", "kind": "MultiRecord", "records": 100, "status": 200, "ms": 9.0}]},
        "model_sha256": "5e" * 32,
        "outgoing": [],
        "runs": [run("train", 12.1, 300 * MIB, [mark(0, "start", "train started", 1), mark(12.1, "end", "exit 0", 3)]),
                 run("serve", 30.0, 612 * MIB, serve_marks),
                 run("train-pipe", 9.0, 280 * MIB, [])],
        "peak_memory_bytes": 612 * MIB,
        "advisor": ADVISOR,
        "advice": {"cheapest": {"training": "ml.m5.large", "transform": "ml.m5.large", "realtime": "ml.t2.medium"},
                   "price_date": "2026-11-01"},
        **more,
    }  # fmt: skip


PASSING = (
    CheckReport("TEST-TRAIN-EXIT", CheckOutcome.PASS, {"seconds": "12.1"}),
    CheckReport("TEST-SERVE-START", CheckOutcome.PASS, {"seconds": "1.4", "usual": "240"}),
    CheckReport("TEST-REQUEST", CheckOutcome.PASS, {"name": "one row", "status": "200", "ms": "4.2"}),
)
SKIPPED = CheckReport("TEST-SIZE", CheckOutcome.SKIP, {"instance_type": "ml.m5.large", "clamped": "2 of 4 vCPU"},
                      (Evidence("run at 2 of 4 vCPU"),))  # fmt: skip
EGRESS = CheckReport(
    "TEST-EGRESS", CheckOutcome.FAIL, {"count": "3", "places": "huggingface.co:443"},
    (Evidence("serve: asked for the name huggingface.co, 3 times, first after 0.8 s", "outgoing call", 12),),
    '- tok = AutoTokenizer.from_pretrained("bert-base-uncased")\n'
    '+ tok = AutoTokenizer.from_pretrained("/opt/tok", local_files_only=True)\n',
)  # fmt: skip
PAYLOAD = CheckReport("TEST-PAYLOAD", CheckOutcome.WARN, {"name": "large", "size": "6500000", "limit": "6291456"})


def good(**more: Any) -> dict[str, StepReport]:
    """Reports for tests.flow.run_through."""
    return {"test": StepReport(tested(**more), (*PASSING, SKIPPED)), "inspect": StepReport(INSPECT)}


def failing() -> dict[str, StepReport]:
    """The same container, now slower, larger, calling out and answering otherwise. ``test`` ends the run."""
    facts = tested(outgoing=[call(), call("metadata.example", "diagnose", hint="GET /latest/", protocol="dns")])
    inference = facts["inference"] | {
        "first_ping_seconds": 6.8, "load": load(2.2),
        "requests": [sent("one row", "setosa\n", 61.0), sent("three rows", "setosa\nsetosa\nversicolor\n", 30.0)],
    }  # fmt: skip
    facts |= {"inference": inference, "peak_memory_bytes": 930 * MIB}
    inspected = INSPECT | {"bytes_compressed": 512_000_000}
    problem = ProblemReport("TEST-EGRESS", EGRESS.params, EGRESS.evidence)
    return {"inspect": StepReport(inspected), "test": StepReport(facts, (*PASSING, EGRESS, PAYLOAD), problem=problem)}


def hostile() -> dict[str, Any]:
    """Facts of the test step with everything wrong that a container, or an old worker, could have put there."""
    wild = {"name": HOSTILE, "status": "200", "ms": float("inf"), "matched": "yes", "text": HOSTILE * 900,
            "differences": HOSTILE, "bytes": 10**400}  # fmt: skip
    return {
        "training": {"exit_code": None, "seconds": "12", "failure": HOSTILE * 500, "model_bytes": 5,
                     "model_listing": [[HOSTILE, 1], "odd", [1]] * 400, "output_files": HOSTILE,
                     "output_listing": [[HOSTILE, HOSTILE]] * 400,
                     "metrics": {HOSTILE: [1, "nan", None, 3], "one": 4}, "metric_series": {HOSTILE: [[1, 2], [3], 4]}},
        "inference": {"requests": [wild] * 300, "load": {"histogram": [[1, -5], ["x", 2], [3, 10**20]], "p50_ms": "7"},
                      "execution_parameters": {HOSTILE: {"a": HOSTILE}}, "memory_growth": {"first_bytes": -1},
                      "pipeline": [{"name": HOSTILE, "port": HOSTILE, "first_ping_seconds": "x"}, "odd"] * 200},
        "outgoing": [call(HOSTILE, hint=HOSTILE, details={HOSTILE: HOSTILE}, phase=HOSTILE)] * 500,
        "runs": [{"phase": HOSTILE, "network": HOSTILE, "marks": [mark(1, HOSTILE, HOSTILE, 3)] * 300,
                  "resources": {"seconds": list(range(5000)), "cpu": [1.0] * 5000, "memory": ["x"] * 5000,
                                "disk": [0] * 5000}}] * 40,
        "batch": {"records": [{"name": HOSTILE, "kind": HOSTILE, "records": "many"}] * 500},
        "advisor": [{"instance_type": HOSTILE, "use": HOSTILE, "fits": "no", "reason": HOSTILE}] * 500,
        "advice": {"cheapest": [HOSTILE], "price_date": {"a": 1}},
        "peak_memory_bytes": "much",
        "profile": {"clamped": HOSTILE},
        "profiles": {"train": {"instance_type": HOSTILE, "cpus": "x"}, "serve": HOSTILE},
        "hosts": [{"host": HOSTILE, "exit_code": HOSTILE}, 5] * 200,
        "runs_skipped": [{"phase": HOSTILE, "network": HOSTILE, "reason": HOSTILE}] * 300,
    }  # fmt: skip
