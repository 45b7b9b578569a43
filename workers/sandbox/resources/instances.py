"""The table of instance types: sizes and approximate prices from a dated file, which an operator may replace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings

from listings.problems import ProblemError

OWN_FILE = Path(__file__).with_name("instances.json")


@dataclass(frozen=True, slots=True)
class Instance:
    """``usd_per_hour``: approximate, None where unknown. ``accelerated``: it has a GPU or the like besides."""

    name: str
    vcpus: float
    memory_gib: float
    usd_per_hour: float | None
    arm: bool
    accelerated: bool


@dataclass(frozen=True, slots=True)
class Table:
    as_of: str
    types: Mapping[str, Instance]


def instance_table() -> Table:
    """Raises ProblemError TEST-INSTANCES-FILE for an operator's file that is not like Slipway's own."""
    path = settings.SLIPWAY.instances_file or OWN_FILE
    try:
        return _read(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProblemError("TEST-INSTANCES-FILE", path=path, reason=f"{type(error).__name__}: {error}") from error


def is_arm(name: str) -> bool:
    return _family(name) in _own()["arm"]


@cache
def _read(path: Path) -> Table:
    content = json.loads(path.read_text(encoding="utf-8"))
    accelerated = set(_own()["accelerated"])
    types = {
        name: Instance(
            name, float(vcpus), float(gib), None if price is None else float(price), is_arm(name),
            _family(name) in accelerated,
        )
        for name, (vcpus, gib, price) in content["types"].items()
    }  # fmt: skip
    return Table(str(content["as_of"]), types)


@cache
def _own() -> Mapping[str, list[str]]:
    """Families with an ARM processor, or an accelerator: that does not change, so an operator's file need not say."""
    content = json.loads(OWN_FILE.read_text(encoding="utf-8"))
    return {key: content[key] for key in ("arm", "accelerated")}


def _family(name: str) -> str:
    return name.removeprefix("ml.").partition(".")[0]
