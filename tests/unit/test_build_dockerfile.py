"""What a Dockerfile may ask for: names of images, BuildKit's syntax, URLs, secrets."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from listings.problems import ProblemError
from workers.building.dockerfile import ImageRules, check, check_trigger, parse, refuse_secret_args

RULES = ImageRules(["127.0.0.1:5000", "registry:5000"])


def problem(text: str, rules: ImageRules = RULES, **args: str) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        check(parse(text.encode()), args, rules)
    return caught.value


def images(text: str, **args: str) -> list[str]:
    return list(check(parse(text.encode()), args, RULES))


def test_lines_continue_comments_vanish_and_steps_keep_their_line() -> None:
    text = "# a comment\nFROM a:1\nRUN one && \\\n  # between\n\n  two \\  \n  three\nENV X=1\r\n"
    found = parse(text.encode()).instructions
    assert [(i.line, i.keyword) for i in found] == [(2, "FROM"), (3, "RUN"), (8, "ENV")]
    assert found[1].words == ["one", "&&", "two", "three"]
    assert parse(text.encode()).step(3) == found[2]
    assert parse(text.encode()).step(4) is None


def test_the_escape_directive_changes_what_continues_a_line() -> None:
    found = parse(b"# escape=`\nFROM a:1\nRUN dir C:\\\nRUN two `\n  more\n").instructions
    assert [i.text for i in found[1:]] == ["dir C:\\", "two   more"]


def test_a_directive_after_a_comment_is_a_comment() -> None:
    found = parse(b"# hello\n# escape=`\nFROM a:1\nRUN one \\\n two\n").instructions
    assert len(found) == 2


def test_a_syntax_line_is_remembered_and_refused_by_nobody() -> None:
    parsed = parse(b"# syntax=docker/dockerfile:1\nFROM python:3.11\n")
    assert parsed.syntax == "docker/dockerfile:1"
    assert list(check(parsed, {}, RULES)) == ["python:3.11"]


@pytest.mark.parametrize(
    "name",
    [
        "127.0.0.1:5000/staging/aaaa:v",
        "127.0.0.1:5000/staging/aaaa@sha256:" + "a" * 64,
        "REGISTRY:5000/staging/aaaa",
        "localhost:5000/x",
        "127.1:5000/x",
        "127.0.0.2:5000/x",
        "0.0.0.0:5000/x",
    ],
)
@pytest.mark.parametrize(
    "shape",
    [
        "FROM {}\n",
        "FROM --platform=linux/amd64 {} AS x\n",
        "from \\\n  {}\n",
        "ARG B={}\nFROM $B\n",
        "ARG B=x\nARG C=${{B:+{}}}\nFROM ${{C}}\n",
        "FROM ${{UNSET:-{}}}\n",
        "FROM ok:1\nCOPY --from={} /a /b\n",
        "FROM ok:1\nONBUILD COPY --chown=1:1 --from={} /a /b\n",
    ],
)
def test_the_staging_registry_is_refused_however_it_is_named(name: str, shape: str) -> None:
    assert problem(shape.format(name)).code == "BUILD-FROM-STAGING"


def test_a_build_argument_cannot_bring_the_staging_registry_in() -> None:
    error = problem("ARG B=python:3.11\nFROM $B\n", B="registry:5000/staging/x:v")
    assert error.code == "BUILD-FROM-STAGING"
    assert error.report.params["line"] == "2"
    assert error.report.evidence[0].label == "Dockerfile, line 2"


@pytest.mark.parametrize(
    "line",
    [
        'FROM "127.0.0.1:5000/x"',
        "FROM 127.0.0.1\\:5000/x",
        "FROM 127.0.0.1:5000'/x'",
        "ARG B=\"12'7\nFROM $B",
        "ARG A=x\nFROM ${A#y}",
        "ARG A=x\nFROM ${A/x/127}",
        "FROM ${A:-${B:-c}}",
        "FROM $UNSET",
        "FROM [::1]:5000/x",
        "ARG B=\\$X\nFROM $B",
    ],
)
def test_a_name_that_is_not_plain_is_refused(line: str) -> None:
    assert problem(f"{line}\n").code == "BUILD-FROM-UNREADABLE"


@pytest.mark.parametrize("name", ["deadbeef", "113f75573866", "sha256:" + "0f" * 32, "abc", "DEADBEEF"])
def test_a_name_that_the_engine_reads_as_an_image_id_is_refused(name: str) -> None:
    assert problem(f"FROM {name}\n").code == "BUILD-FROM-ID"
    assert problem(f"FROM a:1\nCOPY --from={name} / /\n").code == "BUILD-FROM-ID"


@pytest.mark.parametrize(
    "name", ["10.0.0.5/x:1", "192.168.1.2:5001/x:1", "localhost/x:1", "169.254.169.254/x", "127.0.0.1:9/x"]
)
def test_a_registry_at_a_private_address_is_refused_unless_listed(name: str) -> None:
    assert problem(f"FROM {name}\n").code == "BUILD-FROM-PRIVATE"
    listed = ImageRules([], [IPv4Network("10.0.0.0/24")])
    assert list(check(parse(b"FROM 10.0.0.5/x:1\n"), {}, listed)) == ["10.0.0.5/x:1"]


def test_images_that_are_needed_are_named_once_and_stages_are_not() -> None:
    text = (
        "ARG V=3.11\nFROM python:${V}-slim AS Base\nFROM base AS build\nFROM scratch\nCOPY --from=build / /\n"
        "COPY --from=0 / /\nCOPY --from=busybox:1 / /\nCOPY --from=BASE / /\nFROM python:3.11-slim\n"
    )
    assert images(text) == ["python:3.11-slim", "busybox:1"]
    assert images(text, V="3.12")[0] == "python:3.12-slim"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("RUN --mount=type=cache,target=/c pip install x", "--mount"),
        ("RUN --network=none true", "--network"),
        ("COPY --link a b", "--link"),
        ("COPY --chmod=755 a b", "--chmod"),
        ("ADD --checksum=sha256:00 a b", "--checksum"),
        ("RUN <<EOF", "<<EOF"),
        ("RUN python3 - <<'PY'", "<<'PY'"),
        ("COPY <<-end /x", "<<-end"),
    ],
)
def test_what_only_buildkit_can_do_is_named_with_its_line(line: str, what: str) -> None:
    error = problem(f"FROM a:1\n{line}\n")
    assert error.code == "BUILD-NEEDS-BUILDKIT"
    assert error.report.params == {"what": what, "line": "2"}


@pytest.mark.parametrize(
    "line", ["RUN echo $((1<<4))", "RUN cat <<< word", "RUN pip --mount x", "COPY --chown=1:1 a b"]
)
def test_what_only_looks_like_buildkit_is_left_alone(line: str) -> None:
    assert images(f"FROM a:1\n{line}\n") == ["a:1"]


@pytest.mark.parametrize(
    "line",
    [
        "ADD http://169.254.169.254/latest /x",
        "ADD https://example.com/a.tgz /x",
        "ADD a http://127.0.0.1:8000/ /x/",
        'ADD ["http://127.0.0.1/", "/x"]',
        'ADD --chown=1:1 ["$U", "/x"]',
        "ADD $U /x",
        "ADD ht${U} /x",
        'ADD "http"://a /x',
        "ONBUILD ADD http://127.0.0.1/ /x",
        "add http://127.0.0.1/ /x",
    ],
)
def test_no_url_is_fetched_by_the_engine(line: str) -> None:
    assert problem(f"FROM a:1\n{line}\n").code == "BUILD-ADD-URL"


@pytest.mark.parametrize(
    "line", ["ADD model-$V.tar.gz /x", "ADD a b /c/", "COPY $U /x", 'ADD ["a b", "/c"]', "ADD http /x"]
)
def test_files_of_the_source_are_added(line: str) -> None:
    assert images(f"FROM a:1\n{line}\n") == ["a:1"]


def test_a_trigger_of_a_base_image_is_held_to_the_same_rules() -> None:
    with pytest.raises(ProblemError, match="BUILD-ADD-URL"):
        check_trigger("ADD http://169.254.169.254/ /x", "evil/base:1", RULES)
    with pytest.raises(ProblemError, match="BUILD-FROM-ID"):
        check_trigger("COPY --from=113f75573866 / /x", "evil/base:1", RULES)
    check_trigger("RUN pip install .", "good/base:1", RULES)


def test_a_dockerfile_without_from_is_none() -> None:
    assert problem("# nothing\nARG X=1\n").code == "BUILD-EMPTY-DOCKERFILE"


@pytest.mark.parametrize(
    "name",
    ["TOKEN", "GITHUB_TOKEN", "api_key", "ApiKey", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "npmToken", "PYPI_PWD"],
)
def test_arguments_that_look_like_secrets_are_refused(name: str) -> None:
    with pytest.raises(ProblemError, match="BUILD-SECRET-ARG"):
        refuse_secret_args({name: "x"})


def test_arguments_that_hold_a_secret_under_a_harmless_name_are_refused() -> None:
    with pytest.raises(ProblemError, match="BUILD-SECRET-ARG") as caught:
        refuse_secret_args({"VERSION": "AKIAABCDEFGHIJKLMNOP"})
    assert "AKIA" not in str(caught.value.report)


@pytest.mark.parametrize("name", ["TOKENIZER_VERSION", "PYTHON_VERSION", "KEYBOARD", "AUTHOR", "PATH_PREFIX", "MONKEY"])
def test_harmless_arguments_pass(name: str) -> None:
    refuse_secret_args({name: "1"})
