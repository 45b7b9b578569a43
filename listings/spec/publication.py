"""What a listing needs before it can be published, beyond what its version needs to be tested.

The Catalog's AddDeliveryOptions change requires usage instructions, both links, input and output
properties and recommended instance types; the texts of the product itself are required by
UpdateInformation; release notes by the Marketplace's reviewers.
"""

from __future__ import annotations

from collections.abc import Iterator

from listings.spec.errors import Loc, SpecProblem
from listings.spec.models import VersionSpec

_TEXTS: tuple[tuple[Loc, str], ...] = (
    (("title",), "the product's title"),
    (("short_description",), "a short description"),
    (("long_description",), "a long description: what it does, for whom, trained on what, how well"),
    (("highlights",), "one to three highlights"),
    (("categories",), "one to three categories"),
    (("keywords",), "search keywords"),
    (("usage_instructions",), "usage instructions"),
    (("sample_notebook_url",), "the https address of a notebook that works without a buyer's own data"),
    (("repository_url",), "the https address of a repository with sample data and code"),
    (("support_description",), "how buyers get support"),
    (("release_notes",), "release notes"),
    (("input", "description"), "a description of the input"),
    (("output", "description"), "a description of the output"),
)


def publication_problems(spec: VersionSpec) -> list[SpecProblem]:
    """What still has to be filled in before ``spec`` can be published; empty when nothing is missing."""
    return list(_missing(spec))


def _missing(spec: VersionSpec) -> Iterator[SpecProblem]:
    for loc, what in _TEXTS:
        value: object = spec.listing
        for part in loc:
            value = getattr(value, str(part))
        if not value or (isinstance(value, str) and not value.strip()):
            yield _needed(("listing", *loc), what)
    if spec.inference is None:
        loc = ("inference",)
        yield _needed(loc, "an inference part: AWS certifies an algorithm only with a transform job")
        wanted = ["Training"]
    else:
        yield from _samples(spec)
        wanted = ["BatchTransform", "RealtimeInference"] + (["Training"] if spec.training else [])
    for name in wanted:
        if getattr(spec.listing.recommended_instance_types, name) is None:
            yield _needed(("listing", "recommended_instance_types", name), "a recommended instance type")


def _samples(spec: VersionSpec) -> Iterator[SpecProblem]:
    for side, sample in (("input", spec.listing.input.sample), ("output", spec.listing.output.sample)):
        if not sample.strip():
            yield _needed(("listing", side, "sample"), f"a sample {side}")


def _needed(loc: Loc, what: str) -> SpecProblem:
    return SpecProblem("SPEC-PUBLICATION", loc, params={"what": what})
