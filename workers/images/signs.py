"""Signs in a script that it installs packages or calls out while the container runs.

They are told by the text alone, so they warn and never fail: the line may not be reached, and the isolated test knows.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from workers.images.leads import Script

#: Signs told of one script.
MOST = 20


class SignKind(StrEnum):
    INSTALL = "install"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Sign:
    kind: SignKind
    line: int
    text: str


_QUOTE = r"""["',\s]{1,4}"""
_INSTALL = re.compile(
    rf"""(?<![\w./-])(?:
      (?:pip|pip3|pip3\.\d+|uv){_QUOTE}(?:pip{_QUOTE})?install\b
    | (?:apt|apt-get|yum|dnf|microdnf|zypper){_QUOTE}(?:-[\w=:-]+{_QUOTE}){{0,4}}(?:install|update|upgrade)\b
    | apk{_QUOTE}(?:-[\w=:-]+{_QUOTE}){{0,4}}add\b
    | (?:conda|mamba|micromamba){_QUOTE}(?:-[\w=-]+{_QUOTE}){{0,4}}(?:install|create|update)\b
    | npm{_QUOTE}(?:install|ci)\b | yarn{_QUOTE}(?:add|install)\b
    | install\.packages\( | pip\.main\( | cargo{_QUOTE}install\b
    )""",
    re.VERBOSE,
)
#: An installation from files that are already there.
_OFFLINE = re.compile(r"--no-index|--offline|--no-download")
_ELSEWHERE = r"""[rRbBfFuU]{0,2}["'](?:https?|ftp|s3|gs)://(?!localhost|127\.|0\.0\.0\.0|\[::1?\])"""
_SHELL = re.compile(
    r"""(?m)(?:^|[;&|(`]|\b(?:then|do|else|exec|sudo|if|while|until|!)[ \t])[ \t]*(?:
      (?:curl|wget)[ \t][^\n]{0,500} | aws[ \t]+[a-z] | gsutil[ \t] | gcloud[ \t]
    | git[ \t]+(?:-\S+[ \t]+){0,3}(?:clone|pull|fetch|lfs)\b | huggingface-cli[ \t]+(?:download|login)
    | hf[ \t]+(?:download|auth)\b | kaggle[ \t] | wandb[ \t]+login
    )""",
    re.VERBOSE,
)
_LOCAL = re.compile(r"localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\]|\$\{?(?:HOST|HOSTNAME)\b")
_LOCAL_ONLY = re.compile(r"local_files_only\s*=\s*True|source\s*=\s*[\"']local[\"']")
_LITERAL = r"""[rRuU]?["'](?![./~$])"""
_PYTHON = re.compile(
    rf"""\b(?:
      boto3\s*\.\s*(?:client|resource|Session)\s*\( | botocore\.session
    | (?:requests|httpx|session)\s*\.\s*(?:get|post|put|patch|delete|head|request|stream)\s*\(\s*
      (?:"\w+"\s*,\s*)?{_ELSEWHERE}
    | urllib\.request\.(?:urlopen|urlretrieve|Request)\s*\(\s*{_ELSEWHERE}
    | (?:urlopen|urlretrieve)\s*\(\s*{_ELSEWHERE}
    | from_pretrained\s*\(\s*(?:\w+\s*=\s*)?{_LITERAL}
    | (?:pipeline\s*\([^()]{{0,300}}\bmodel\s*=\s*{_LITERAL})
    | (?:SentenceTransformer|CrossEncoder)\s*\(\s*{_LITERAL}
    | (?:snapshot_download|hf_hub_download|cached_download)\s*\(
    | nltk\s*\.\s*download\s*\( | spacy\.cli\.download\s*\( | stanza\.download\s*\(
    | torch\.hub\.(?:load|download_url_to_file|load_state_dict_from_url)\s*\( | load_state_dict_from_url\s*\(
    | hub\.(?:load|KerasLayer)\s*\(\s*{_ELSEWHERE} | get_file\s*\([^()]{{0,300}}{_ELSEWHERE}
    | weights\s*=\s*["'](?:imagenet|DEFAULT|IMAGENET1K_V\d)["'] | pretrained\s*=\s*True
    | gdown\.download\w*\s*\( | wandb\.(?:init|login)\s*\( | sentry_sdk\.init\s*\(
    | mlflow\.set_tracking_uri\s*\(\s*{_ELSEWHERE}
    | kagglehub\.\w+\s*\( | fsspec\.open\s*\(\s*{_ELSEWHERE} | pd\.read_\w+\s*\(\s*{_ELSEWHERE}
    )""",
    re.VERBOSE,
)


def signs(script: Script) -> list[Sign]:
    """What ``script`` shows, in the order of its lines."""
    text = _python_code(script.text) if script.is_python else _without_comments(script.text)
    found = [_sign(SignKind.INSTALL, script, text, hit) for hit in _few(_INSTALL, text)
             if not _OFFLINE.search(_line_at(text, hit))]  # fmt: skip
    if script.is_python:
        found += [_sign(SignKind.NETWORK, script, text, hit) for hit in _few(_PYTHON, text)
                  if not _LOCAL_ONLY.search(text[hit.start() : hit.end() + 300].partition("\n\n")[0])]  # fmt: skip
    else:
        found += [_sign(SignKind.NETWORK, script, text, hit) for hit in _few(_SHELL, text)
                  if not _LOCAL.search(_line_at(text, hit))]  # fmt: skip
    return sorted(found, key=lambda sign: sign.line)[:MOST]


def _few(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    for number, hit in enumerate(pattern.finditer(text)):
        if number >= MOST:
            return
        yield hit


def _sign(kind: SignKind, script: Script, text: str, hit: re.Match[str]) -> Sign:
    start = hit.start() + (len(hit[0]) - len(hit[0].lstrip()))
    number = text.count("\n", 0, start) + 1
    return Sign(kind, number, script.text.split("\n")[number - 1].strip())


def _line_at(text: str, hit: re.Match[str]) -> str:
    start = text.rfind("\n", 0, hit.start() + 1) + 1
    end = text.find("\n", hit.end())
    return text[start : end if end >= 0 else len(text)]


def _without_comments(text: str) -> str:
    """A shell script (or one like it) with its comment lines blanked; the lines stay where they are."""
    return re.sub(r"(?m)^[ \t]*#[^\n]*|(?<=[ \t])#[ \t][^\n]*", "", text)


def _python_code(text: str) -> str:
    """Python without comments and without texts that stand alone, as docstrings do; the lines stay where they are."""
    lines = text.split("\n")
    try:
        for token, stands_alone in _tokens(text):
            if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and stands_alone):
                _blank(lines, token.start, token.end)
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
        return _without_comments(text)
    return "\n".join(lines)


def _tokens(text: str) -> Iterator[tuple[tokenize.TokenInfo, bool]]:
    """Each token, and whether it begins a statement."""
    before = tokenize.NEWLINE
    quiet = (tokenize.NL, tokenize.COMMENT)
    for token in tokenize.generate_tokens(io.StringIO(text, newline="\n").readline):
        yield token, before in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
        if token.type not in quiet:
            before = token.type


def _blank(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> None:
    for number in range(start[0] - 1, min(end[0], len(lines))):
        line = lines[number]
        first = start[1] if number == start[0] - 1 else 0
        last = end[1] if number == end[0] - 1 else len(line)
        lines[number] = line[:first] + " " * (last - first) + line[last:]
