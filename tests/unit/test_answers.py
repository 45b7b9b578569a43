"""Comparing a container's answer with the expected one: JSON, text, arrays, images, and by JSON Schema."""

from __future__ import annotations

import io
import json
import time
import zipfile

import numpy
import pytest

from workers.sandbox.serving import schema
from workers.sandbox.serving.compare import differences, text_diff

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
SCHEMA = {
    "type": "object", "required": ["scores"],
    "properties": {"scores": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}}},
}  # fmt: skip


def npz(when: int = 1990, **arrays: object) -> bytes:
    """As numpy.savez writes it, whose members carry the time of day."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, values in arrays.items():
            member = io.BytesIO()
            numpy.save(member, numpy.asarray(values))
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (when, 1, 1, 0, 0, 0)), member.getvalue())
    return buffer.getvalue()


def test_every_difference_of_two_json_answers_has_its_path() -> None:
    wanted = {"a": [1, 2.0, 3], "b": {"c": "x"}, "d": True}
    found = {"a": [1, 2.5, 4], "b": {"c": "y"}, "e": None}
    assert differences(json.dumps(wanted).encode(), json.dumps(found).encode(), 0.1) == [
        "$.a[1] is 2.5, 2.0 expected", "$.a[2] is 4, 3 expected", "$.b.c is 'y', 'x' expected",
        "$.d is missing", "$.e is not expected",
    ]  # fmt: skip


def test_the_differences_are_bounded() -> None:
    wanted, found = json.dumps([0] * 1000).encode(), json.dumps([1] * 1000).encode()
    assert len(differences(wanted, found, 0)) == 10
    assert differences(b"1" * 400, b"2" * 400, 0)[0].startswith("$ is 2222")
    assert differences(b'{"' + b"a" * 9000 + b'": 1}', b"{}", 0)[0].endswith("… is missing")


def test_texts_are_shown_as_a_unified_diff() -> None:
    assert text_diff(b"a\nb\nc\n", b"a\nB\nc\n").splitlines() == [
        "--- expected", "+++ answer", "@@ -1,3 +1,3 @@", " a", "-b", "+B", " c",
    ]  # fmt: skip
    assert text_diff(PNG, PNG + b"1") == ""
    assert text_diff(b"1\n" * 50_000, b"2\n" * 50_000) == ""


def test_an_image_differs_at_a_byte() -> None:
    assert differences(PNG, PNG, 0) == []
    other = PNG[:50] + b"\xee" + PNG[51:]
    assert differences(PNG, other, 0) == ["the first different byte is number 50: 0xee, 0x2a expected"]
    assert differences(PNG, PNG[:-1], 0) == [
        "207 bytes, 208 expected; the first different byte is number 207: the end, 0xc7 expected"
    ]


def test_archives_of_arrays_are_compared_by_their_values() -> None:
    wanted = npz(x=[1.0, 2.0], y=[[1, 2], [3, 4]])
    assert differences(wanted, npz(2020, x=[1.0, 2.0], y=[[1, 2], [3, 4]]), 0) == []
    assert differences(wanted, npz(x=[1.0, 2.01], y=[[1, 2], [3, 4]]), 0.1) == []
    assert differences(wanted, npz(x=[1.0, 2.5], y=[1, 2, 3, 4]), 0.1) == [
        "x.npy: 1 of 2 values differ; number 1 is 2.5, 2.0 expected",
        "y.npy is <i8 of shape (4,), <i8 of shape (2, 2) expected",
    ]
    assert differences(wanted, npz(x=[1.0, 2.0]), 0) == ["y.npy is missing"]
    assert "cannot be compared" in differences(wanted, wanted[:40], 0)[0]


def test_an_archive_that_grows_is_not_unpacked() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(80 << 20))
    assert "64 MiB" in differences(npz(x=[1]), buffer.getvalue(), 0)[0]


def test_an_answer_satisfies_its_schema_or_breaks_it_somewhere() -> None:
    rules = json.dumps(SCHEMA).encode()
    assert schema.violations(rules, b'{"scores": [0.5, 1]}') == []
    assert schema.violations(rules, b'{"scores": [0.5, 2, "x"]}') == [
        "$.scores[1]: 2 is greater than the maximum of 1", "$.scores[2]: 'x' is not of type 'number'",
    ]  # fmt: skip
    assert schema.violations(rules, b"0.5\n0.7\n") == ["the answer is not JSON"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "not JSON"),
        (b'{"type": "objekt"}', "objekt"),
        (b'{"$ref": "http://127.0.0.1:9/schema.json"}', "outside itself"),
        (b'{"pattern": "("}', r"\("),
    ],
)
def test_a_schema_that_cannot_be_used_is_named(text: bytes, words: str) -> None:
    with pytest.raises(schema.SchemaUnusable, match=words):
        schema.violations(text, b'"x"')


def test_a_pattern_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "TIMEOUT_SECONDS", 4.0)
    begun = time.monotonic()
    with pytest.raises(schema.SchemaUnusable, match="more than 4 s"):
        schema.violations(b'{"pattern": "^(a+)+$"}', json.dumps("a" * 60 + "!").encode())
    assert time.monotonic() - begun < 60
