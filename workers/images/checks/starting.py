"""How the container starts: ENTRYPOINT, ``train`` and ``serve`` resolved as the runtime and the kernel would."""

from __future__ import annotations

import json
from collections.abc import Iterator

from django.conf import settings

from listings.reports import CheckReport, Evidence
from workers.images.checks.subject import FAIL, PASS, WARN, Subject, shown, skipped
from workers.images.kernel import Refusal
from workers.images.programs import (
    Program,
    file_to_run,
    is_init,
    place_of,
    refused,
    run_file,
    search_path,
    shell_form,
    shell_program,
)
from workers.images.tree import Node


def checks(subject: Subject) -> Iterator[CheckReport]:
    if subject.first is not None:
        yield _entrypoint(subject, subject.first)
    for argument, program in subject.started.items():
        yield _command(subject, argument, program)
    yield _interpreter(subject)
    yield _file_to_run(subject)
    yield _line_ends(subject)
    yield _shell_form(subject)
    yield _init(subject)
    yield _working_directory(subject)
    yield from _user(subject)


def _entrypoint(subject: Subject, first: Program) -> CheckReport:
    params = {"program": shown(first.name)}
    if first.node is not None:
        inner = shell_program(subject.image)
        if inner is None or place_of(subject.image).which(inner) is not None:
            return CheckReport("IMAGE-ENTRYPOINT", PASS, params, (Evidence(str(first.path), "resolves to"),))
        params, first = {"program": shown(inner)}, Program(inner, None)
    patch = _chmod_patch(subject, first.name)
    return CheckReport("IMAGE-ENTRYPOINT", FAIL, params, _places(subject, first.name), patch)


def _command(subject: Subject, argument: str, program: Program) -> CheckReport:
    """Whether ``docker run IMAGE train`` finds a program to start."""
    code = f"IMAGE-{argument.upper()}"
    if not subject.startable:
        return skipped(code, "ENTRYPOINT cannot be started, so the argument reaches nothing.")
    params = {"search": shown(search_path(subject.image)), "program": shown(program.name)}
    if program.node is not None:
        return CheckReport(code, PASS, params, (Evidence(str(program.path), f"“{argument}” starts"),))
    evidence, patch = _places(subject, program.name), _chmod_patch(subject, program.name)
    config = subject.image.config
    if program.name == argument and config.cmd and not config.entrypoint:
        replaced = f"CMD {' '.join(config.cmd)} is replaced by “{argument}”; without ENTRYPOINT nothing else starts"
        evidence = (*evidence, Evidence(shown(replaced)))
    if not patch and program.name == argument:
        patch = f"COPY {argument} /usr/local/bin/{argument}\nRUN chmod +x /usr/local/bin/{argument}\n"
    return CheckReport(code, FAIL, params, evidence, patch)


def _places(subject: Subject, name: str) -> tuple[Evidence, ...]:
    """What lies where the program was looked for."""
    image = subject.image
    found: list[Evidence] = []
    for place, node in image.tree.candidates(name, search_path(image), image.config.working_dir):
        if node is None:
            # A link to nowhere looks like a file in a listing.
            dangling = image.tree.link(place, image.config.working_dir)
            if dangling is not None:
                text = f"{place}: a link to {dangling.entry.target}, which leads nowhere"
                found.append(subject.about(dangling, text))
            continue
        what = "a directory" if node.is_directory else f"mode {node.entry.mode:04o}, not executable"
        found.append(subject.about(node, f"{place}: {what}"))
    return tuple(found[:10]) or (Evidence(shown(f"no such file: {name} (looked for along {search_path(image)})")),)


def _chmod_patch(subject: Subject, name: str) -> str:
    image = subject.image
    for place, node in image.tree.candidates(name, search_path(image), image.config.working_dir):
        if node is not None and not node.is_directory and place.startswith("/") and place.isprintable():
            return f"RUN chmod +x {place}\n"
    return ""


def _interpreter(subject: Subject) -> CheckReport:
    """Whether the kernel takes the programs that are started first."""
    code, looked_at = "IMAGE-INTERPRETER", 0
    for program in (subject.first, *subject.started.values()):
        if program is None or program.node is None:
            continue
        looked_at += 1
        refusal = refused(subject.image, program)
        if refusal is not None:
            path = f"/{refusal.node.entry.path}"
            params = {"path": shown(path), "reason": shown(refusal.reason)}
            return CheckReport(code, FAIL, params, _refusal_evidence(subject, program.node, refusal), _mend(refusal))
    if not looked_at:
        return skipped(code, "No program was found that could be looked at.")
    return CheckReport(code, PASS)


def _refusal_evidence(subject: Subject, started: Node, refusal: Refusal) -> tuple[Evidence, ...]:
    node = refusal.node
    evidence = subject.about(node, f"/{node.entry.path}: {_kind(node)}")
    if node is started:
        return (evidence,)
    return subject.about(started, f"/{started.entry.path}: {_kind(started)}"), evidence


def _kind(node: Node) -> str:
    head = node.entry.head
    if head.startswith(("#!", "cut:")):
        # A carriage return is the very thing to see.
        return head.removeprefix("cut:").replace("\r", "\\r")
    if head.startswith("elf:"):
        return "an ELF binary"
    if head == "bom":
        return "EF BB BF, then #!"
    return "plain data" if node.entry.size else "0 bytes"


def _mend(refusal: Refusal) -> str:
    path = f"/{refusal.node.entry.path}"
    if not path.isprintable() or " " in path:
        return ""
    if "carriage return" in refusal.reason:
        return f"RUN sed -i 's/\\r$//' {path}\n"
    if "byte order mark" in refusal.reason:
        return f"RUN sed -i '1s/^\\xEF\\xBB\\xBF//' {path}\n"
    if "-S” would split" in refusal.reason:
        return f"RUN sed -i '1s/env /env -S /' {path}\n"
    return ""


def _file_to_run(subject: Subject) -> CheckReport:
    """``ENTRYPOINT ["python", "main.py"]``: the program is there, and the file that it is to run?"""
    code, looked_at = "IMAGE-ENTRYPOINT-FILE", []
    image = subject.image
    for program in subject.started.values():
        name = file_to_run(program) if program.node is not None and subject.first is not None else None
        if name is None or _mounted(name, image.config.working_dir):
            continue
        node = run_file(image, program, name)
        if node is None:
            params = {"program": shown(program.name), "file": shown(name), "folder": shown(image.config.working_dir)}
            text = f"no such file: {name}, from the working directory {image.config.working_dir}"
            return CheckReport(code, FAIL, params, (Evidence(shown(text)),))
        looked_at.append(Evidence(f"/{node.entry.path}", f"{program.name} runs"))
    return CheckReport(code, PASS, {}, tuple(looked_at[:2]))


def _mounted(name: str, folder: str) -> bool:
    """Whether SageMaker may bring the file itself."""
    return (name if name.startswith("/") else f"{folder}/{name}").startswith("/opt/ml/")


def _line_ends(subject: Subject) -> CheckReport:
    """A shell takes the carriage returns of a script for a part of its words, wherever they stand."""
    code, found = "IMAGE-SCRIPT-CRLF", []
    for script in subject.scripts:
        if script.is_shell and "\r\n" in script.text:
            number = script.text[: script.text.index("\r\n")].count("\n") + 1
            found.append((script, subject.about(script.node, f"{script.path}:{number} ends in a carriage return")))
    if not found:
        return CheckReport(code, PASS)
    paths = [script.path for script, _ in found]
    patch = f"RUN sed -i 's/\\r$//' {' '.join(paths)}\n" if all(_simple(path) for path in paths) else ""
    return CheckReport(code, WARN, {"path": shown(paths[0])}, tuple(evidence for _, evidence in found[:10]), patch)


def _simple(path: str) -> bool:
    return path.isprintable() and not set(path) & set(" '\"$`\\;&|<>*?()")


def _shell_form(subject: Subject) -> CheckReport:
    code, form = "IMAGE-ENTRYPOINT-SHELL", shell_form(subject.image)
    if form is None:
        return CheckReport(code, PASS)
    evidence = (Evidence(shown(" ".join(subject.image.config.entrypoint or []))),)
    plain = _plain_words(form.text)
    patch = f"ENTRYPOINT {json.dumps(plain)}\n" if plain else ""
    return CheckReport(code, WARN, {"shell": shown(form.shell)}, evidence, patch)


def _plain_words(text: str) -> list[str]:
    """The words of a command that needs no shell, or none."""
    words = text.removeprefix("exec ").split()
    safe = all(set(word) <= _SAFE for word in words) and words and "=" not in words[0]
    return words if safe and len(text) < 500 else []


_SAFE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./_-:=,+@")


def _init(subject: Subject) -> CheckReport:
    code = "IMAGE-ENTRYPOINT-INIT"
    if not is_init(subject.image):
        return CheckReport(code, PASS)
    words = subject.image.config.entrypoint or []
    return CheckReport(code, WARN, {"program": shown(words[0])}, (Evidence(shown(" ".join(words))),))


def _working_directory(subject: Subject) -> CheckReport:
    """The runtime makes a missing WORKDIR, but cannot enter a file."""
    folder = subject.image.config.working_dir
    parts, so_far = [part for part in folder.split("/") if part], ""
    for part in parts:
        so_far = f"{so_far}/{part}"
        node = subject.image.tree.resolve(so_far)
        if node is not None and not node.is_directory:
            evidence = (subject.about(node, f"{so_far} is a file"),)
            return CheckReport("IMAGE-WORKDIR", FAIL, {"folder": shown(folder)}, evidence)
    return CheckReport("IMAGE-WORKDIR", PASS, {"folder": shown(folder)})


def _user(subject: Subject) -> Iterator[CheckReport]:
    whole = subject.image.config.user
    name, _, group = whole.partition(":")
    params = {"user": shown(whole)}
    missing = [
        f"{what} {word}: no line in /{path}"
        for what, word, path in (("user", name, "etc/passwd"), ("group", group, "etc/group"))
        if word and not word.isdecimal() and not _has_account(subject, f"/{path}", word)
    ]
    unread = [path for path in ("/etc/passwd", "/etc/group") if _is_unread(subject, path)]
    if name in ("", "0") or _number_of(subject, name) == "0":
        yield CheckReport("IMAGE-USER", PASS, params)
    elif missing and not unread:
        yield skipped("IMAGE-USER", f"{missing[0]}.")
    else:
        yield CheckReport("IMAGE-USER", FAIL if settings.SLIPWAY.nonroot_user == "fail" else WARN, params)
    if missing and unread:
        yield skipped("IMAGE-USER-UNKNOWN", f"{unread[0]} is too large to be read.")
        return
    evidence = tuple(Evidence(shown(text)) for text in missing)
    yield CheckReport("IMAGE-USER-UNKNOWN", FAIL if missing else PASS, params, evidence)


def _has_account(subject: Subject, path: str, name: str) -> bool:
    text = subject.image.tree.text(path) or ""
    return any(line.split(":", 1)[0] == name for line in text.split("\n"))


def _number_of(subject: Subject, name: str) -> str:
    """The user's number; "0" for root where the image does not say."""
    text = subject.image.tree.text("/etc/passwd") or ""
    lines = (line.split(":") for line in text.split("\n"))
    return next((line[2] for line in lines if len(line) > 2 and line[0] == name), "0" if name == "root" else "")


def _is_unread(subject: Subject, path: str) -> bool:
    node = subject.image.tree.resolve(path)
    return node is not None and bool(node.entry.size) and node.content is None
