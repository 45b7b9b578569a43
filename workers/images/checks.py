"""The rules of the contract that can be known of an image before it runs, each a check with its evidence."""

from __future__ import annotations

from collections.abc import Iterator

from listings.reports import CheckOutcome, CheckReport, Evidence
from workers.images.programs import (
    Program,
    entrypoint,
    find,
    is_init,
    refused_by_kernel,
    search_path,
    shell_form,
    started_by,
)
from workers.images.reader import Image
from workers.registries.client import DOCKER_MANIFEST

#: 10 GB: above it pulling and starting within the limits becomes a matter of luck (contract reference, 3.4).
LARGE_BYTES = 10 * 1024**3
PASS, WARN, FAIL, SKIP = CheckOutcome.PASS, CheckOutcome.WARN, CheckOutcome.FAIL, CheckOutcome.SKIP


def check_image(image: Image, *, train: bool, serve: bool) -> tuple[CheckReport, ...]:
    """Every check, in the order shown. ``train`` / ``serve``: whether the version's spec asks for that command."""
    wanted = [argument for argument, asked in (("train", train), ("serve", serve)) if asked]
    return tuple(_checks(image, wanted))


def _checks(image: Image, wanted: list[str]) -> Iterator[CheckReport]:
    yield _architecture(image)
    yield _media_type(image)
    first = entrypoint(image)
    startable = first is None or first.node is not None
    if first is not None:
        yield _entrypoint(image, first)
    for argument in wanted:
        yield _command(image, argument) if startable else CheckReport(f"IMAGE-{argument.upper()}", SKIP)
    yield _interpreter(image, [first, *(started_by(image, argument) for argument in wanted)])
    yield _shell_form(image)
    yield _init(image)
    yield _user(image)
    yield _opt_ml(image)
    yield _size(image)


def _architecture(image: Image) -> CheckReport:
    config = image.config
    right = (config.os, config.architecture) == ("linux", "amd64")
    params = {"os": config.os or "unknown", "architecture": config.architecture or "unknown"}
    return CheckReport("IMAGE-ARCH", PASS if right else FAIL, params)


def _media_type(image: Image) -> CheckReport:
    right = image.media_type == DOCKER_MANIFEST
    return CheckReport("IMAGE-MEDIA-TYPE", PASS if right else FAIL, {"media_type": image.media_type})


def _entrypoint(image: Image, first: Program) -> CheckReport:
    params = {"program": first.name}
    if first.node is not None:
        return CheckReport("IMAGE-ENTRYPOINT", PASS, params, (Evidence(str(first.path), "resolves to"),))
    return CheckReport("IMAGE-ENTRYPOINT", FAIL, params, _places(image, first.name), _chmod_patch(image, first.name))


def _command(image: Image, argument: str) -> CheckReport:
    """Whether ``docker run IMAGE train`` finds a program to start."""
    program = started_by(image, argument)
    code = f"IMAGE-{argument.upper()}"
    params = {"search": search_path(image), "program": program.name}
    if program.node is not None:
        return CheckReport(code, PASS, params, (Evidence(str(program.path), f"“{argument}” starts"),))
    patch = _chmod_patch(image, program.name)
    if not patch and program.name == argument:
        patch = f"COPY {argument} /usr/local/bin/{argument}\nRUN chmod +x /usr/local/bin/{argument}\n"
    return CheckReport(code, FAIL, params, _places(image, program.name), patch)


def _places(image: Image, name: str) -> tuple[Evidence, ...]:
    """What lies where the program was looked for."""
    found = []
    for place, node in image.tree.candidates(name, search_path(image), image.config.working_dir):
        if node is None:
            continue
        what = "a directory" if node.is_directory else f"mode {node.entry.mode:04o}, not executable"
        found.append(Evidence(f"{place}: {what}", _line(image, node.layer)))
    return tuple(found) or (Evidence(f"no such file: {name} (looked for along {search_path(image)})"),)


def _line(image: Image, layer: int) -> str:
    return image.layers[layer].created_by[:200] if layer < len(image.layers) else ""


def _chmod_patch(image: Image, name: str) -> str:
    for place, node in image.tree.candidates(name, search_path(image), image.config.working_dir):
        if node is not None and not node.is_directory:
            return f"RUN chmod +x {place}\n"
    return ""


def _interpreter(image: Image, programs: list[Program | None]) -> CheckReport:
    """Whether the kernel takes the programs that are started first."""
    looked_at = 0
    for program in programs:
        if program is None or program.node is None:
            continue
        looked_at += 1
        reason = refused_by_kernel(image, program.node)
        if reason is not None:
            node = program.node
            evidence = Evidence(f"{program.path}: {node.entry.head or 'plain data'}", _line(image, node.layer))
            params = {"path": str(program.path), "reason": reason}
            return CheckReport("IMAGE-INTERPRETER", FAIL, params, (evidence,))
    return CheckReport("IMAGE-INTERPRETER", PASS if looked_at else SKIP)


def _shell_form(image: Image) -> CheckReport:
    shell = shell_form(image)
    if shell is None:
        return CheckReport("IMAGE-ENTRYPOINT-SHELL", PASS)
    return CheckReport(
        "IMAGE-ENTRYPOINT-SHELL", WARN, {"shell": shell}, (Evidence(" ".join(image.config.entrypoint or ())),)
    )


def _init(image: Image) -> CheckReport:
    if not is_init(image):
        return CheckReport("IMAGE-ENTRYPOINT-INIT", PASS)
    words = image.config.entrypoint or []
    return CheckReport("IMAGE-ENTRYPOINT-INIT", WARN, {"program": words[0]}, (Evidence(" ".join(words)),))


def _user(image: Image) -> CheckReport:
    user = image.config.user.partition(":")[0]
    return CheckReport("IMAGE-USER", PASS if user in ("", "0", "root") else WARN, {"user": image.config.user})


def _opt_ml(image: Image) -> CheckReport:
    count = 0
    shown: list[Evidence] = []
    for node in image.tree.below("/opt/ml"):
        count += 1
        if len(shown) < 10:
            shown.append(Evidence(f"/{node.entry.path}", _line(image, node.layer)))
    return CheckReport("IMAGE-OPT-ML", WARN if count else PASS, {"count": str(count)}, tuple(shown))


def _size(image: Image) -> CheckReport:
    total = sum(layer.facts.bytes for layer in image.layers)
    params = {"size": f"{total / 1e9:.1f} GB"}
    if total <= LARGE_BYTES:
        return CheckReport("IMAGE-SIZE", PASS, params)
    largest = sorted(image.layers, key=lambda layer: layer.facts.bytes, reverse=True)[:5]
    evidence = tuple(Evidence(f"{layer.facts.bytes / 1e9:.2f} GB", layer.created_by[:200]) for layer in largest)
    return CheckReport("IMAGE-SIZE", WARN, params, evidence)


def resolved(image: Image, argument: str) -> str | None:
    """The file that ``argument`` starts, for the facts."""
    if image.config.entrypoint and find(image, image.config.entrypoint[0]).node is None:
        return None
    return started_by(image, argument).path
