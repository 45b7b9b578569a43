"""What the specification's form is described with, and how each kind of input is written and read.

Every input is a text field to Django: what is right or wrong is for the typed model to say (listings.spec),
so that a form and a ``slipway.yaml`` are judged by one rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django import forms

from listings import spec
from listings.spec import aws

ALGORITHM, MODEL_PACKAGE = "Algorithm", "ModelPackage"
BOTH = (ALGORITHM, MODEL_PACKAGE)

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
# A comma parts two content types only before another type: parameters may hold commas.
_BETWEEN_TYPES = re.compile(r"\n|,(?=\s*[\w!#$&^.+-]+/)")


class Style(StrEnum):
    """How a value is typed."""

    LINE = "line"  # one line, blanks round it do not count
    EXACT = "exact"  # one line, every blank counts
    AREA = "area"  # text of several lines
    LINES = "lines"  # a list, one per line
    WORDS = "words"  # a list of words (instance types)
    TYPES = "types"  # a list of content types
    FLAG = "flag"
    CHOICE = "choice"
    CHECKS = "checks"  # some of a few values
    WHOLE = "whole"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Entry:
    """One input. ``path`` is its place below its section or row, with dots.

    ``shape`` names the shape of the service model whose values may be chosen, ``offers`` the datalist that helps
    typing. ``new`` is what an input begins with. ``also`` are more places of the spec whose problems belong here.
    ``only_for`` lists the values of the row's Type that need the input (all, if empty).
    """

    path: str
    label: str
    style: Style = Style.LINE
    hint: str = ""
    needed: bool = False
    shape: str = ""
    offers: str = ""
    new: Any = ""
    width: str = "half"
    rows: int = 0
    also: tuple[str, ...] = ()
    only_for: str = ""
    kinds: tuple[str, ...] = BOTH


Item = dict[str, Any]


def _same(item: Item) -> Item:
    return item


@dataclass(frozen=True, slots=True)
class Rows:
    """A list or mapping of the spec, as rows. ``keyed``: a mapping, whose key is the entry ``key``.

    ``plain``: each item is not an object but the entry ``value`` itself. ``pack`` makes a row's entries into the
    item as the spec has it, ``unpack`` the other way round.
    """

    path: str
    title: str
    noun: str
    entries: tuple[Entry, ...]
    hint: str = ""
    keyed: bool = False
    plain: bool = False
    kinds: tuple[str, ...] = BOTH
    pack: Callable[[Item], Item] = _same
    unpack: Callable[[Item], Item] = _same


@dataclass(frozen=True, slots=True)
class Section:
    """A foldable part of the form. ``needs`` is the part of the spec without which an algorithm has no use for it.

    ``switch``: for an algorithm the section may be left out, by this question.
    """

    key: str
    path: str
    title: str
    icon: str
    hint: str
    parts: tuple[Entry | Rows, ...]
    kinds: tuple[str, ...] = BOTH
    needs: str = ""
    switch: str = ""


def place(text: str) -> tuple[str, ...]:
    """``a.b`` as a place of the spec."""
    return tuple(part for part in text.split(".") if part)


def get(data: Any, path: str) -> Any:
    """The value at ``path``, None where nothing is."""
    for part in place(path):
        data = data.get(part) if isinstance(data, Mapping) else None
    return data


def put(data: Item, path: str, value: Any) -> None:
    """Set the value at ``path``, with the objects above it."""
    *above, last = place(path)
    for part in above:
        data = data.setdefault(part, {})
    data[last] = value


def read(entry: Entry, raw: Any) -> Any:
    """What was typed, as the spec wants it; None for nothing. Numbers that are none stay text, to be refused."""
    match entry.style:
        case Style.FLAG:
            return bool(raw)
        case Style.CHECKS:
            return list(raw or ())
    text = str(raw or "").replace("\r\n", "\n").replace("\r", "\n")
    match entry.style:
        case Style.LINES:
            return [line.strip() for line in text.split("\n") if line.strip()]
        case Style.WORDS:
            return [word for word in re.split(r"[\s,;]+", text) if word]
        case Style.TYPES:
            return [each.strip() for each in _BETWEEN_TYPES.split(text) if each.strip()]
        case Style.WHOLE if _WHOLE.fullmatch(text):
            return int(text)
        case Style.NUMBER:
            try:
                return float(text)
            except ValueError:
                pass
    return text or None


def write(entry: Entry, value: Any) -> Any:
    """The other way round: what the input shows for a value of a spec."""
    if entry.style is Style.FLAG:
        return bool(value)
    if entry.style is Style.CHECKS:
        return list(value or ())
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return "" if value is None else str(value)


class PartForm(forms.Form):
    """A form whose fields come from entries."""

    entries: tuple[Entry, ...] = ()

    def typed(self, entry: Entry) -> Any:
        """What was typed into ``entry``, as the spec wants it."""
        self.errors  # noqa: B018 (reads the data)
        return read(entry, self.cleaned_data.get(entry.path, ""))

    def is_blank(self) -> bool:
        """Whether nothing was typed: what a new row begins with, and what can only be chosen, does not count."""
        self.errors  # noqa: B018
        chosen = (Style.FLAG, Style.CHOICE, Style.CHECKS)
        texts = [entry for entry in self.entries if entry.style not in chosen and not entry.new]
        return not any(self.cleaned_data.get(entry.path) for entry in texts)


def make_form(entries: tuple[Entry, ...]) -> type[PartForm]:
    """A form class with one field for each entry."""
    fields: dict[str, Any] = {entry.path: _field(entry) for entry in entries}
    return type("SpecPart", (PartForm,), {"entries": entries, **fields})


def _field(entry: Entry) -> forms.Field:
    common: dict[str, Any] = {"label": entry.label, "help_text": entry.hint, "required": False, "initial": entry.new}
    field: forms.Field
    if entry.style is Style.FLAG:
        field = forms.BooleanField(**common)
    elif entry.style is Style.CHECKS:
        values = [(value, value) for value in aws.limits(entry.shape).values]
        boxes = forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"})
        field = forms.MultipleChoiceField(choices=values, widget=boxes, **common)
    else:
        strip = entry.style in (Style.LINE, Style.WHOLE, Style.NUMBER)
        field = forms.CharField(strip=strip, widget=_widget(entry), **common)
    setattr(field, "entry", entry)  # noqa: B010  (for the template: width, what it is only for)
    return field


def _widget(entry: Entry) -> forms.Widget:
    attrs: dict[str, Any] = {}
    if entry.style is Style.CHOICE:
        return forms.Select(choices=[(value, value) for value in aws.limits(entry.shape).values])
    if entry.style not in (Style.AREA, Style.LINES):
        attrs |= {"spellcheck": "false", "autocomplete": "off"}
    if entry.offers:
        attrs["data-chips" if entry.style in (Style.WORDS, Style.TYPES) else "list"] = f"offer-{entry.offers}"
    if entry.style in (Style.WHOLE, Style.NUMBER):
        attrs["inputmode"] = "decimal" if entry.style is Style.NUMBER else "numeric"
    if entry.style in (Style.AREA, Style.LINES, Style.WORDS, Style.TYPES):
        return forms.Textarea(attrs={**attrs, "rows": entry.rows or 2})
    return forms.TextInput(attrs=attrs)


def sentence(problem: spec.SpecProblem) -> str:
    """A problem for beside its input, which needs no path."""
    return "Fill this in." if problem.code == "SPEC-REQUIRED" else problem.message
