"""The value types that the spec's models are made of. Each refuses with a catalogued SPEC- code."""

from __future__ import annotations

import difflib
import posixpath
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from listings.spec import aws
from listings.spec.document import Scalar

#: In ASCII: it is sent as a header (RFC 9110, 5.5), where other characters have no agreed meaning.
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+*-]+( *;[\x20-\x7e]*)?", re.ASCII)
_HEADER_TEXT = re.compile(r"[\x20-\x7e]+")


def refuse(code: str, **params: str) -> PydanticCustomError:
    """A pydantic error that carries a catalogue code and the values that its texts need."""
    return PydanticCustomError(code, "{detail}", {"detail": code, "params": params})


def nearest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean X?"`` for the closest of ``known``, or nothing."""
    candidates = list(known)
    lowered = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return f"; did you mean {lowered[close[0]]}?" if close else ""


def kind_of(value: object) -> str:
    if isinstance(value, Scalar):
        value = value.value
    if isinstance(value, bool):
        return "true or false"
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        ((int, float), "a number"),
        (str, "text"),
        (list, "a list"),
        (dict, "a mapping"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "nothing")


def as_text(value: Any) -> str:
    """Text as it was written: numbers and truth values are taken literally, line ends become ``\\n``."""
    if isinstance(value, Scalar):
        text = value.text
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str | int | float):
        text = str(value)
    else:
        raise refuse("SPEC-TYPE", expected="text", found=kind_of(value))
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for character in text:
        if character not in "\n\t" and unicodedata.category(character) in {"Cc", "Cs", "Co", "Cn"}:
            raise refuse("SPEC-CONTROL-CHARACTER", character=f"U+{ord(character):04X}")
    return text


def as_flag(value: Any) -> bool:
    plain = value.value if isinstance(value, Scalar) else value
    if not isinstance(plain, bool):
        raise refuse("SPEC-TYPE", expected="true or false", found=kind_of(value))
    return plain


def as_whole(value: Any) -> int:
    plain = value.value if isinstance(value, Scalar) else value
    if isinstance(plain, bool) or not isinstance(plain, int):
        raise refuse("SPEC-TYPE", expected="a whole number", found=kind_of(value))
    return plain


def as_number(value: Any) -> float:
    plain = value.value if isinstance(value, Scalar) else value
    if isinstance(plain, bool) or not isinstance(plain, int | float) or plain != plain:
        raise refuse("SPEC-TYPE", expected="a number", found=kind_of(value))
    return float(plain)


def check_length(text: str, minimum: int | None, maximum: int | None) -> None:
    if minimum and len(text) < minimum:
        raise refuse("SPEC-REQUIRED")
    if maximum is not None and len(text) > maximum:
        raise refuse("SPEC-LENGTH", length=str(len(text)), limit=str(maximum))


@dataclass(frozen=True)
class _Leaf(ABC):
    """Annotated metadata: one function turns what was written into the value, or refuses."""

    @abstractmethod
    def read(self, value: Any) -> Any:
        """The value, or a refusal."""

    @abstractmethod
    def schema(self) -> JsonSchemaValue:
        """The same rule for editors."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return self.schema()


@dataclass(frozen=True)
class TextOf(_Leaf):
    """Text of Slipway's or the Catalog's own: ``minimum``..``maximum`` characters."""

    maximum: int | None = None
    minimum: int = 0

    def read(self, value: Any) -> str:
        text = as_text(value)
        check_length(text, self.minimum, self.maximum)
        return text

    def schema(self) -> JsonSchemaValue:
        bounds = {"minLength": self.minimum or None, "maxLength": self.maximum}
        return {"type": "string", **{key: bound for key, bound in bounds.items() if bound is not None}}


@dataclass(frozen=True)
class AwsText(_Leaf):
    """Text within the limits of a shape of SageMaker's service model, ``Shape`` or ``Shape.Member``."""

    shape: str
    minimum: int = 0

    def read(self, value: Any) -> str:
        text = as_text(value)
        limits = aws.limits(self.shape)
        check_length(text, self.minimum or limits.minimum, limits.maximum)
        if not limits.matches(text):
            code = "SPEC-PRINTABLE" if r"\p{L}" in (limits.pattern or "") else "SPEC-PATTERN"
            raise refuse(code, value=text[:80], pattern=limits.pattern or "")
        return text

    def schema(self) -> JsonSchemaValue:
        limits = aws.limits(self.shape)
        pattern = limits.pattern if limits.pattern and r"\p{" not in limits.pattern else None
        bounds = {
            "minLength": self.minimum or limits.minimum or None,
            "maxLength": limits.maximum,
            "pattern": f"^(?:{pattern})$" if pattern and pattern != ".*" else None,
        }
        return {"type": "string", **{key: bound for key, bound in bounds.items() if bound is not None}}


@dataclass(frozen=True)
class AwsEnum(_Leaf):
    """One of the values that a shape of the service model enumerates."""

    shape: str

    def read(self, value: Any) -> str:
        return choose(as_text(value), aws.limits(self.shape).values)

    def schema(self) -> JsonSchemaValue:
        return {"type": "string", "enum": list(aws.limits(self.shape).values)}


def choose(text: str, known: Sequence[str]) -> str:
    if text in known:
        return text
    shown = ", ".join(known) if len(known) <= 8 else f"{len(known)} values known to AWS"
    raise refuse("SPEC-CHOICE", value=text[:80], choices=shown, hint=nearest(text, known))


@dataclass(frozen=True)
class Choice(_Leaf):
    values: tuple[str, ...]

    def read(self, value: Any) -> str:
        return choose(as_text(value), self.values)

    def schema(self) -> JsonSchemaValue:
        return {"type": "string", "enum": list(self.values)}


@dataclass(frozen=True)
class Number(_Leaf):
    """A number between ``low`` and ``high``; ``whole`` for integers."""

    low: float
    high: float
    whole: bool = True

    def read(self, value: Any) -> float | int:
        number = as_whole(value) if self.whole else as_number(value)
        if not self.low <= number <= self.high:
            raise refuse("SPEC-BOUNDS", value=str(number), low=f"{self.low:g}", high=f"{self.high:g}")
        return number

    def schema(self) -> JsonSchemaValue:
        kind = "integer" if self.whole else "number"
        return {"type": kind, "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Reader(_Leaf):
    """A leaf made of one function and its JSON Schema."""

    function: Callable[[Any], Any]
    as_schema: tuple[tuple[str, Any], ...]

    def read(self, value: Any) -> Any:
        return self.function(value)

    def schema(self) -> JsonSchemaValue:
        return dict(self.as_schema)


def as_source_path(value: Any) -> str:
    """A path inside the source, with forward slashes, normalised. Refuses absolute paths and ``..``."""
    text = as_text(value)
    check_length(text, 1, 1024)
    normal = posixpath.normpath(text)
    if text.startswith("/") or "\\" in text or "\n" in text or normal == ".." or normal.startswith("../"):
        raise refuse("SPEC-PATH", value=text[:200])
    return normal


def as_media_type(value: Any) -> str:
    text = as_text(value).strip()
    check_length(text, 1, aws.limits("ContentType").maximum)
    if _MEDIA_TYPE.fullmatch(text) is None:
        raise refuse("SPEC-MEDIA-TYPE", value=text[:80])
    return text


def as_response_type(value: Any) -> str:
    """As SageMaker takes it, but for what no ``Accept`` header can hold."""
    text: str = _RESPONSE_TYPE.read(value)
    if _HEADER_TEXT.fullmatch(text) is None:
        raise refuse("SPEC-MEDIA-TYPE", value=text[:80])
    return text


def as_https_url(value: Any) -> str:
    """An https address of at most 2,000 characters, without a query, or nothing (Catalog API shapes)."""
    text = as_text(value).strip()
    check_length(text, None, 2000)
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        good = parts.scheme == "https" and bool(parts.hostname) and not parts.query and not re.search(r"\s", text)
    except ValueError:
        good = False
    if not good:
        raise refuse("SPEC-URL", value=text[:200])
    return text


def media_type(content_type: str) -> str:
    """The type without its parameters, lower case: ``Text/CSV; charset=utf-8`` is ``text/csv``."""
    return content_type.partition(";")[0].strip().lower()


Text = Annotated[str, TextOf()]
Flag = Annotated[bool, Reader(as_flag, (("type", "boolean"),))]
SourcePath = Annotated[str, Reader(as_source_path, (("type", "string"), ("minLength", 1), ("maxLength", 1024)))]
MediaType = Annotated[str, Reader(as_media_type, (("type", "string"), ("maxLength", 256)))]
_RESPONSE_TYPE = AwsText("ResponseMIMEType")
ResponseType = Annotated[str, Reader(as_response_type, tuple(_RESPONSE_TYPE.schema().items()))]
HttpsUrl = Annotated[str, Reader(as_https_url, (("type", "string"), ("maxLength", 2000)))]
