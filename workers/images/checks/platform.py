"""The image as AWS takes it: its machine, the form of its manifest, and the room that it needs."""

from __future__ import annotations

from collections.abc import Iterator

from listings.reports import CheckReport, Evidence
from workers.images.checks.subject import FAIL, PASS, WARN, Subject, few, shown
from workers.images.heads import MACHINES, program
from workers.images.programs import search_path
from workers.images.xray import largest_lines
from workers.registries.client import DOCKER_MANIFEST

#: 10 GB: above it pulling and starting within the limits becomes a matter of luck (contract reference, 3.4).
LARGE_BYTES = 10 * 1024**3
BIND_TO_PORT = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"
#: A batch transform job's volume. It must hold the image, the archive, and the files unpacked from it.
BATCH_BYTES = 30 * 1000**3
#: What is left of it above this is soon used up by temporary files.
BATCH_TIGHT = 27 * 1000**3


def checks(subject: Subject) -> Iterator[CheckReport]:
    yield _architecture(subject)
    yield _binaries(subject)
    yield _media_type(subject)
    yield _size(subject)
    if "serve" in subject.wanted:
        yield _batch_disk(subject)
    if subject.chained:
        yield _bind_to_port(subject)


def _architecture(subject: Subject) -> CheckReport:
    config = subject.image.config
    right = (config.os, config.architecture) == ("linux", "amd64")
    params = {"os": shown(config.os) or "unknown", "architecture": shown(config.architecture) or "unknown"}
    return CheckReport("IMAGE-ARCH", PASS if right else FAIL, params)


def _binaries(subject: Subject) -> CheckReport:
    """Programs that can be called by name and were built for another machine. That of the start is looked at apart."""
    tree = subject.image.tree
    found: dict[str, Evidence] = {}
    for folder in search_path(subject.image).split(":")[:50]:
        directory = tree.resolve(folder) if folder.startswith("/") else None
        for node in directory.children.values() if directory is not None else ():
            elf = program(node.entry.head) if node.entry.executable else None
            if elf is not None and elf.machine in MACHINES and MACHINES[elf.machine] not in ("x86-64", "32-bit x86"):
                text = f"/{node.entry.path}: a binary for {MACHINES[elf.machine]}"
                found[node.entry.path] = subject.about(node, text)
    return CheckReport("IMAGE-BINARIES", WARN if found else PASS, {"count": str(len(found))}, few(list(found.values())))


def _media_type(subject: Subject) -> CheckReport:
    right = subject.image.media_type == DOCKER_MANIFEST
    return CheckReport("IMAGE-MEDIA-TYPE", PASS if right else FAIL, {"media_type": subject.image.media_type})


def _bind_to_port(subject: Subject) -> CheckReport:
    """Without the label SageMaker gives a container of a pipeline no port of its own."""
    right = subject.image.config.labels.get(BIND_TO_PORT, "").lower() == "true"
    patch = "" if right else f"LABEL {BIND_TO_PORT}=true\n"
    return CheckReport("IMAGE-BIND-TO-PORT", PASS if right else FAIL, {"label": BIND_TO_PORT}, patch=patch)


def _size(subject: Subject) -> CheckReport:
    total = sum(layer.facts.bytes for layer in subject.image.layers)
    params = {"size": f"{total / 1e9:.1f} GB"}
    if total <= LARGE_BYTES:
        return CheckReport("IMAGE-SIZE", PASS, params)
    return CheckReport("IMAGE-SIZE", WARN, params, _largest(subject))


def _largest(subject: Subject) -> tuple[Evidence, ...]:
    layers = subject.image.layers
    indices = largest_lines(subject.image, 5)
    return tuple(subject.at(f"{layers[index].facts.bytes / 1e9:.2f} GB", index) for index in indices)


def _batch_disk(subject: Subject) -> CheckReport:
    image = sum(layer.facts.bytes for layer in subject.image.layers)
    artifact = subject.artifact
    parts = {"image": image}
    if artifact is not None:
        parts |= {"model.tar.gz": artifact.packed, "its files": artifact.unpacked}
    total = sum(parts.values())
    outcome = FAIL if total > BATCH_BYTES else WARN if total > BATCH_TIGHT else PASS
    text = ", ".join(f"{name} {size / 1e9:.1f} GB" for name, size in parts.items())
    params = {"size": f"{total / 1e9:.1f} GB", "parts": text}
    return CheckReport("IMAGE-BATCH-DISK", outcome, params, _largest(subject) if outcome is not PASS else ())
