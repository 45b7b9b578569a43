"""Layer X-ray: what each Dockerfile line put into the image, and which lines make up most of it."""

from __future__ import annotations

import heapq
from typing import Any

from workers.images.facts import Kind
from workers.images.packages import WHOLE_LISTS, Package
from workers.images.reader import Image, Layer
from workers.logs import Redactor

#: Lines named as the largest, packages and files shown of each layer.
LINES, PACKAGES, FILES = 3, 200, 10


def largest_lines(image: Image, count: int = LINES) -> list[int]:
    """Indices of the layers with most bytes, largest first; empty ones left out."""
    indices = [index for index, layer in enumerate(image.layers) if layer.facts.bytes]
    return heapq.nlargest(count, indices, key=lambda index: image.layers[index].facts.bytes)


def summary(image: Image) -> dict[str, Any]:
    """``lines``: indices of the largest layers, those below 1 % left out; ``share``: their part of the image's bytes,
    from 0 to 1."""
    total = sum(layer.facts.bytes for layer in image.layers)
    lines = [index for index in largest_lines(image) if image.layers[index].facts.bytes * 100 >= total]
    part = sum(image.layers[index].facts.bytes for index in lines)
    return {"lines": lines, "share": round(part / total, 4) if total else 0.0}


def sentence(image: Image) -> str:
    """``Lines 2, 5 and 7 are 61 % of the image.``; empty where that says nothing."""
    found = summary(image)
    lines = found["lines"]
    if len(image.layers) <= len(lines) or not lines:
        return ""
    names = [str(index + 1) for index in sorted(lines)]
    told = f"Line {names[0]} is" if len(names) == 1 else f"Lines {', '.join(names[:-1])} and {names[-1]} are"
    return f"{told} {found['share'] * 100:.0f} % of the image."


def layer_facts(image: Image) -> list[dict[str, Any]]:
    """Each layer, from the lowest, with its line, sizes, largest files and packages."""
    known: set[Package] = set()
    rows = []
    for layer in image.layers:
        packages = [package for package in layer.facts.packages if package not in known]
        # Where a manager lists all that is installed, what lower layers had is no news.
        known |= {package for package in layer.facts.packages if package[0] in WHOLE_LISTS}
        rows.append(_row(layer, packages))
    return rows


def _row(layer: Layer, packages: list[Package]) -> dict[str, Any]:
    files = [entry for entry in layer.facts.entries if entry.kind is Kind.FILE]
    largest = heapq.nlargest(FILES, files, key=lambda entry: entry.size)
    return {
        "digest": layer.facts.digest,
        "bytes_compressed": layer.facts.bytes_compressed,
        "bytes": layer.facts.bytes,
        "created_by": Redactor().clean(layer.created_by),
        "files": len(files),
        "package_count": len(packages),
        "packages": [list(package) for package in packages[:PACKAGES]],
        "largest": [[entry.path[:500], entry.size] for entry in largest if entry.size],
    }
