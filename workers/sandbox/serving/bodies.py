"""Request bodies made from a sample: cut, random, and as large as SageMaker would send."""

from __future__ import annotations

import random
from dataclasses import dataclass

from listings.spec.types import media_type

LINES = ("text/csv", "application/csv", "text/libsvm", "text/x-libsvm", "text/tab-separated-values",
         "application/jsonlines", "application/x-jsonlines", "application/jsonl", "application/x-ndjson",
         "application/ndjson")  # fmt: skip
JSON = ("application/json", "text/json")
XML = ("application/xml", "text/xml")


def is_lines(content_type: str) -> bool:
    """Whether one line is one record, so that lines can be sent one by one and joined."""
    return media_type(content_type) in LINES


def is_json(content_type: str) -> bool:
    kind = media_type(content_type)
    return kind in JSON or kind.endswith("+json")


def is_text(content_type: str) -> bool:
    """Whether a body of this type is text, so that a charset says something about it."""
    kind = media_type(content_type)
    return kind.startswith("text/") or is_json(kind) or is_lines(kind) or kind in XML or kind.endswith("+xml")


def cut(sample: bytes) -> bytes:
    """The first half: JSON that ends too early, an image without its end."""
    return sample[: max(1, len(sample) // 2)]


def noise(size: int = 512) -> bytes:
    """The same random bytes each time; no text in any encoding that is used for one."""
    return b"\xff\xfe\x00" + random.Random(1).randbytes(size)  # noqa: S311


def records(sample: bytes) -> tuple[bytes, list[bytes]]:
    """The header of a sample of lines (empty where it has none) and its records, each with its line end."""
    lines = [line.rstrip(b"\r\n") + b"\n" for line in sample.splitlines() if line.strip()]
    if len(lines) > 1 and not _has_digit(lines[0]) and _has_digit(lines[1]):
        return lines[0], lines[1:]
    return b"", lines


def _has_digit(line: bytes) -> bool:
    return any(48 <= byte <= 57 for byte in line)


@dataclass(frozen=True, slots=True)
class Padded:
    """``body`` followed by ``padding``, ``times`` over; ``how`` in words. ``reason``: why there is none."""

    body: bytes = b""
    padding: bytes = b""
    times: int = 0
    how: str = ""
    reason: str = ""

    @property
    def size(self) -> int:
        return len(self.body) + len(self.padding) * self.times


def padded(sample: bytes, content_type: str, size: int) -> Padded:
    """``sample`` made almost ``size`` bytes long, in a way that its type allows."""
    if len(sample) >= size:
        return Padded(body=sample, how="as it is")
    if is_lines(content_type):
        header, lines = records(sample)
        if not lines:
            return Padded(reason="the sample has no lines")
        unit = b"".join(lines)
        times = max(1, (size - len(header)) // len(unit))
        return Padded(header, unit, times, f"its {len(lines)} lines repeated {times} times")
    if is_json(content_type) or media_type(content_type) in XML or media_type(content_type).endswith("+xml"):
        # White space after the value is part of the format; what the model has to do stays the same.
        return Padded(sample, b" ", size - len(sample), "with white space after it")
    return Padded(reason=f"a sample of {media_type(content_type)} cannot be made larger without breaking it")
