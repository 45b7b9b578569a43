"""Inspect: read the staged image out of the staging registry and check what can be known before it runs."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from listings.problems import Owner, get
from listings.reports import CheckOutcome, CheckReport, ProblemReport, StepReport
from workers.images import Image, read_image
from workers.images.checks import check_image, resolved
from workers.registries import RegistryClient, staging
from workers.scanners.operating_system import identify
from workers.steps.contract import StepContext

#: Labels and variables are the seller's; this much of each is kept as a fact.
KEPT_ITEMS, KEPT_CHARACTERS = 200, 2000


def execute(context: StepContext) -> StepReport:
    spec = context.facts["fetch"]["spec"]
    image = staged_image(context)
    _tell(context, image)
    wants_train, wants_serve = bool(spec.get("training")), bool(spec.get("inference"))
    checks = check_image(image, train=wants_train, serve=wants_serve)
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


def _tell(context: StepContext, image: Image) -> None:
    context.log.section("Layers")
    for number, layer in enumerate(image.layers, 1):
        size = f"{layer.facts.bytes / 1e6:.1f} MB, {len(layer.facts.entries)} files"
        context.log.line(f"{number}: {size}: {layer.created_by or 'unknown instruction'}"[:500], "slipway")


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
        "layers": [
            {
                "digest": layer.facts.digest,
                "bytes_compressed": layer.facts.bytes_compressed,
                "bytes": layer.facts.bytes,
                "created_by": layer.created_by,
            }
            for layer in image.layers
        ],
        "os_release": system.fields if system else {},
        "config_digest": image.config_digest,
    }


def _kept(values: dict[str, str]) -> dict[str, str]:
    return {name[:KEPT_CHARACTERS]: value[:KEPT_CHARACTERS] for name, value in list(values.items())[:KEPT_ITEMS]}


def _worst(checks: tuple[CheckReport, ...]) -> ProblemReport | None:
    """The failing check that ends the step: one that a seller must mend before one that an operator must."""
    failing = [check for check in checks if check.outcome is CheckOutcome.FAIL]
    failing.sort(key=lambda check: get(check.code).owner is not Owner.SELLER)
    if not failing:
        return None
    return ProblemReport(failing[0].code, failing[0].params, failing[0].evidence)
