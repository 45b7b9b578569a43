"""Is an answer the expected one? Byte for byte, as JSON, or number by number within a tolerance."""

from __future__ import annotations

import json
import math
import re

MAX_SHOWN = 120
_SEPARATORS = re.compile(r"[\s,;]+")


def difference(expected: bytes, actual: bytes, tolerance: float) -> str:
    """The first difference in words; empty where ``actual`` is as expected."""
    if expected == actual:
        return ""
    try:
        wanted, found = json.loads(expected), json.loads(actual)
    except (ValueError, RecursionError):
        return _text_difference(_decode(expected), _decode(actual), tolerance)
    try:
        return _json_difference(wanted, found, tolerance, "$")
    except RecursionError:
        return "the answer is nested too deeply to compare"


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()


def _json_difference(wanted: object, found: object, tolerance: float, path: str) -> str:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in [*wanted, *found]:
            if key not in wanted or key not in found:
                return f"{path}.{key} is {'missing' if key in wanted else 'not expected'}"
            if inner := _json_difference(wanted[key], found[key], tolerance, f"{path}.{key}"):
                return inner
        return ""
    if isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            return f"{path} has {len(found)} items, {len(wanted)} expected"
        pairs = enumerate(zip(wanted, found, strict=True))
        inners = (_json_difference(w, f, tolerance, f"{path}[{index}]") for index, (w, f) in pairs)
        return next((inner for inner in inners if inner), "")
    if _numbers(wanted, found):
        same = _close(wanted, found, tolerance)
    else:
        same = type(wanted) is type(found) and wanted == found
    return "" if same else f"{path} is {_short(found)}, {_short(wanted)} expected"


def _text_difference(wanted: str, found: str, tolerance: float) -> str:
    if wanted == found:
        return ""  # they differ in leading or trailing white space only
    lines_wanted, lines_found = wanted.splitlines(), found.splitlines()
    for number, (line_wanted, line_found) in enumerate(zip(lines_wanted, lines_found, strict=False), start=1):
        if line_wanted.rstrip() != line_found.rstrip() and not _tokens_close(line_wanted, line_found, tolerance):
            return f"line {number} is {_short(line_found)}, {_short(line_wanted)} expected"
    if len(lines_wanted) != len(lines_found):
        return f"{len(lines_found)} lines, {len(lines_wanted)} expected"
    return ""


def _tokens_close(wanted: str, found: str, tolerance: float) -> bool:
    tokens_wanted, tokens_found = _SEPARATORS.split(wanted.strip()), _SEPARATORS.split(found.strip())
    if len(tokens_wanted) != len(tokens_found):
        return False
    for one, other in zip(tokens_wanted, tokens_found, strict=True):
        if one == other:
            continue
        try:
            if not _close(float(one), float(other), tolerance):
                return False
        except ValueError:
            return False
    return True


def _numbers(*values: object) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _close(wanted: object, found: object, tolerance: float) -> bool:
    one, other = float(wanted), float(found)  # type: ignore[arg-type]
    return one == other or (math.isnan(one) and math.isnan(other)) or abs(one - other) <= tolerance


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
