"""From a text or from form data to a VersionSpec, or to every reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from listings.spec import document as yaml_document
from listings.spec.document import Document
from listings.spec.errors import Loc, SpecErrors
from listings.spec.models import (
    Artifact,
    Build,
    Inference,
    InferenceTest,
    ListingText,
    Tests,
    Training,
    TrainingTest,
    VersionSpec,
)
from listings.spec.rules import broken_rules
from listings.spec.types import kind_of, nearest

_SECTIONS: dict[Loc, type[BaseModel]] = {
    ("build",): Build,
    ("training",): Training,
    ("inference",): Inference,
    ("artifact",): Artifact,
    ("tests",): Tests,
    ("tests", "training"): TrainingTest,
    ("tests", "inference"): InferenceTest,
    ("listing",): ListingText,
}


def parse(text: str) -> VersionSpec:
    """``slipway.yaml`` as a VersionSpec. Raises SpecErrors with every problem and its line."""
    return _check(yaml_document.read(text))


def parse_bytes(content: bytes) -> VersionSpec:
    """Like ``parse``, for a file's bytes, which must be UTF-8 (a byte order mark is allowed)."""
    document = Document()
    if len(content) > 4 * yaml_document.MAX_CHARACTERS:
        document.add("SPEC-TOO-LARGE", (), size=str(len(content)), limit=str(yaml_document.MAX_CHARACTERS))
        raise SpecErrors(document.problems)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        document.marks[()] = (line, 1)
        document.add("SPEC-ENCODING", ())
        raise SpecErrors(document.problems) from error
    return parse(text)


def from_data(data: Mapping[str, Any]) -> VersionSpec:
    """Form data in the same shape as VersionSpec; problems then carry paths but no lines."""
    return _check(Document(data=_given(dict(data))))


def _given(value: Any) -> Any:
    """Forms send None for what was left out."""
    if isinstance(value, Mapping):
        return {str(key): _given(item) for key, item in value.items() if item is not None}
    return [_given(item) for item in value] if isinstance(value, list | tuple) else value


def _check(document: Document) -> VersionSpec:
    data = document.data
    if not isinstance(data, dict):
        raise SpecErrors(document.problems)
    spec: VersionSpec | None = None
    try:
        spec = VersionSpec.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _add(document, data, detail)
    _add_missing(document, data)
    faulty = {problem.loc for problem in document.problems}
    whole = spec or _rest(data, faulty)
    for broken in broken_rules(whole, faulty):
        document.add(broken.code, broken.loc, **broken.params)
    if document.problems or spec is None:
        raise SpecErrors(document.problems)
    return spec


def _add(document: Document, data: Any, detail: ErrorDetails) -> None:
    """One pydantic error as a problem of ours."""
    kind, context = detail["type"], detail.get("ctx", {})
    loc: Loc = tuple(part for part in detail["loc"] if part != "[key]")
    if kind.startswith("SPEC-"):
        document.add(kind, loc, **context.get("params", {}))
    elif kind == "missing":
        document.add("SPEC-REQUIRED", loc)
    elif kind == "extra_forbidden":
        known = sorted(_fields_at(loc[:-1]))
        hint = nearest(str(loc[-1]), known)
        document.add("SPEC-UNKNOWN-KEY", loc, key=str(loc[-1]), known=", ".join(known), hint=hint)
    elif kind in {"too_short", "too_long"}:
        bounds = {"too_short": ("at least", "min_length"), "too_long": ("at most", "max_length")}
        word, key = bounds[kind]
        document.add("SPEC-COUNT", loc, count=str(context["actual_length"]), limit=f"{word} {context[key]}")
    else:
        expected = "a list" if kind == "list_type" else "a mapping of keys to values"
        document.add("SPEC-TYPE", loc, expected=expected, found=kind_of(detail["input"]))


def _fields_at(loc: Loc) -> set[str]:
    """The keys that are known at a place of the spec."""
    schema = VersionSpec.model_json_schema()
    definitions = schema.get("$defs", {})
    here: dict[str, Any] = schema
    for part in loc:
        if isinstance(part, int):
            here = here.get("items", {})
        else:
            properties = here.get("properties", {})
            here = properties[part] if part in properties else here.get("additionalProperties", {})
        here = next((choice for choice in here.get("anyOf", ()) if "$ref" in choice), here)
        reference = here.get("$ref", "")
        here = definitions.get(reference.rpartition("/")[2], here)
    return set(here.get("properties", {}))


def _add_missing(document: Document, data: dict[str, Any]) -> None:
    """What must be given although the models have a default for it."""
    faulty = {problem.loc for problem in document.problems}
    if "slipway" not in data:
        document.add("SPEC-REQUIRED", ("slipway",))
    for section, model in _SECTIONS.items():
        given: Any = data
        for part in section:
            given = given.get(part) if isinstance(given, dict) else None
        if not isinstance(given, dict):
            continue
        for name, field in model.model_fields.items():
            extra = field.json_schema_extra
            needed = isinstance(extra, dict) and extra.get("x-needed")
            if needed and not given.get(name) and (*section, name) not in faulty:
                document.add("SPEC-REQUIRED", (*section, name))


def _rest(data: dict[str, Any], faulty: set[Loc]) -> VersionSpec:
    """The spec without its faulty parts, so that the rules can judge everything else.

    A fault anywhere below a key of a section removes that key: every such key has a default.
    """
    kept = {name: section for name, section in data.items() if name in VersionSpec.model_fields}
    pruned = _pruned(kept, (), faulty)
    return VersionSpec.model_validate({"kind": "Algorithm", **pruned, "slipway": 1})


def _pruned(part: dict[str, Any], loc: Loc, faulty: set[Loc]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in part.items():
        place = (*loc, key)
        if not any(fault[: len(place)] == place for fault in faulty):
            kept[key] = value
        elif place in _SECTIONS and isinstance(value, dict) and place not in faulty:
            kept[key] = _pruned(value, place, faulty)
    return kept
