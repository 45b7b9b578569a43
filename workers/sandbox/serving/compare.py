"""Is an answer the expected one? Byte for byte, as JSON, as arrays, or number by number within a tolerance."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator
from itertools import islice

from workers.sandbox.serving import arrays

MAX_SHOWN = 120
MAX_DIFFERENCES = 10
MAX_DIFF_LINES = 40
#: difflib takes the square of the number of lines at worst.
MAX_DIFF_BYTES, MAX_DIFF_INPUT_LINES = 64 * 1024, 500
_SEPARATORS = re.compile(r"[\s,;]+")


def difference(expected: bytes, actual: bytes, tolerance: float) -> str:
    """The first difference in words; empty where ``actual`` is as expected."""
    return next(iter(differences(expected, actual, tolerance)), "")


def differences(expected: bytes, actual: bytes, tolerance: float) -> list[str]:
    """The first differences in words, each with its place; empty where ``actual`` is as expected."""
    if expected == actual:
        return []
    try:
        return list(islice(_differences(expected, actual, tolerance), MAX_DIFFERENCES))
    except RecursionError:
        return ["the answer is nested too deeply to compare"]


def text_diff(expected: bytes, actual: bytes) -> str:
    """A unified diff of two texts; empty for what is no text or too long for one."""
    if max(len(expected), len(actual)) > MAX_DIFF_BYTES or not (_is_text(expected) and _is_text(actual)):
        return ""
    wanted, found = (_decode(data).splitlines()[:MAX_DIFF_INPUT_LINES] for data in (expected, actual))
    lines = difflib.unified_diff(wanted, found, "expected", "answer", n=1, lineterm="")
    return "\n".join(_cut(line) for line in islice(lines, MAX_DIFF_LINES))


def _differences(expected: bytes, actual: bytes, tolerance: float) -> Iterator[str]:
    if arrays.is_archive(expected) and arrays.is_archive(actual):
        yield from arrays.differences(expected, actual, tolerance)
        return
    try:
        wanted, found = json.loads(expected), json.loads(actual)
    except (ValueError, RecursionError):
        if _is_text(expected):
            yield from _text_differences(_decode(expected), _decode(actual), tolerance)
        else:
            yield _binary_difference(expected, actual)
        return
    yield from _json_differences(wanted, found, tolerance, "$")


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()


def _binary_difference(wanted: bytes, found: bytes) -> str:
    pairs = enumerate(zip(wanted, found, strict=False))
    place = next((index for index, (one, other) in pairs if one != other), min(len(wanted), len(found)))
    sizes = f"{len(found)} bytes, {len(wanted)} expected; " if len(wanted) != len(found) else ""
    return f"{sizes}the first different byte is number {place}: {_byte(found, place)}, {_byte(wanted, place)} expected"


def _byte(data: bytes, place: int) -> str:
    return f"0x{data[place]:02x}" if place < len(data) else "the end"


def _json_differences(wanted: object, found: object, tolerance: float, path: str) -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in dict.fromkeys([*wanted, *found]):
            if key not in wanted or key not in found:
                yield f"{path}.{_cut(key)} is {'missing' if key in wanted else 'not expected'}"
            else:
                yield from _json_differences(wanted[key], found[key], tolerance, f"{path}.{_cut(key)}")
    elif isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            yield f"{path} has {len(found)} items, {len(wanted)} expected"
        for index, (one, other) in enumerate(zip(wanted, found, strict=False)):
            yield from _json_differences(one, other, tolerance, f"{path}[{index}]")
    elif not _same(wanted, found, tolerance):
        yield f"{path} is {_short(found)}, {_short(wanted)} expected"


def _same(wanted: object, found: object, tolerance: float) -> bool:
    if _numbers(wanted, found):
        return close(wanted, found, tolerance)
    return type(wanted) is type(found) and wanted == found


def _text_differences(wanted: str, found: str, tolerance: float) -> Iterator[str]:
    lines_wanted, lines_found = wanted.splitlines(), found.splitlines()
    for number, (line_wanted, line_found) in enumerate(zip(lines_wanted, lines_found, strict=False), start=1):
        if line_wanted.rstrip() != line_found.rstrip() and not _tokens_close(line_wanted, line_found, tolerance):
            yield f"line {number} is {_short(line_found)}, {_short(line_wanted)} expected"
    if len(lines_wanted) != len(lines_found):
        yield f"{len(lines_found)} lines, {len(lines_wanted)} expected"


def _tokens_close(wanted: str, found: str, tolerance: float) -> bool:
    tokens_wanted, tokens_found = _SEPARATORS.split(wanted.strip()), _SEPARATORS.split(found.strip())
    if len(tokens_wanted) != len(tokens_found):
        return False
    for one, other in zip(tokens_wanted, tokens_found, strict=True):
        if one == other:
            continue
        try:
            if not close(float(one), float(other), tolerance):
                return False
        except ValueError:
            return False
    return True


def _numbers(*values: object) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def close(wanted: object, found: object, tolerance: float) -> bool:
    """Whether two numbers are equal within ``tolerance``; two NaN are."""
    try:
        one, other = float(wanted), float(found)  # type: ignore[arg-type]
    except OverflowError:
        return wanted == found  # whole numbers beyond what a float holds
    return one == other or (math.isnan(one) and math.isnan(other)) or abs(one - other) <= tolerance


def _short(value: object) -> str:
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
