"""A Catalog change set as people read it: sections of named values, in the order in which buyers meet them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_WORDS = {"Arn": "ARN", "Url": "address", "Id": "id"}


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    fields: tuple[tuple[str, str], ...]


def sections(change_set: list[dict[str, Any]]) -> list[Section]:
    """Every value that the change set holds, nothing left out; lists of objects are numbered."""
    found: list[Section] = []
    for change in change_set:
        entity = change.get("Entity") or {}
        found.append(Section("Product", tuple(_leaves({"Action": words(change.get("ChangeType", "")), **entity}))))
        found += _document(change.get("DetailsDocument") or {})
    return [section for section in found if section.fields]


def _document(document: dict[str, Any]) -> Iterator[Section]:
    yield Section("Version", tuple(_leaves(document.get("Version") or {})))
    for option in document.get("DeliveryOptions") or []:
        for kind, details in (option.get("Details") or {}).items():
            plain = {name: value for name, value in details.items() if not isinstance(value, dict)}
            yield Section(_option(kind), tuple(_leaves(plain)))
            for name, value in details.items():
                if isinstance(value, dict):
                    yield Section(words(name), tuple(_leaves(value)))
    rest = {name: value for name, value in document.items() if name not in ("Version", "DeliveryOptions")}
    yield Section("Other", tuple(_leaves(rest)))


def _option(kind: str) -> str:
    return "Model package" if "ModelPackage" in kind else "Algorithm" if "Algorithm" in kind else words(kind)


def _leaves(value: Any, label: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{label} · {words(name)}" if label else words(name))
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        yield label, ", ".join(value)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict) and "Name" in item:
                yield f"{label} · {item['Name']}", _parameter(item)
            else:
                yield from _leaves(item, label)
    elif value is not None:
        yield label, {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _parameter(item: dict[str, Any]) -> str:
    flags = {"Required": ("required", "optional"), "AlwaysReturned": ("always returned", "not always returned")}
    parts = [str(item[name]).rstrip(".") for name in ("Description", "Constraints") if item.get(name)]
    parts += [on if item[name] else off for name, (on, off) in flags.items() if name in item]
    return "; ".join(parts)


def words(name: str) -> str:
    """``SampleNotebookUrl`` -> ``Sample notebook address``."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)
    text = " ".join(_WORDS.get(part, part.lower()) for part in parts)
    return (text[:1].upper() + text[1:]).replace("Sage maker", "SageMaker")
