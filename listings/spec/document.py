"""A YAML text read into plain data, with the line of every key and item.

PyYAML's own constructors forget where a value stood and let a later key silently win over an earlier
one, so the node tree is walked here. Scalars that are not text keep what was written (``0.10`` stays
``0.10`` where text is wanted).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from listings.spec.errors import Loc, SpecProblem

MAX_CHARACTERS = 256 * 1024
MAX_DEPTH = 24
MAX_NODES = 20_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_CONSTRUCTOR = yaml.constructor.SafeConstructor()


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number or truth value with the text it was written as."""

    value: int | float | bool
    text: str


@dataclass(slots=True)
class Document:
    """``marks`` maps a place to its line and column, counted from 1."""

    data: Any = None
    marks: dict[Loc, tuple[int, int]] = field(default_factory=dict)
    problems: list[SpecProblem] = field(default_factory=list)
    nodes: int = 0

    def add_at(self, node: Node, code: str, loc: Loc, **params: str) -> None:
        """A problem at ``loc``, at the line of ``node``."""
        self.problems.append(SpecProblem(code, loc, *_position(node), params))

    def mark(self, loc: Loc) -> tuple[int | None, int | None]:
        """Where ``loc`` stands, or the nearest thing that contains it."""
        for end in range(len(loc), -1, -1):
            if loc[:end] in self.marks:
                return self.marks[loc[:end]]
        return (None, None)

    def add(self, code: str, loc: Loc, **params: str) -> None:
        """A problem at ``loc``, at the line where that stands."""
        line, column = self.mark(loc)
        self.problems.append(SpecProblem(code, loc, line, column, params))


class _TooMuchError(Exception):
    """Stops the walk at once: the rest would only repeat the same finding."""


def _position(node: Node) -> tuple[int, int]:
    return (node.start_mark.line + 1, node.start_mark.column + 1)


def read(text: str) -> Document:
    """``text`` as a Document; whatever is wrong with it as YAML is in its ``problems``."""
    document = Document()
    if len(text) > MAX_CHARACTERS:
        document.add("SPEC-TOO-LARGE", (), size=str(len(text)), limit=str(MAX_CHARACTERS))
        return document
    try:
        _refuse_deep_nesting(text)
        root = yaml.compose(text, Loader=_LOADER)
        if root is None:
            document.add("SPEC-EMPTY", ())
        else:
            document.data = _value(document, root, ())
    except yaml.MarkedYAMLError as error:
        _add_syntax(document, error)
    except yaml.YAMLError as error:
        document.add("SPEC-YAML", (), detail=str(error).splitlines()[0])
    except _TooMuchError as error:
        document.add("SPEC-TOO-COMPLEX", (), detail=str(error))
    if not document.problems and not isinstance(document.data, dict):
        document.add("SPEC-NOT-MAPPING", ())
    return document


def _refuse_deep_nesting(text: str) -> None:
    """Composing recurses, so depth and count are bounded on the event stream, which does not."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else "?"
            raise _TooMuchError(f"it is nested more than {MAX_DEPTH} levels deep (line {line})")
        if count > 2 * MAX_NODES:
            raise _TooMuchError(f"it has more than {MAX_NODES} values")


def _add_syntax(document: Document, error: yaml.MarkedYAMLError) -> None:
    mark = error.problem_mark or error.context_mark
    detail = " ".join(part for part in (error.context, error.problem) if part) or "not valid YAML"
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    document.problems.append(SpecProblem("SPEC-YAML", (), line, column, {"detail": detail}))


def _value(document: Document, node: Node, loc: Loc) -> Any:
    document.nodes += 1
    if document.nodes > MAX_NODES or len(loc) > MAX_DEPTH:
        # Only aliases get here: without them the event stream was already within both limits.
        raise _TooMuchError("its aliases (*name) expand to more than it may hold")
    document.marks.setdefault(loc, _position(node))
    if isinstance(node, MappingNode):
        return _mapping(document, node, loc)
    if isinstance(node, SequenceNode):
        return [_value(document, item, (*loc, index)) for index, item in enumerate(node.value)]
    assert isinstance(node, ScalarNode)
    return _scalar(document, node, loc)


def _mapping(document: Document, node: MappingNode, loc: Loc) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, ScalarNode):
            document.add_at(key_node, "SPEC-TYPE", loc, expected="text as a key", found="a list or a mapping")
            continue
        if key_node.tag == f"{_TAG}merge":
            detail = "merge keys (<<) are not supported; write the values out"
            document.add_at(key_node, "SPEC-YAML", loc, detail=detail)
            continue
        key, place = key_node.value, (*loc, key_node.value)
        if place in document.marks:
            first = document.marks[place][0]
            document.add_at(key_node, "SPEC-DUPLICATE-KEY", place, key=key, first=str(first))
            continue
        document.marks[place] = _position(key_node)
        value = _value(document, value_node, place)
        if value is not None:  # a key without a value is a key not given
            found[key] = value
    return found


def _scalar(document: Document, node: ScalarNode, loc: Loc) -> Any:
    kind = node.tag.removeprefix(_TAG)
    if kind in {"str", "timestamp"}:
        return node.value
    if kind == "null":
        return None
    try:
        if kind == "int":
            return Scalar(_CONSTRUCTOR.construct_yaml_int(node), node.value)
        if kind == "float":
            return Scalar(_CONSTRUCTOR.construct_yaml_float(node), node.value)
        if kind == "bool":
            return Scalar(_CONSTRUCTOR.construct_yaml_bool(node), node.value)
    except (ValueError, KeyError, ArithmeticError):
        return node.value  # looked like a number and is none: 1_, or thousands of digits
    document.add_at(node, "SPEC-TAG", loc, tag=node.tag.replace(_TAG, "!!"))
    return None
