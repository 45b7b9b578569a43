"""A spec as YAML, and as the JSON Schema that editors use."""

from __future__ import annotations

from typing import Any

import yaml

from listings.spec.aws import is_printable
from listings.spec.models import VersionSpec


class _Dumper(yaml.SafeDumper):
    """Block style, with long texts as literal blocks so that people can edit them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    lines = text.split("\n")
    # A literal block can hold neither trailing blanks nor a first line that starts with one.
    plain = all(is_printable(line) and line == line.strip() for line in lines)
    literal = len(lines) > 1 and plain and bool(lines[0]) and not any("\u2028" <= c <= "\u2029" for c in text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if literal else None)


_Dumper.add_representer(str, _text)


def to_yaml(spec: VersionSpec) -> str:
    data = spec.model_dump(mode="json", exclude_defaults=True)
    ordered = {"slipway": spec.slipway, "kind": spec.kind, **data}
    return yaml.dump(ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of ``slipway.yaml``. Cross-field rules are not in it."""
    schema = VersionSpec.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        _mark_needed(part)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "slipway.yaml",
        "description": "One version of a listing for AWS Marketplace: how to build, test and register it.",
        **{key: value for key, value in schema.items() if key not in {"title", "description"}},
    }


def _mark_needed(part: dict[str, Any]) -> None:
    for name, field in part.get("properties", {}).items():
        if field.pop("x-needed", False):
            field.pop("default", None)
            part.setdefault("required", []).append(name)
            if field.get("type") == "array":
                field["minItems"] = 1
