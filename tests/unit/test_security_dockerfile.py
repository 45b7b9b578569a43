"""Lines that the engine reads otherwise than they look: each once brought another team's image, or the host's own
services, into a build. Verified against Docker Engine 20.10's classic builder."""

from __future__ import annotations

import pytest

from listings.problems import ProblemError
from workers.building.dockerfile import ImageRules, check, check_trigger, parse

RULES = ImageRules(["127.0.0.1:5000"])
ID = "b4ef3584a646"


def code_of(text: str) -> str:
    with pytest.raises(ProblemError) as caught:
        check(parse(text.encode()), {}, RULES)
    return caught.value.code


@pytest.mark.parametrize(
    "text",
    [
        f"COPY --fr\\om={ID} /a /b",
        f'COPY --fr""om={ID} /a /b',
        f"COPY --fr''om={ID} /a /b",
        f"COPY --chown=1:1 --fr\\om={ID} /a /b",
        f"ONBUILD COPY --fr\\om={ID} /a /b",
        f"COPY\x0b--from={ID} /a /b",
        f"COPY\x0c--from={ID} /a /b",
        f"COPY\r--from={ID} /a /b",
        f"RUN echo \\\r\r\nCOPY --from={ID} /a /b",
        f"RUN echo \\\n\x1c\nCOPY --from={ID} /a /b",
        f"RUN echo \\\n\x1c#\nCOPY --from={ID} /a /b",
        f"ONBU\u0130LD COPY --from={ID} /a /b",
        "ADD\x0bhttp://169.254.169.254/ /x",
        "FROM --plat\\form=linux/amd64 b:1",
    ],
)
def test_a_line_that_the_engine_reads_otherwise_is_refused(text: str) -> None:
    assert code_of(f"FROM a:1\n{text}\n") == "BUILD-LINE-UNREADABLE"


@pytest.mark.parametrize(
    "text",
    [
        f"FROM a:1 AS {ID}\nCOPY --from={ID} /a /b\n",
        f"FROM x:1 AS one\nFROM a:1 AS {ID}\nCOPY --from={ID} /a /b\n",
        "FROM a:1\nCOPY --from=12345678901234567890 /a /b\n",
    ],
)
def test_a_stage_is_none_to_itself_and_an_id_of_digits_is_no_stage(text: str) -> None:
    assert code_of(text) == "BUILD-FROM-ID"


@pytest.mark.parametrize(
    "text",
    [
        f'ARG "A"={ID}\nFROM ${{A:-a:1}}\n',
        f'ARG A={ID} Z="q A=a:1 r"\nFROM $A\n',
        f'ARG A={ID}\nARG Z="q A=a:1 r"\nFROM $A\n',
    ],
)
def test_an_image_from_arguments_that_cannot_be_read_is_refused(text: str) -> None:
    assert code_of(text) == "BUILD-FROM-UNREADABLE"


@pytest.mark.parametrize(
    "text",
    [
        'ADD ["http://127.0.0.1:1/","/x"] more',
        'ADD --chown=[0:0 ["http://127.0.0.1:1/", "/x"]',
        'ADD --chown=1:1 ["\\u0068ttp://127.0.0.1:1/","/x"] more',
        "ADD [NaN] http://127.0.0.1:1/ /x",
    ],
)
def test_a_url_in_a_list_that_only_the_engine_can_read_is_refused(text: str) -> None:
    assert code_of(f"FROM a:1\n{text}\n") == "BUILD-ADD-URL"


def test_a_deeply_nested_list_is_no_error_of_ours() -> None:
    assert list(check(parse(("FROM a:1\nADD " + "[" * 50_000 + " /x\n").encode()), {}, RULES)) == ["a:1"]


@pytest.mark.parametrize(
    "text", [f"# escape=`\nCOPY --fr`\nom={ID} /a /b", f"COPY --fr\\om={ID} /a /b", f"COPY\x0b--from={ID} /a /b"]
)
def test_a_base_images_trigger_meets_the_same_rules(text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        check_trigger(text, "base:1", RULES)
    assert caught.value.code == "BUILD-LINE-UNREADABLE"


def test_ordinary_quotes_line_ends_and_stages_stay_allowed() -> None:
    text = (
        'ARG V="3.11"\r\nARG W=\'x\'\r\nFROM a:$V AS one\r\nRUN echo "a b" \\\r\n  c\r\n'
        'FROM b:1 AS two\r\nCOPY --from=one --chown=$U /a "/b c"\r\nCOPY --from=0 /a /b\r\nADD ["a b", "/c"]\r\n'
    )
    assert list(check(parse(text.encode()), {}, RULES)) == ["a:3.11", "b:1"]
