"""Lines, numbers, clipping, colours and credentials in logs."""

from __future__ import annotations

import base64
import time

import pytest

from workers.logs.lines import LINE_LIMIT, PARTIAL_LIMIT, LineSplitter, clip, tidy
from workers.logs.redact import MASK, Redactor


def cut(*chunks: bytes) -> list[str]:
    splitter = LineSplitter()
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return [text for text, _ in lines + splitter.finish()]


def test_lines_are_the_same_however_the_stream_is_cut() -> None:
    text = "eins\r\nzwei ✓ ü\n\ndrei\rdrei 50%\rdrei 100%\nvier".encode()
    whole = cut(text)
    assert whole == ["eins", "zwei ✓ ü", "", "drei 100%", "vier"]
    for at in range(len(text)):
        assert cut(text[:at], text[at:]) == whole
    assert cut(*(bytes([byte]) for byte in text)) == whole


def test_a_progress_bar_leaves_its_last_state_even_when_it_clears_the_line() -> None:
    assert cut(b"10%\r90%\r      \r\n") == ["90%"]


def test_an_endless_line_is_held_within_bounds_and_says_what_was_lost() -> None:
    splitter = LineSplitter()
    for _ in range(100):
        assert splitter.feed(b"x" * 10_000) == []
        assert len(splitter._partial) <= PARTIAL_LIMIT
    (text, lost), (after, nothing) = splitter.feed(b"\nnext\n")
    assert len(text) + lost == 1_000_000
    assert (after, nothing) == ("next", 0)
    shown = clip(text, lost)
    assert shown == "x" * LINE_LIMIT + f" … [{1_000_000 - LINE_LIMIT} more characters clipped]"


def test_an_endless_progress_bar_keeps_what_would_be_seen() -> None:
    chunks = [f"\r{n:07d} of many".encode() * 50 for n in range(2000)]
    assert cut(*chunks, b"\n") == ["0001999 of many"]


def test_bytes_that_are_no_utf8_are_replaced_not_lost() -> None:
    assert cut(b"caf\xe9 \xff\xfe ok\n") == ["caf\ufffd \ufffd\ufffd ok"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        ("\x1b[2K\x1b[1Ga\x1b[?25l\x1b[3Ab", "ab"),
        ("\x1b]0;title\x07x\x1b]8;;http://x\x1b\\y\x1b]8;;\x1b\\", "xy"),
        ("a\x00b\x07c\td\x7fe", "abc\tde"),
        ("\x1b(Bplain\x1b", "plain"),
        ("lone \ud800 surrogate", "lone ? surrogate"),
        ("two\u2028lines", "twolines"),
    ],
)
def test_only_colours_and_tabs_survive_of_control_characters(given: str, kept: str) -> None:
    assert tidy(given) == kept


@pytest.mark.parametrize(
    ("line", "gone"),
    [
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
        ('{"SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}', "wJalrXUtnFEMI"),
        ("AWS_SESSION_TOKEN=IQoJb3JpZ2luX2VjEAoaCXVzLWVhc3QtMSJHMEUCIQ", "IQoJb3JpZ2lu"),
        ("GET /x?X-Amz-Signature=0123456789abcdef0123456789abcdef&y=1", "0123456789abcdef"),
        ("Authorization: Bearer abc.def-ghi_jkl012", "abc.def"),
        ("authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpw"),
        ("cloning https://alice:hunter2@code.example/x.git", "hunter2"),
        ("cloning https://ghtokenghtokenghtoken@code.example/x.git", "ghtoken"),
        ("redis://:pa55word@cache:6379/0", "pa55word"),
        ("using ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_0123"),
    ],
)
def test_shapes_of_credentials_are_masked(line: str, gone: str) -> None:
    cleaned = Redactor().clean(line)
    assert gone not in cleaned
    assert MASK in cleaned


#: Parts of what the redactor looks for, each of which begins a search that fails.
FRAGMENTS = (
    "a.", "a+", "a:", ":a", "://", "a://", "a://b:", "https://", "https://a", "eyJ-", "eyJ.", "eyJaaaaaaaa.", "AKIA",
    "ghp_", "github_pat_", "glpat-", "xoxb-", "sk-", "pypi-", "secretaccesskey", "session_token ", "x-amz-credential= ",
    "basic\t", "bearer ", "-----BEGIN ", "-----END PRIVATE KEY", "\x1b[0;", "\x1b]", "\x1bP", " ", "=", "a",
)  # fmt: skip
ENDS = ("", " ://@", " eyJ bearer secret token x-amz A ://@ \x1b[1m")


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_long_line_of_repeated_fragments_is_cleaned_at_once(fragment: str) -> None:
    """A fortieth of a second each; where the time grows with the square of the length, up to a minute and a half."""
    for end in ENDS:
        line = fragment * (PARTIAL_LIMIT // len(fragment)) + end
        began = time.monotonic()
        Redactor(["hunter2hunter2"]).clean(tidy(line))
        assert time.monotonic() - began < 1, end


def test_a_line_that_nearly_is_a_long_secret_everywhere_is_cleaned_at_once() -> None:
    redactor = Redactor(["\n".join("a" * 2000 + f"b{number}" for number in range(20))])
    began = time.monotonic()
    assert redactor.clean("a" * PARTIAL_LIMIT + "b7") == "a" * (PARTIAL_LIMIT - 2000) + MASK
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("before", ["a." * 8000, "eyJ-" * 4000, "x" * 16000, "a://" * 4000, "_"])
@pytest.mark.parametrize(
    ("secret", "masked"),
    [
        (" https://alice:hunter2@code.example", f" https://{MASK}:{MASK}@code.example"),
        ("https://ghtokenghtokenghtoken@code.example", f"https://{MASK}@code.example"),
        ("s3+x.y://:pa55word@cache/0", f"s3+x.y://{MASK}:{MASK}@cache/0"),
        (" eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl!", f" {MASK}!"),
        (",a-eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl!", f",a-{MASK}!"),
        (" hunter2hunter2!", f" {MASK}!"),
    ],
)
def test_credentials_behind_a_long_beginning_are_masked(before: str, secret: str, masked: str) -> None:
    assert Redactor(["hunter2hunter2"]).clean(before + secret) == before + masked


@pytest.mark.parametrize(
    "line",
    [
        "Listening at: http://0.0.0.0:8080 (1)",
        "git@code.example:team/x.git and ssh://git@code.example/x.git",
        "Basic checks passed; secret scanning found nothing; token count 512",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "mail alice@example.com about https://example.com/@alice",
    ],
)
def test_ordinary_lines_are_left_alone(line: str) -> None:
    assert Redactor().clean(line) == line


def test_known_secrets_are_masked_as_they_are_quoted_and_encoded() -> None:
    redactor = Redactor(["p@ss/word", "p@ss/word-longer", "abc", ""])
    encoded = base64.b64encode(b"p@ss/word").decode()
    assert redactor.clean(f"a p@ss/word b p%40ss%2Fword c {encoded} d") == f"a {MASK} b {MASK} c {MASK} d".replace(
        f"{MASK} d", f"{MASK} d"
    )
    assert redactor.clean("p@ss/word-longer") == MASK
    assert redactor.clean("abc is too short to be masked") == "abc is too short to be masked"


def test_a_secret_hidden_by_colours_is_masked_and_the_colours_given_up() -> None:
    redactor = Redactor(["hunter2hunter2"])
    assert redactor.clean("\x1b[1mhunter2\x1b[0mhunter2 \x1b[31mred\x1b[0m") == f"{MASK} red"
    assert redactor.clean("\x1b[31mnothing here\x1b[0m") == "\x1b[31mnothing here\x1b[0m"


def test_a_private_key_is_masked_line_by_line_on_its_own_stream() -> None:
    redactor = Redactor()
    block = ["-----BEGIN RSA PRIVATE KEY-----", "MIIEpAIBAAKCAQEA", "-----END RSA PRIVATE KEY-----"]
    cleaned = []
    for line in block:
        cleaned.append(redactor.clean(line, "out"))
        assert redactor.clean("other stream", "err") == "other stream"
    assert cleaned == [MASK] * 3
    assert redactor.clean("after", "out") == "after"


def test_a_multi_line_secret_is_masked_on_each_of_its_lines() -> None:
    redactor = Redactor(["first-line\nsecond-line"])
    assert redactor.clean("x first-line") == f"x {MASK}"
    assert redactor.clean("second-line y") == f"{MASK} y"


def test_secrets_learnt_later_are_masked_from_then_on() -> None:
    redactor = Redactor(["known-before"])
    assert redactor.clean("learnt-later") == "learnt-later"
    redactor.add(["learnt-later"])
    assert redactor.clean("learnt-later known-before") == f"{MASK} {MASK}"
