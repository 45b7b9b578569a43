"""Inputs checked against botocore's own service model: required, types, limits, patterns, enumerations.

botocore's client checks only the first two and minima; AWS checks all of them, so the stand-in does.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

import botocore.session
import regex
from botocore.model import OperationModel, ServiceModel

from workers.aws.standin.errors import AwsError

_SERVICES = {"sagemaker": "sagemaker", "ecr": "ecr", "aws-marketplace": "marketplace-catalog"}


@cache
def service_model(service: str) -> ServiceModel:
    """The model of a service by its signing name."""
    model: ServiceModel = botocore.session.get_session().get_service_model(_SERVICES[service])
    return model


#: Patterns that the service itself does not keep to: entity types are "MachineLearningProduct@1.0" in every
#: example of the Catalog's documentation, though the model allows letters alone.
_NOT_ENFORCED = frozenset({"EntityType"})


@lru_cache(maxsize=512)
def _pattern(text: str) -> regex.Pattern[str]:
    return regex.compile(text)


def _length_faults(path: str, shape: Any, value: Any, size: float) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield f"Value {value!r:.80} at '{path}' failed to satisfy constraint: at least {low}"
    if high is not None and size > high:
        yield f"Value {value!r:.80} at '{path}' failed to satisfy constraint: at most {high}"


def _string_faults(path: str, shape: Any, value: str) -> Iterator[str]:
    yield from _length_faults(path, shape, value, len(value))
    pattern = shape.metadata.get("pattern")
    if pattern and shape.name not in _NOT_ENFORCED and not _pattern(pattern).fullmatch(value):
        yield f"Value '{value:.80}' at '{path}' failed to satisfy constraint: regular expression {pattern}"
    allowed = getattr(shape, "enum", None)
    if allowed and value not in allowed:
        yield f"Value '{value:.80}' at '{path}' failed to satisfy constraint: enum value set {sorted(allowed)!s:.400}"


def _structure_faults(path: str, shape: Any, value: dict[str, Any]) -> Iterator[str]:
    if getattr(shape, "is_document_type", False):
        return
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"Value null at '{_join(path, name)}' failed to satisfy constraint: must not be null"
    for name, member in value.items():
        if name not in shape.members:
            yield f"Unknown field at '{_join(path, name)}'"
        elif member is not None:
            yield from faults(shape.members[name], member, _join(path, name))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
}


def faults(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """Everything in ``value`` that ``shape`` does not allow, in AWS's manner of saying it."""
    if getattr(shape, "is_document_type", False):
        return
    expected = _PYTHON_TYPES.get(shape.type_name)
    if expected is None:
        return
    fits: bool = isinstance(value, expected) and (bool in expected or not isinstance(value, bool))
    if not fits:
        yield f"Value at '{path}' must be a {shape.type_name}"
    elif shape.type_name == "structure":
        yield from _structure_faults(path, shape, value)
    elif shape.type_name == "string":
        yield from _string_faults(path, shape, value)
    elif shape.type_name == "list":
        yield from _length_faults(path, shape, value, len(value))
        for number, item in enumerate(value, 1):
            yield from faults(shape.member, item, f"{path}.{number}.member")
    elif shape.type_name == "map":
        yield from _length_faults(path, shape, value, len(value))
        for key, item in value.items():
            yield from faults(shape.key, key, f"{path}.{key}.key")
            yield from faults(shape.value, item, f"{path}.{key}.value")
    elif shape.type_name != "boolean":
        yield from _length_faults(path, shape, value, value)


def operation(service: str, name: str) -> OperationModel:
    return service_model(service).operation_model(name)


def check_input(service: str, name: str, params: dict[str, Any]) -> None:
    """Raises AwsError ValidationException with every fault (AWS shows them in one message too)."""
    shape = operation(service, name).input_shape
    found = list(faults(shape, params)) if shape is not None else []
    if found:
        plural = "s" if len(found) > 1 else ""
        raise AwsError("ValidationException", f"{len(found)} validation error{plural} detected: {'; '.join(found)}")


def status_of(service: str, name: str, code: str) -> int:
    """The HTTP status that the service model gives an error of this operation; 400 where it says nothing."""
    for shape in operation(service, name).error_shapes:
        if shape.name == code:
            return int(shape.metadata.get("error", {}).get("httpStatusCode", 400))
    return 400
