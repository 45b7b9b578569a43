"""From bytes as an engine sends them to lines of text as a page shows them."""

from __future__ import annotations

import re

#: One line in the log, in characters; the rest is clipped, and the line says how much.
LINE_LIMIT = 16 * 1024
#: A line without an end is held up to here, so that a secret at the clipping edge is still whole when it is masked.
PARTIAL_LIMIT = 64 * 1024

#: Every escape sequence but colours (SGR): cursor moves, titles, links, charset choices, lone escapes.
_OTHER_ESCAPES = re.compile(
    r"\x1b(?:\](?:[^\x07\x1b]*)(?:\x07|\x1b\\)?|[P^_X](?:[^\x1b]*)(?:\x1b\\)?"
    r"|\[(?![0-9;]*m)[0-?]*[ -/]*[@-~]?|[()*+][0-9A-Za-z]|(?!\[)[@-Z\\-~]?)"
)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f\x80-\x9f\u2028\u2029]")


def tidy(text: str) -> str:
    """``text`` with its colours and tabs, without any other control character."""
    if "\x1b" in text:
        text = _OTHER_ESCAPES.sub("", text)
    if not text.isprintable():
        # Half a surrogate pair cannot be written as UTF-8.
        text = _CONTROL.sub("", text).encode("utf-8", "replace").decode()
    return text


def clip(text: str, already_lost: int = 0, limit: int = LINE_LIMIT) -> str:
    """``text`` within ``limit`` characters; ``already_lost`` bytes were never kept."""
    lost = max(0, len(text) - limit) + already_lost
    return f"{text[:limit]} … [{lost} more characters clipped]" if lost else text


def last_segment(line: bytes) -> bytes:
    """What a terminal shows of a line that a progress bar rewrote with carriage returns."""
    line = line.rstrip(b"\r")
    if b"\r" not in line:
        return line
    return next((part for part in reversed(line.split(b"\r")) if part.strip()), b"")


class LineSplitter:
    """Cuts a stream of chunks into (line, bytes lost) pairs; holds at most PARTIAL_LIMIT bytes.

    What is no UTF-8 becomes U+FFFD; of a line with carriage returns stays what a terminal would show.
    """

    def __init__(self) -> None:
        self._partial = bytearray()
        self._lost = 0

    def feed(self, chunk: bytes) -> list[tuple[str, int]]:
        head, newline, rest = chunk.partition(b"\n")
        self._hold(head)
        if not newline:
            return []
        lines = [self._take()]
        *middle, tail = rest.split(b"\n")
        for line in middle:
            if len(line) > PARTIAL_LIMIT:
                self._hold(line)
                lines.append(self._take())
            else:
                lines.append((_text(line), 0))
        self._hold(tail)
        return lines

    def finish(self) -> list[tuple[str, int]]:
        """The line that had no end, if there is one."""
        return [self._take()] if self._partial or self._lost else []

    def _hold(self, part: bytes) -> None:
        self._partial += part
        if len(self._partial) <= PARTIAL_LIMIT:
            return
        # Only what follows the last carriage return would be seen; one at the very end may be half of CR LF.
        seen_from = self._partial.rfind(b"\r", 0, len(self._partial) - 1) + 1
        if seen_from:
            del self._partial[:seen_from]
            self._lost = 0
        excess = len(self._partial) - PARTIAL_LIMIT
        if excess > 0:
            self._lost += excess
            del self._partial[PARTIAL_LIMIT:]

    def _take(self) -> tuple[str, int]:
        line, lost = _text(bytes(self._partial)), self._lost
        self._partial.clear()
        self._lost = 0
        return line, lost


def _text(line: bytes) -> str:
    return last_segment(line).decode("utf-8", "replace")
