"""What a browser would send for the form of a specification."""

from __future__ import annotations

from collections.abc import Iterator

from django import forms
from django.http import QueryDict

from listings.forms.spec_form import SpecForm
from listings.spec import VersionSpec


def posted(form: SpecForm) -> Iterator[tuple[str, str]]:
    """What a browser sends for an unbound form: its names and values, in order."""
    for bound in form.sections:
        yield from _values(bound.form)
        for rows in bound.rows:
            for one in (rows.formset.management_form, *rows.formset.forms):
                yield from _values(one)


def _values(form: forms.BaseForm) -> Iterator[tuple[str, str]]:
    for name in form.fields:
        value = form[name].value()
        if isinstance(value, bool) or value is None:
            if value:
                yield form.add_prefix(name), "on"
        elif isinstance(value, list | tuple):
            yield from ((form.add_prefix(name), str(each)) for each in value)
        else:
            yield form.add_prefix(name), str(value)


def sent(spec: VersionSpec) -> QueryDict:
    """The form of ``spec``, sent as it is shown."""
    data = QueryDict(mutable=True)
    for name, value in posted(SpecForm(spec.kind, start=spec)):
        data.appendlist(name, value)
    return data
