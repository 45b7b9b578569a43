"""Reads a Dockerfile as the engine's classic builder does, as far as is needed to refuse what must not be built.

Source of the syntax: the Dockerfile reference (parser directives, line continuation, FROM, ARG scope).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from listings.problems import ProblemError
from listings.reports import Evidence

_DIRECTIVE = re.compile(r"^#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$")
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)(?P<op>:?[-+])?(?P<word>[^{}$]*)\}|(?P<plain>[A-Za-z_]\w*))")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@\[\]-]*")
_BARE_HEX = re.compile(r"(sha256:)?[0-9a-fA-F]+")
#: The engine's reader takes some of these for blanks or line ends and others not; no Dockerfile needs them.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n|$)")
_QUOTING = re.compile(r"[\"'`\\]")
_ARGUMENT = re.compile(r"[A-Za-z_]\w*(?:=(?:[^\"'`\\]*|\"[^\"'`\\]*\"|'[^\"'`\\]*'))?", re.ASCII)
_STAGE_INDEX = re.compile(r"[0-9]{1,4}")
_HEREDOC = re.compile(r"\d*<<-?[\"']?[A-Za-z_]\w*[\"']?")
_BUILDKIT_FLAGS: Mapping[str, tuple[str, ...]] = {
    "RUN": ("--mount", "--network", "--security", "--device"),
    "COPY": ("--link", "--chmod", "--parents", "--exclude"),
    "ADD": ("--link", "--chmod", "--checksum", "--keep-git-dir", "--exclude", "--unpack"),
}
_SECRET_WORDS = {"secret", "secrets", "password", "passwd", "pwd", "passphrase", "token", "credential", "credentials"}
_SECRET_WORDS |= {"apikey", "accesskey", "privatekey", "secretkey", "pat"}
_SECRET_PAIRS = {("api", "key"), ("access", "key"), ("private", "key"), ("auth", "key"), ("ssh", "key")}
_SECRET_VALUE = re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY")


@dataclass(frozen=True, slots=True)
class Instruction:
    """``line`` is where it starts, counted from 1. ``words`` are what follows the keyword, split at blanks."""

    line: int
    keyword: str
    text: str

    @property
    def words(self) -> list[str]:
        return self.text.split()

    def evidence(self, label: str = "Dockerfile") -> Evidence:
        return Evidence(f"{self.keyword} {self.text}"[:500], f"{label}, line {self.line}")


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """``instructions`` in order: the classic builder's step N is the Nth of them."""

    instructions: tuple[Instruction, ...]
    syntax: str = ""

    def step(self, number: int) -> Instruction | None:
        """The instruction behind "Step ``number``/…"."""
        return self.instructions[number - 1] if 0 < number <= len(self.instructions) else None


def parse(content: bytes) -> Dockerfile:
    """Split into instructions: parser directives, comments and continued lines as the engine reads them.

    Raises ProblemError BUILD-LINE-UNREADABLE where the engine could read something else than is read here.
    """
    lines = content.decode("utf-8-sig", "replace").split("\n")
    for number, line in enumerate(lines, 1):
        if _CONTROL.search(line):
            at = Instruction(number, "", _CONTROL.sub("?", line))
            raise unreadable(at, "a control character")
    directives, start = _directives(lines)
    escape = directives.get("escape", "\\")
    return Dockerfile(tuple(_instructions(lines, start, escape)), directives.get("syntax", ""))


def _directives(lines: Sequence[str]) -> tuple[dict[str, str], int]:
    found: dict[str, str] = {}
    for index, line in enumerate(lines):
        match = _DIRECTIVE.match(line.rstrip("\r"))
        if not match or match[1].lower() in found:
            return found, index
        found[match[1].lower()] = match[2]
    return found, len(lines)


def _instructions(lines: Sequence[str], start: int, escape: str) -> Iterator[Instruction]:
    continued = re.compile(re.escape(escape) + r"[ \t]*$")
    pending, first = "", 0
    for number, raw in enumerate(lines[start:], start + 1):
        line = raw.rstrip("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        first = first or number
        more = continued.search(line)
        pending += line[: more.start()] if more else line
        if more:
            continue
        yield _instruction(first, pending)
        pending, first = "", 0
    if pending.strip():
        yield _instruction(first, pending)


def unreadable(at: Instruction, what: str) -> ProblemError:
    """What the engine might read differently is refused, not guessed at."""
    return ProblemError("BUILD-LINE-UNREADABLE", evidence=(at.evidence(),), what=what, line=at.line)


def _instruction(line: int, text: str) -> Instruction:
    keyword, _, rest = text.strip().partition(" ") if "\t" not in text else _partition_blank(text.strip())
    # The engine lowers keywords by Unicode's rules: "ONBU\u0130LD" is one to it.
    if not keyword.isascii():
        raise unreadable(Instruction(line, keyword, rest.strip()), "an instruction in letters other than A to Z")
    return Instruction(line, keyword.upper(), rest.strip())


def _partition_blank(text: str) -> tuple[str, str, str]:
    parts = text.split(None, 1)
    return parts[0], " ", parts[1] if len(parts) > 1 else ""


class ImageRules:
    """Which image names a build may start from or copy from."""

    def __init__(self, staging_hosts: Sequence[str], allow: Sequence[ipaddress.IPv4Network] = ()) -> None:
        self._allow = tuple(allow)
        self._hosts = {host.lower() for host in staging_hosts}
        self._ports = {host.rpartition(":")[2] for host in self._hosts if re.search(r":\d+$", host)}

    def check(self, name: str, at: Instruction) -> None:
        """Raises ProblemError BUILD-FROM-UNREADABLE, BUILD-FROM-ID, BUILD-FROM-STAGING or BUILD-FROM-PRIVATE."""
        if not _PLAIN_NAME.fullmatch(name):
            raise ProblemError("BUILD-FROM-UNREADABLE", evidence=(at.evidence(),), name=name, line=at.line)
        # Without a tag the engine takes a name of hex digits for the start of an image ID, whoever's image it is.
        if _BARE_HEX.fullmatch(name):
            raise ProblemError("BUILD-FROM-ID", evidence=(at.evidence(),), name=name, line=at.line)
        host = name.partition("/")[0].lower() if "/" in name else ""
        if self._is_staging(host):
            raise ProblemError("BUILD-FROM-STAGING", evidence=(at.evidence(),), name=name, line=at.line)
        if self._is_private(host):
            raise ProblemError("BUILD-FROM-PRIVATE", evidence=(at.evidence(),), name=name, line=at.line)

    def _is_staging(self, host: str) -> bool:
        """The staging registry by any name: as configured, or its port on an address of the machine itself."""
        name, _, port = host.rpartition(":")
        loopback = name in ("localhost", "0.0.0.0", "[::1]", "[::]") or re.fullmatch(r"127(\.\d+){1,3}", name)  # noqa: S104
        return host in self._hosts or (port in self._ports and bool(loopback))

    def _is_private(self, host: str) -> bool:
        """A registry at an address that the engine reaches and the internet does not."""
        name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
        if name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        allowed = address.version == 4 and any(address in network for network in self._allow)
        return not address.is_global and not allowed


def check(dockerfile: Dockerfile, args: Mapping[str, str], rules: ImageRules) -> dict[str, Instruction]:
    """Refuse what the classic builder cannot build, and every image that is not the seller's to read.

    Returns the images that the build needs, each with the first line that names it. Raises ProblemError
    BUILD-EMPTY-DOCKERFILE, BUILD-NEEDS-BUILDKIT, BUILD-ADD-URL, BUILD-LINE-UNREADABLE or one of ``ImageRules.check``.
    """
    if not any(i.keyword == "FROM" for i in dockerfile.instructions):
        raise ProblemError("BUILD-EMPTY-DOCKERFILE")
    scope: dict[str, str] = {}
    stages: list[str] = []
    images: dict[str, Instruction] = {}
    readable = True
    for instruction in dockerfile.instructions:
        _refuse_quoted_flags(instruction)
        _refuse_buildkit(instruction)
        refuse_url(instruction)
        if instruction.keyword == "ARG" and not stages:
            readable = readable and all(_ARGUMENT.fullmatch(word) for word in instruction.words)
            scope.update(_declared(instruction, args, scope))
        elif instruction.keyword == "FROM":
            if "$" in instruction.text and not readable:
                raise ProblemError(
                    "BUILD-FROM-UNREADABLE", evidence=(instruction.evidence(),), name=instruction.text,
                    line=instruction.line,
                )  # fmt: skip
            name, stage = _check_from(instruction, scope, stages, rules)
            stages.append(stage)
            images.update({name: instruction} if name else {})
        for source in _copied_from(instruction):
            # A stage is none to itself yet: by its own name, the engine looks for an image of that name or ID.
            if source.lower() not in stages[:-1] and not _STAGE_INDEX.fullmatch(source):
                rules.check(source, instruction)
                images.setdefault(source, instruction)
    return images


def refuse_secret_args(args: Mapping[str, str]) -> None:
    """Raises ProblemError BUILD-SECRET-ARG: a build argument stays readable in the image's history for every buyer."""
    for name, value in args.items():
        words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]
        pairs = set(zip(words, words[1:], strict=False))
        if _SECRET_WORDS & set(words) or pairs & _SECRET_PAIRS or _SECRET_VALUE.search(value):
            raise ProblemError("BUILD-SECRET-ARG", evidence=(Evidence(f"{name}=…", "build.args"),), name=name)


def check_trigger(text: str, image: str, rules: ImageRules) -> None:
    """One ONBUILD instruction of an image to start from: it runs in this build and is held to the same rules."""
    named = Instruction(0, "ONBUILD", f"{_CONTROL.sub('?', text)}  (in {image})")
    # Its text can hold line ends, which the engine reads as a Dockerfile's.
    if "\n" in text or _CONTROL.search(text):
        raise unreadable(named, "a control character")
    trigger = _instruction(0, f"ONBUILD {text}")
    _refuse_quoted_flags(trigger, named)
    refuse_url(trigger, named)
    for source in _copied_from(trigger):
        rules.check(source, named)


def _check_from(at: Instruction, scope: Mapping[str, str], stages: Sequence[str], rules: ImageRules) -> tuple[str, str]:
    """The image that this FROM pulls (empty for an earlier stage) and the name of the stage that it starts."""
    words = [word for word in at.words if not word.startswith("--")]
    name = substitute(words[0] if words else "", scope)
    # Quotes and escapes are refused rather than unwrapped: what is checked is then what the engine reads.
    if name is None:
        raise ProblemError("BUILD-FROM-UNREADABLE", evidence=(at.evidence(),), name=words[0], line=at.line)
    stage = words[2].lower() if len(words) == 3 and words[1].upper() == "AS" else ""
    if name == "scratch" or name.lower() in stages:
        return "", stage
    rules.check(name, at)
    return name, stage


def substitute(text: str, scope: Mapping[str, str]) -> str | None:
    """``text`` with $NAME, ${NAME}, ${NAME:-word} and ${NAME:+word} replaced; None where other syntax is used."""

    def value(match: re.Match[str]) -> str:
        name, op = match["braced"] or match["plain"], match["op"] or ""
        found = scope.get(name)
        is_set = bool(found) if op.startswith(":") else found is not None
        if op.endswith("-"):
            return (found or "") if is_set else match["word"]
        if op.endswith("+"):
            return match["word"] if is_set else ""
        return (found or "") if not match["word"] else "$"

    replaced = _VARIABLE.sub(value, text)
    return None if set("$\"'`\\") & set(replaced) else replaced


def _declared(at: Instruction, args: Mapping[str, str], scope: Mapping[str, str]) -> dict[str, str]:
    """What one ARG before the first FROM declares; the caller's value wins over the default."""
    found: dict[str, str] = {}
    for word in at.words:
        name, equals, default = word.partition("=")
        if len(default) >= 2 and default[0] == default[-1] and default[0] in "\"'":
            default = default[1:-1]
        resolved = substitute(default, {**scope, **found})
        if name in args:
            found[name] = args[name]
        elif equals:
            # Left as it is where it cannot be read: the FROM that uses it is then refused.
            found[name] = default if resolved is None else resolved
    return found


def refuse_url(at: Instruction, shown: Instruction | None = None) -> None:
    """The engine itself fetches an ADD's URL, from its host's network and not from the room: the host's own
    services would answer. Raises ProblemError BUILD-ADD-URL."""
    inner = _triggered(at)
    if inner.keyword != "ADD":
        return
    words = [word for word in inner.words if not word.startswith("--")]
    for word in (words[:-1] or words) + _json_words(inner.text):
        plain = re.match(r"[^$\"'`\\]*", word)
        start = plain[0] if plain else ""
        # A name whose plain start could still grow into a URL through a variable is one.
        grows = len(start) < len(word)
        if any(start.startswith(url) or (grows and url.startswith(start)) for url in ("http://", "https://")):
            at = shown or at
            raise ProblemError("BUILD-ADD-URL", evidence=(at.evidence(),), what=word, line=at.line)


def _json_words(text: str) -> list[str]:
    """The texts of an instruction in JSON form, its flags left out. As to the engine, what follows the list counts
    nothing; what is no list of texts is read as plain words."""
    start = re.sub(r"^(--\S*\s+)*", "", text)
    if not start.startswith("["):
        return []
    try:
        found = json.JSONDecoder().raw_decode(start)[0]
    except (ValueError, RecursionError):
        return []
    return [str(word) for word in found]


def _refuse_quoted_flags(at: Instruction, shown: Instruction | None = None) -> None:
    """The engine takes quotes and escapes out of a flag before it reads its name. Raises ProblemError."""
    inner = _triggered(at)
    if inner.keyword not in ("FROM", "COPY", "ADD"):
        return
    for word in inner.words:
        if not word.startswith("--"):
            return
        if _QUOTING.search(word):
            raise unreadable(shown or at, "quotes or escapes in a flag")


def _triggered(at: Instruction) -> Instruction:
    while at.keyword == "ONBUILD":
        at = _instruction(at.line, at.text) if at.text else Instruction(at.line, "", "")
    return at


def _copied_from(at: Instruction) -> Iterator[str]:
    inner = _triggered(at)
    if inner.keyword in ("COPY", "ADD"):
        for word in inner.words:
            if not word.startswith("--"):
                return
            if word.startswith("--from="):
                yield word.removeprefix("--from=")


def _refuse_buildkit(at: Instruction) -> None:
    flags = _BUILDKIT_FLAGS.get(at.keyword, ())
    for word in at.words:
        if not word.startswith("--"):
            break
        if word.partition("=")[0] in flags:
            _raise_buildkit(at, word.partition("=")[0])
    if at.keyword in ("RUN", "COPY", "ADD"):
        for word in at.words:
            if _HEREDOC.fullmatch(word):
                _raise_buildkit(at, word)


def _raise_buildkit(at: Instruction, what: str) -> None:
    raise ProblemError("BUILD-NEEDS-BUILDKIT", evidence=(at.evidence(),), what=what, line=at.line)
