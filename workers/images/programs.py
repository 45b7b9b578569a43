"""Which program of an image ``docker run IMAGE train`` would start, and what is handed to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from workers.images.kernel import Place, Refusal, refusal
from workers.images.reader import Image
from workers.images.tree import DEFAULT_PATH, Node

MOST_FOLDERS = 1000
INITS = frozenset({"tini", "tini-static", "dumb-init", "docker-init", "catatonit"})
SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh"})
#: Options of those init programs that are followed by a value of their own.
_WITH_VALUE = frozenset({"-p", "-e", "-r", "--rewrite"})
#: Programs whose first argument that is no option is a file to run, and their options that take the next word.
_RUNNERS = re.compile(r"(?:python|pypy)[0-9.]*|sh|bash|dash|ash|zsh|Rscript|node|nodejs|perl|ruby")
_WITH_NEXT_WORD = {
    "python": re.compile("-[A-Za-z]*[WX]"), "node": re.compile("-r|--require"), "ruby": re.compile("-[Ir]"),
    "perl": re.compile("-I"), "sh": re.compile("[-+][A-Za-z]*[oO]|--rcfile|--init-file"),
}  # fmt: skip
#: Options after which there is no such file.
_OTHER_USE = {
    "python": re.compile(r"-[A-Za-z]*[cmhV]|--?(?:version|help)|-"),
    "sh": re.compile(r"-[A-Za-z]*[cs][A-Za-z]*|--?(?:version|help)|-"),
    "": re.compile(r"-[A-Za-z]*[eEphvi]|--?(?:version|help|eval|print|interactive|check)|-"),
}
#: Text of a shell command that is nothing but plain words.
_PLAIN = re.compile(r"[\w./@:,+=-]+(?: [\w./@:,+=-]+)*")


@dataclass(frozen=True, slots=True)
class Program:
    """``name`` as ENTRYPOINT or SageMaker gives it; ``node`` what it resolves to, or None. ``by_library``: an init
    program starts it, which hands what is no program to a shell. ``arguments`` follow it."""

    name: str
    node: Node | None
    by_library: bool = False
    arguments: tuple[str, ...] = ()

    @property
    def path(self) -> str | None:
        """The file in the image, with every link followed."""
        return f"/{self.node.entry.path}" if self.node is not None else None


@dataclass(frozen=True, slots=True)
class ShellForm:
    """``shell`` as ENTRYPOINT gives it; ``text`` is the command that it runs, empty where there is none."""

    shell: str
    text: str


def search_path(image: Image) -> str:
    """PATH as the container has it; no honest one has a thousand folders."""
    return ":".join(image.config.env.get("PATH", DEFAULT_PATH).split(":", MOST_FOLDERS)[:MOST_FOLDERS])


def place_of(image: Image) -> Place:
    return Place(image.tree, search_path(image), image.config.working_dir)


def find(image: Image, name: str) -> Program:
    return Program(name, place_of(image).which(name))


def entrypoint(image: Image) -> Program | None:
    """The first word of ENTRYPOINT, or None where the image has none."""
    words = image.config.entrypoint
    return find(image, words[0]) if words else None


def is_init(image: Image) -> bool:
    words = image.config.entrypoint or [""]
    return PurePosixPath(words[0]).name in INITS


def shell_form(image: Image) -> ShellForm | None:
    """How a shell runs ENTRYPOINT, if it was written as one string (or as the list that this comes to)."""
    return shell_command(image.config.entrypoint or [])


def shell_command(words: Sequence[str]) -> ShellForm | None:
    """What ``words`` have a shell run as text: ``/bin/sh -c TEXT``, with any options that a SHELL line may add, as in
    ``bash -euo pipefail -c TEXT`` or ``bash -lc TEXT``. None where a script is run, or no shell.

    ``c`` is one option among others (bash(1), sh(1)): the text is the first word that is no option.
    """
    if not words or PurePosixPath(words[0]).name not in SHELLS:
        return None
    rest, is_text = list(words[1:]), False
    while rest and rest[0][:1] in ("-", "+"):
        option = rest.pop(0)
        if option in ("-", "--"):
            break
        single = not option.startswith("--")
        is_text = is_text or (single and option.startswith("-") and "c" in option)
        # Each o takes a word; the two long options do, too.
        values = len(re.findall("[oO]", option)) if single else option in ("--rcfile", "--init-file")
        del rest[:values]
    return ShellForm(words[0], rest[0] if rest else "") if is_text else None


def started_by(image: Image, argument: str) -> Program:
    """The program that ``argument`` (``train`` or ``serve``) starts: ENTRYPOINT's, else the one of that name.

    An init program is looked through: it starts the first word after its own options.
    """
    words = [*(image.config.entrypoint or ()), argument]
    through_init = is_init(image)
    if through_init:
        words = _after_init(words)
    return Program(words[0], place_of(image).which(words[0]), through_init, tuple(words[1:]))


def _after_init(words: list[str]) -> list[str]:
    rest = words[1:]
    while len(rest) > 1 and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--":
            break
        if option in _WITH_VALUE and len(rest) > 1:
            rest.pop(0)
    return rest


def refused(image: Image, program: Program) -> Refusal | None:
    """Why the kernel would not start ``program``, or None where it would or there is none."""
    if program.node is None:
        return None
    return refusal(place_of(image), program.node, by_library=program.by_library)


def file_to_run(program: Program) -> str | None:
    """The script that an interpreter is told to run (``python /opt/main.py``), as it is written, or None."""
    name = PurePosixPath(program.name).name
    # A script that is called python or sh does what it likes with its arguments.
    if not _RUNNERS.fullmatch(name) or program.node is None or not program.node.entry.head.startswith("elf:"):
        return None
    family = "python" if name.startswith(("python", "pypy")) else "sh" if name in SHELLS else name.removesuffix("js")
    with_next, other_use = _WITH_NEXT_WORD.get(family), _OTHER_USE.get(family, _OTHER_USE[""])
    # The last word is what SageMaker adds. ``python train`` means it as a file, and so does the check.
    words = list(program.arguments)
    while words:
        word = words.pop(0)
        if other_use.fullmatch(word):
            return None
        if with_next is not None and with_next.fullmatch(word):
            del words[:1]
        elif not word.startswith(("-", "+")):
            return word
    return None


def run_file(image: Image, program: Program, name: str) -> Node | None:
    """What an interpreter takes for the file ``name``: from the working directory, and in its own way elsewhere."""
    tree, folder = image.tree, image.config.working_dir
    found = tree.resolve(name, folder)
    if found is not None or program.node is None:
        return found
    interpreter = PurePosixPath(program.node.entry.path).name
    if interpreter == "bash" and "/" not in name:
        # Executable or not, along PATH.
        return next((node for _, node in tree.candidates(name, search_path(image), folder) if node is not None), None)
    if interpreter.startswith("node"):
        ends = (".js", ".cjs", ".mjs", ".json")
        return next((node for end in ends if (node := tree.resolve(name + end, folder)) is not None), None)
    return None


def shell_program(image: Image) -> str | None:
    """The program that a shell-form ENTRYPOINT starts, where that is a path and the command is of plain words only."""
    form = shell_form(image)
    if form is None:
        return None
    text = form.text.strip()
    if not _PLAIN.fullmatch(text):
        return None
    words = text.removeprefix("exec ").split()
    return words[0] if "/" in words[0] and "=" not in words[0] else None
