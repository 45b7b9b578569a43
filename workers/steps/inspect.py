"""Inspect: read the staged image out of the staging registry and check what can be known before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from listings.problems import Owner, get
from listings.reports import CheckOutcome, CheckReport, ProblemReport, StepReport
from workers.images import Image, read_image, xray
from workers.images.checks import Artifact, check_image, resolved
from workers.images.credentials import find_in_value
from workers.logs.redact import MASK
from workers.registries import RegistryClient, staging
from workers.scanners.operating_system import identify
from workers.steps.contract import StepContext

#: Labels and variables are the seller's; this much of each is kept as a fact.
KEPT_ITEMS, KEPT_CHARACTERS = 200, 2000


def execute(context: StepContext) -> StepReport:
    spec = context.facts["fetch"]["spec"]
    image = staged_image(context)
    log_lines = _tell(context, image)
    wants_train, wants_serve = bool(spec.get("training")), bool(spec.get("inference"))
    artifact = _artifact(context.facts["fetch"])
    checks = check_image(
        image, train=wants_train, serve=wants_serve, artifact=artifact, log_lines=log_lines,
        chained=bool((spec.get("inference") or {}).get("Containers")),
    )  # fmt: skip
    facts = image_facts(image)
    facts["train"] = resolved(image, "train") if wants_train else None
    facts["serve"] = resolved(image, "serve") if wants_serve else None
    return StepReport(facts, checks, problem=_worst(checks))


def staged_image(context: StepContext) -> Image:
    """The run's image, read from the staging registry. Raises ProblemError, StepStopped."""
    staged = context.staged
    with RegistryClient(staging()) as client:
        return read_image(
            client,
            staged.repository,
            staged.digest,
            cache=settings.SLIPWAY.data_dir / "cache" / "layers",
            check=context.stop.check,
            say=lambda text: context.log.line(text, "slipway"),
        )


def _artifact(fetched: Mapping[str, Any]) -> Artifact | None:
    """The model's archive, or those of a pipeline together, as ``fetch`` has measured them."""
    packed = fetched.get("artifact_bytes") or sum(each["bytes"] for each in (fetched.get("artifacts") or {}).values())
    return Artifact(packed, fetched.get("artifact_unpacked_bytes") or 0) if packed else None


def _tell(context: StepContext, image: Image) -> list[int]:
    """Log the layers; returns the line of each."""
    context.log.section("Layers")
    numbers = []
    for number, layer in enumerate(image.layers, 1):
        size = f"{layer.facts.bytes / 1e6:.1f} MB, {len(layer.facts.entries)} files"
        line = f"{number}: {size}: {layer.created_by or 'unknown instruction'}"[:500]
        numbers.append(context.log.line(line, "slipway"))
    if told := xray.sentence(image):
        context.log.line(told, "slipway")
    return numbers


def image_facts(image: Image) -> dict[str, Any]:
    """What is known of the image, as the later steps and the pages read it. Sizes in bytes."""
    config = image.config
    system = identify(image.tree)
    return {
        "architecture": config.architecture,
        "os": config.os,
        "entrypoint": config.entrypoint,
        "cmd": config.cmd,
        "env": _kept(config.env),
        "user": config.user,
        "working_dir": config.working_dir,
        "labels": _kept(config.labels),
        "exposed_ports": config.exposed_ports[:KEPT_ITEMS],
        "bytes_compressed": sum(layer.facts.bytes_compressed for layer in image.layers),
        "bytes_uncompressed": sum(layer.facts.bytes for layer in image.layers),
        "layers": xray.layer_facts(image),
        "xray": xray.summary(image),
        "os_release": system.fields if system else {},
        "config_digest": image.config_digest,
    }


def _kept(values: dict[str, str]) -> dict[str, str]:
    """Without the values that look like credentials: facts are shown."""
    kept = list(values.items())[:KEPT_ITEMS]
    return {
        name[:KEPT_CHARACTERS]: MASK if find_in_value(name, value[:64_000]) else value[:KEPT_CHARACTERS]
        for name, value in kept
    }


def _worst(checks: tuple[CheckReport, ...]) -> ProblemReport | None:
    """The failing check that ends the step: one that a seller must mend before one that an operator must."""
    failing = [check for check in checks if check.outcome is CheckOutcome.FAIL]
    failing.sort(key=lambda check: get(check.code).owner is not Owner.SELLER)
    if not failing:
        return None
    return ProblemReport(failing[0].code, failing[0].params, failing[0].evidence)
