"""What the form of a new version begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from listings import spec
from listings.models import Listing, Version
from listings.services.verdicts import facts_of
from listings.starters import starter_file

#: How many versions back to look for a specification.
_LOOK_BACK = 10


@dataclass(frozen=True, slots=True)
class Start:
    """A specification to begin with; ``number`` is the version it comes from, empty for the starter's."""

    spec: spec.VersionSpec
    number: str = ""


def start_of(listing: Listing) -> Start:
    """The newest specification known of the listing's versions, or the starter's."""
    for version in listing.versions.order_by("-number_key")[:_LOOK_BACK]:
        for stored in _stored(version):
            try:
                return Start(spec.VersionSpec.stored(stored), version.number)
            except ValidationError:  # written by an older release of Slipway, in a shape that has since changed
                continue
    return Start(spec.parse_bytes(starter_file(listing.kind, "slipway.yaml")))


def _stored(version: Version) -> list[dict[str, Any]]:
    """The version's own specification, or what fetch read from its source, newest run first."""
    if version.spec is not None:
        return [version.spec]
    read = (facts_of(run).get("fetch", {}).get("spec") for run in version.runs.order_by("-number")[:3])
    return [each for each in read if each]
