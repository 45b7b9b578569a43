"""What one hyperparameter allows. Every value is text, as SageMaker hands it to the container."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from listings.spec.errors import Loc
from listings.spec.models import HyperParameter, NumericRange

_MEMBERS = {
    "Integer": "IntegerParameterRangeSpecification",
    "Continuous": "ContinuousParameterRangeSpecification",
    "Categorical": "CategoricalParameterRangeSpecification",
}
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")


def number(text: str, whole: bool) -> Decimal | None:
    """``text`` as a finite number, None when it is none."""
    text = text.strip()
    if whole and not _WHOLE.fullmatch(text):
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and "_" not in text else None


def _range_of(parameter: HyperParameter) -> NumericRange | None:
    if parameter.Range is None:
        return None
    if parameter.Type == "Integer":
        return parameter.Range.IntegerParameterRangeSpecification
    return parameter.Range.ContinuousParameterRangeSpecification


def value_problem(parameter: HyperParameter, value: str) -> str:
    """Why ``value`` is not one that ``parameter`` allows; empty when it is."""
    if parameter.Type == "FreeText":
        return ""
    if parameter.Type == "Categorical":
        choices = parameter.Range.CategoricalParameterRangeSpecification if parameter.Range else None
        if choices is None or value in choices.Values:
            return ""
        return f"it is none of {', '.join(choices.Values)}"
    whole = parameter.Type == "Integer"
    found = number(value, whole)
    if found is None:
        return "it is not a whole number" if whole else "it is not a number"
    bounds = _range_of(parameter)
    if bounds is None:
        return ""
    low, high = number(bounds.MinValue, whole), number(bounds.MaxValue, whole)
    if low is None or high is None or low > high:
        return ""  # a fault of the range, and reported as one
    if not low <= found <= high:
        return f"it is outside {bounds.MinValue} to {bounds.MaxValue}"
    return ""


def definition_problems(parameter: HyperParameter) -> Iterator[tuple[str, Loc, dict[str, str]]]:
    """What is wrong with the definition itself: code, place below the parameter, texts' values."""
    range_faults = list(_range_problems(parameter))
    yield from range_faults
    if parameter.IsTunable and (parameter.Range is None or parameter.Type == "FreeText"):
        yield "SPEC-TUNABLE-RANGE", ("IsTunable",), {"type": parameter.Type}
    if parameter.DefaultValue is not None and not range_faults:
        why = value_problem(parameter, parameter.DefaultValue)
        if why:
            yield "SPEC-HYPERPARAMETER-VALUE", ("DefaultValue",), {"value": parameter.DefaultValue, "why": why}


def _range_problems(parameter: HyperParameter) -> Iterator[tuple[str, Loc, dict[str, str]]]:
    if parameter.Range is None:
        return
    wanted = _MEMBERS.get(parameter.Type)
    given = sorted(parameter.Range.model_dump(exclude_none=True))
    if given != ([wanted] if wanted else []):
        needed = f"Range.{wanted} and nothing else" if wanted else "no Range"
        yield "SPEC-RANGE-MEMBER", ("Range",), {"type": parameter.Type, "needed": needed}
        return
    bounds = _range_of(parameter) if parameter.Type in ("Integer", "Continuous") else None
    if bounds is None or wanted is None:
        return
    low, high = (number(text, parameter.Type == "Integer") for text in (bounds.MinValue, bounds.MaxValue))
    for key, text, value in (("MinValue", bounds.MinValue, low), ("MaxValue", bounds.MaxValue, high)):
        if value is None:
            yield "SPEC-RANGE-NUMBER", ("Range", wanted, key), {"value": text, "type": parameter.Type}
    if low is not None and high is not None and low > high:
        yield "SPEC-RANGE-ORDER", ("Range", wanted), {"low": bounds.MinValue, "high": bounds.MaxValue}
