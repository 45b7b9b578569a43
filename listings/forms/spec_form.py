"""The specification filled in by form: the same typed model as ``slipway.yaml``, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from django import forms
from django.forms.formsets import TOTAL_FORM_COUNT, BaseFormSet

from listings import spec
from listings.forms.spec_entries import (
    ALGORITHM,
    Entry,
    Item,
    PartForm,
    Rows,
    Section,
    get,
    make_form,
    place,
    put,
    sentence,
    write,
)
from listings.forms.spec_table import SECTIONS, in_words, offers

#: Rows beyond the filled ones, for browsers without script.
EXTRA_ROWS = 2
#: More than the longest list of the model (100 hyperparameters) with room for what is left blank.
MOST_ROWS = 150
GIVEN = "given"

Loc = tuple[str | int, ...]


@dataclass(slots=True)
class BoundRows:
    """``rows`` with their forms. ``errors`` are about the list as a whole."""

    rows: Rows
    formset: BaseFormSet[Any]
    errors: list[str] = field(default_factory=list)
    kind: str = "rows"

    def filled(self) -> list[PartForm]:
        """The forms that stand for an item, in order."""
        self.formset.is_valid()  # reads the data
        return [form for form in self.formset.forms if not form.cleaned_data.get("DELETE") and not form.is_blank()]

    def count(self) -> int:
        return len(self.filled()) if self.formset.is_bound else self.formset.initial_form_count()


@dataclass(slots=True)
class BoundFields:
    """Inputs that stand together, between rows."""

    fields: list[Any]
    kind: str = "fields"


@dataclass(slots=True)
class BoundSection:
    section: Section
    form: PartForm
    switch: Any
    parts: list[BoundRows | BoundFields]

    @property
    def rows(self) -> list[BoundRows]:
        return [part for part in self.parts if isinstance(part, BoundRows)]

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.form.entries if entry.path != GIVEN)

    @property
    def error_count(self) -> int:
        inner = [form for rows in self.rows if rows.formset.is_bound for form in rows.formset.forms]
        found = sum(len(messages) for form in (self.form, *inner) for messages in form.errors.values())
        return found + sum(len(rows.errors) for rows in self.rows)

    @property
    def summary(self) -> str:
        """What is in its rows: ``2 channels, 3 hyperparameters``."""
        counts = [(rows.count(), rows.rows.noun) for rows in self.rows]
        return ", ".join(f"{count} {noun}{'s' if count != 1 else ''}" for count, noun in counts if count)


@dataclass(frozen=True, slots=True)
class Shown:
    """A problem with the input that it is shown at."""

    label: str
    message: str
    anchor: str


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where problems of the place ``loc`` are shown."""

    loc: Loc
    label: str
    form: PartForm | None
    name: str
    rows: BoundRows | None = None


@lru_cache(maxsize=64)
def _formset_class(rows: Rows) -> type[BaseFormSet[Any]]:
    form = make_form(rows.entries)
    return forms.formset_factory(form, extra=EXTRA_ROWS, can_delete=True, max_num=MOST_ROWS, absolute_max=MOST_ROWS)


class SpecForm:
    """The form of one specification of a listing's ``kind``.

    Unbound, it shows ``start``. Bound to ``data``, ``is_valid`` says whether that is a specification, which is then
    in ``spec``; if not, each problem is at its input and in ``shown``. ``more`` names rows to lengthen.
    """

    def __init__(self, kind: str, data: Any = None, start: spec.VersionSpec | None = None, more: str = "") -> None:
        self.kind = kind
        self.spec: spec.VersionSpec | None = None
        self.shown: list[Shown] = []
        self._spots: list[_Spot] = []
        self._start: Mapping[str, Any] = start.as_json() if start else {}
        self._data = _lengthened(data, more) if data is not None and more else data
        self.sections = [self._bind(section) for section in SECTIONS if kind in section.kinds]

    @cached_property
    def offers(self) -> dict[str, tuple[str, ...]]:
        return offers()

    def _bind(self, section: Section) -> BoundSection:
        switched = bool(section.switch) and self.kind == ALGORITHM
        own = tuple(part for part in section.parts if isinstance(part, Entry) and self.kind in part.kinds)
        form_class = make_form(own)
        initial = self._initial(section, own)
        if switched:
            initial[GIVEN] = not self._start or get(self._start, section.path) is not None
            form_class.base_fields[GIVEN] = forms.BooleanField(required=False, label=section.switch)
        form = form_class(self._data, prefix=section.key, initial=initial or None)
        parts: list[BoundRows | BoundFields] = []
        for part in section.parts:
            if isinstance(part, Rows):
                if self.kind in part.kinds:
                    parts.append(self._bind_rows(section, part))
            elif part in own:
                if not parts or isinstance(parts[-1], BoundRows):
                    parts.append(BoundFields([]))
                parts[-1].fields.append(form[part.path])  # type: ignore[union-attr]
        return BoundSection(section, form, form[GIVEN] if switched else None, parts)

    def _initial(self, section: Section, entries: tuple[Entry, ...]) -> dict[str, Any]:
        start = get(self._start, section.path)
        if start is None:
            return {}
        return {entry.path: write(entry, get(start, entry.path)) for entry in entries}

    def _bind_rows(self, section: Section, rows: Rows) -> BoundRows:
        value = get(self._start, f"{section.path}.{rows.path}") or []
        items: list[Item] = []
        for key, given in value.items() if isinstance(value, dict) else enumerate(value):
            item = {"value": given} if rows.plain else rows.unpack(given)
            items.append({"key": key, **item} if rows.keyed else item)
        initial = [{entry.path: write(entry, get(item, entry.path)) for entry in rows.entries} for item in items]
        prefix = f"{section.path}.{rows.path}"
        return BoundRows(rows, _formset_class(rows)(self._data, prefix=prefix, initial=initial))

    # -- reading --

    def is_valid(self) -> bool:
        """Read what was typed and judge it by the model. Never True of an unbound form, as in Django."""
        if self._data is None:
            return False
        self.shown, self._spots = [], []
        data = self._read()
        try:
            found = spec.from_data(data)
        except spec.SpecErrors as errors:
            for problem in errors.problems:
                self._show(problem)
        else:
            self.spec = found if not self.shown and not any(part.error_count for part in self.sections) else None
        return self.spec is not None

    def _given(self, bound: BoundSection) -> bool:
        if bound.section.needs:
            needed = next(each for each in self.sections if each.section.path == bound.section.needs)
            return self._given(needed)
        return bound.switch is None or bool(bound.form.is_valid() and bound.form.cleaned_data.get(GIVEN))

    def _read(self) -> Item:
        data: Item = {"slipway": 1, "kind": self.kind}
        for bound in self.sections:
            if not self._given(bound):
                continue
            own: Item = get(data, bound.section.path) or {}
            put(data, bound.section.path, own)
            for entry in bound.entries:
                put(own, entry.path, bound.form.typed(entry))
                self._keep(bound.section.path, entry, bound.form)
            for rows in bound.rows:
                put(own, rows.rows.path, self._read_rows(bound.section, rows))
        if not get(data, "artifact.path") and not get(data, "artifact.in_image"):
            data.pop("artifact", None)
        return data

    def _keep(self, above: str, entry: Entry, form: PartForm) -> None:
        for path in (entry.path, *entry.also):
            self._spots.append(_Spot((*place(above), *place(path)), entry.label, form, entry.path))

    def _read_rows(self, section: Section, bound: BoundRows) -> Any:
        rows, loc = bound.rows, (*place(section.path), *place(bound.rows.path))
        self._spots.append(_Spot(loc, rows.title, None, "", bound))
        listed: list[Any] = []
        keyed: dict[str, Any] = {}
        for index, form in enumerate(bound.filled()):
            item: Item = {}
            for entry in rows.entries:
                put(item, entry.path, form.typed(entry))
            key = item.pop("key", None)
            self._keep_row((*loc, key or "" if rows.keyed else index), rows, form)
            value = (item["value"] or "") if rows.plain else rows.pack(item)
            if not rows.keyed:
                listed.append(value)
            elif key is None or key in keyed:
                self._refuse_key(loc, rows, form, key)
            else:
                keyed[key] = value
        return keyed if rows.keyed else listed

    def _keep_row(self, loc: Loc, rows: Rows, form: PartForm) -> None:
        for entry in rows.entries:
            if entry.path in ("key", "value"):
                self._spots.append(_Spot(loc, entry.label, form, entry.path))
                continue
            for path in (entry.path, *entry.also):
                self._spots.append(_Spot((*loc, *place(path)), entry.label, form, entry.path))

    def _refuse_key(self, loc: Loc, rows: Rows, form: PartForm, key: str | None) -> None:
        code = "SPEC-REQUIRED" if key is None else "SPEC-DUPLICATE-NAME"
        params = {"what": rows.noun, "name": key or ""}
        self._add(_Spot(loc, rows.title, form, "key"), sentence(spec.SpecProblem(code, loc, params=params)))

    # -- problems at their inputs --

    def _show(self, problem: spec.SpecProblem) -> None:
        spot = self._spot_of(problem)
        if spot is None:
            self.shown.append(Shown(problem.path or "Specification", problem.message, ""))
        else:
            self._add(spot, in_words(sentence(problem)))

    def _spot_of(self, problem: spec.SpecProblem) -> _Spot | None:
        """The nearest input at or above the problem's place, else the first one below it."""
        loc = problem.loc
        above = [spot for spot in self._spots if spot.loc == loc[: len(spot.loc)]]
        below = [spot for spot in self._spots if spot.loc[: len(loc)] == loc]
        if above:
            longest = max(len(spot.loc) for spot in above)
            nearest = [spot for spot in above if len(spot.loc) == longest]
            # A list as a whole is the place for what is missing from it, not for what is wrong in one row.
            if len(nearest) > 1:
                return _key_or_value(problem, nearest)
            if nearest[0].rows is None or longest == len(loc) or not below:
                return nearest[0]
        return below[0] if below else None

    def _add(self, spot: _Spot, message: str) -> None:
        if spot.form is not None:
            spot.form.add_error(spot.name, message)
            bound = spot.form[spot.name]
            anchor = bound.id_for_label or f"{bound.auto_id}_0"
        else:
            assert spot.rows is not None
            spot.rows.errors.append(message)
            anchor = f"rows-{spot.rows.formset.prefix}"
        label = f"{spot.rows.rows.title}" if spot.rows else spot.label
        self.shown.append(Shown(label, message, anchor))


def _key_or_value(problem: spec.SpecProblem, spots: list[_Spot]) -> _Spot:
    """Name and text of a pair share one place in the spec: what the problem is about tells which is meant."""
    by_name = {spot.name: spot for spot in spots}
    value, key = by_name.get("value"), by_name.get("key")
    if value is None or key is None or value.form is None:
        return spots[0]
    text = str(value.form.cleaned_data.get("value") or "")
    params = problem.params
    names_key = problem.code.endswith(("-UNDECLARED", "-SECRET")) or params.get("value") == str(problem.loc[-1])[:80]
    too_long = problem.code == "SPEC-LENGTH" and params.get("length") == str(len(str(problem.loc[-1])))
    return key if names_key or (too_long and params.get("length") != str(len(text))) else value


def _lengthened(data: Any, prefix: str) -> Any:
    """``data`` with room for more rows of ``prefix``."""
    name = f"{prefix}-{TOTAL_FORM_COUNT}"
    if name not in data or not str(data[name]).isdigit():
        return data
    longer = data.copy()
    longer[name] = str(min(int(data[name]) + EXTRA_ROWS, MOST_ROWS))
    return longer
