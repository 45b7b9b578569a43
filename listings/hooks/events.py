"""What a delivery says, whoever sent it, and the careful reading that all providers share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from listings.problems import ProblemError

Headers = Mapping[str, str]

_HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
#: https://github.com/opencontainers/distribution-spec: what a tag may look like.
_IMAGE_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_ZEROS = re.compile(r"0{40}|0{64}")
#: What git-check-ref-format(1) refuses, and a leading dash, which a program could take for an option.
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|\.$|/$|^[/.-]|^@$")
_FULL_REF = re.compile(r"refs/(heads|tags)/(.+)", re.DOTALL)
_REF_LENGTH, _NAME_LENGTH = 255, 255
#: More changed files than this are not compared with path filters.
PATHS_AT_MOST = 3000
#: Refs of one request that are decided on, each a few milliseconds of the answer.
REFS_AT_MOST = 50


class EventKind(StrEnum):
    PING = "ping"
    BRANCH = "branch"
    TAG = "tag"
    IMAGE = "image"  # a tag was pushed to a registry
    DELETED = "deleted"
    PULL_REQUEST = "pull request"
    UNUSABLE_REF = "unusable ref"
    LEFT_OUT = "left out"  # refs beyond those that one request may tell of
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Event:
    """``name`` is the provider's word for it. ``ref`` is the branch or tag without ``refs/…/``; ``commit`` a hex commit
    id, or the digest of an image. ``paths`` are the changed files, or None where the sender does not say them all.
    ``repository`` is its full name at the sender, empty where it names none. ``left_out`` are the refs that an event of
    that kind stands for.
    """

    kind: EventKind
    name: str
    ref: str = ""
    commit: str = ""
    repository: str = ""
    sender: str = ""
    paths: tuple[str, ...] | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """What a test delivery is about; ``commit`` is a digest for an image."""

    repository: str
    ref: str
    commit: str


def text(value: object, limit: int = 120) -> str:
    """``value`` if it is a string, without what cannot be printed, cut to ``limit`` characters."""
    if not isinstance(value, str):
        return ""
    return "".join(sign for sign in value[: 4 * limit] if sign.isprintable())[:limit]


def dig(payload: object, *names: str) -> Any:
    """The value below ``names``, or None."""
    for name in names:
        payload = payload.get(name) if isinstance(payload, Mapping) else None
    return payload


def foreign(provider: str, detail: str) -> ProblemError:
    """HOOK-NOT-PROVIDERS: the JSON is well formed, but not what this provider sends."""
    return ProblemError("HOOK-NOT-PROVIDERS", provider=provider, detail=detail)


def want_text(provider: str, payload: object, *names: str) -> str:
    """Raises ProblemError HOOK-NOT-PROVIDERS."""
    value = dig(payload, *names)
    if not isinstance(value, str) or not value:
        raise foreign(provider, f"there is no text at “{'.'.join(names)}”")
    return value


def want_name(provider: str, payload: object, *names: str) -> str:
    """A repository's name, of printable characters. Raises ProblemError HOOK-NOT-PROVIDERS."""
    name = text(want_text(provider, payload, *names), _NAME_LENGTH)
    if not name:
        raise foreign(provider, f"the text at “{'.'.join(names)}” cannot be printed")
    return name


def want_list(provider: str, payload: object, *names: str) -> list[Any]:
    """Raises ProblemError HOOK-NOT-PROVIDERS."""
    value = dig(payload, *names)
    if not isinstance(value, list):
        raise foreign(provider, f"there is no list at “{'.'.join(names)}”")
    return value


def is_nothing(commit: object) -> bool:
    """Whether this is how Git writes the commit of a ref that does not exist (any more)."""
    return isinstance(commit, str) and _ZEROS.fullmatch(commit) is not None


def want_commit(provider: str, value: object) -> str:
    """Raises ProblemError HOOK-NOT-PROVIDERS for what is not a whole commit id in hex."""
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise foreign(provider, "the commit is not a whole commit id in hexadecimal digits")
    return value


def want_digest(provider: str, value: object) -> str:
    """Raises ProblemError HOOK-NOT-PROVIDERS for what is not ``sha256:`` and 64 hex digits."""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise foreign(provider, "the digest is not sha256: and 64 hexadecimal digits")
    return value


def git_push(
    provider: str,
    name: str,
    *,
    ref: str,
    commit: object,
    deleted: bool,
    repository: str,
    sender: str = "",
    paths: tuple[str, ...] | None = None,
) -> Event:
    """The event of a push to the full ``ref``. Raises ProblemError HOOK-NOT-PROVIDERS for a bad commit id."""
    found = _FULL_REF.fullmatch(ref)
    short = found[2] if found else ""
    if not short or text(short, _REF_LENGTH) != short or _BAD_REF.search(short):
        return Event(EventKind.UNUSABLE_REF, name, text(ref, _REF_LENGTH), "", repository, sender)
    if deleted:
        return Event(EventKind.DELETED, name, short, "", repository, sender)
    kind = EventKind.TAG if found and found[1] == "tags" else EventKind.BRANCH
    return Event(kind, name, short, want_commit(provider, commit), repository, sender, paths)


def image_push(provider: str, name: str, *, tag: object, digest: object, repository: str = "", sender: str) -> Event:
    """The event of a tag that was pushed to a registry. Raises ProblemError HOOK-NOT-PROVIDERS for a bad digest."""
    if not isinstance(tag, str) or not _IMAGE_TAG.fullmatch(tag):
        return Event(EventKind.UNUSABLE_REF, name, text(tag, 128), "", repository, sender)
    return Event(EventKind.IMAGE, name, tag, want_digest(provider, digest), repository, sender)


def first_refs(events: Sequence[Event]) -> tuple[Event, ...]:
    """The first ``REFS_AT_MOST``, and one event that names the others."""
    kept, others = tuple(events[:REFS_AT_MOST]), events[REFS_AT_MOST:]
    if not others:
        return kept
    names, first = tuple(event.ref for event in others), others[0]
    more = Event(EventKind.LEFT_OUT, first.name, repository=first.repository, sender=first.sender, left_out=names)
    return (*kept, more)


def changed_paths(commits: object, total: object = None) -> tuple[str, ...] | None:
    """The files that ``commits`` (with ``added``, ``modified``, ``removed``) change; None if they are not all there.

    ``total`` is how many commits the sender says there are.
    """
    if not isinstance(commits, list) or not commits:
        return None
    if isinstance(total, int) and total > len(commits):
        return None
    found: dict[str, None] = {}
    for commit in commits:
        for part in ("added", "modified", "removed"):
            names = dig(commit, part)
            if not isinstance(names, list):
                return None
            found.update(dict.fromkeys(_only_text(names)))
        if len(found) > PATHS_AT_MOST:
            return None
    return tuple(found)


def _only_text(values: Iterable[object]) -> Iterable[str]:
    return (value for value in values if isinstance(value, str))
