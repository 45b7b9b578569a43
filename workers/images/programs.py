"""Which program of an image ``docker run IMAGE train`` would start, and whether the kernel would take it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from workers.images.reader import Image
from workers.images.tree import DEFAULT_PATH, Node

INITS = frozenset({"tini", "tini-static", "dumb-init", "docker-init", "catatonit"})
SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh"})
#: Options of those init programs that are followed by a value of their own.
_WITH_VALUE = frozenset({"-p", "-e", "-r", "--rewrite"})
#: e_machine of ELF files (elf(5)) by the name that people know; x86-64 machines run the first two.
MACHINES = {62: "x86-64", 3: "32-bit x86", 183: "ARM64", 40: "32-bit ARM", 21: "POWER", 22: "S/390", 243: "RISC-V"}
RUNNABLE = frozenset({62, 3})


@dataclass(frozen=True, slots=True)
class Program:
    """``name`` as ENTRYPOINT or SageMaker gives it; ``node`` what it resolves to, or None."""

    name: str
    node: Node | None

    @property
    def path(self) -> str | None:
        """The file in the image, with every link followed."""
        return f"/{self.node.entry.path}" if self.node is not None else None


def search_path(image: Image) -> str:
    return image.config.env.get("PATH") or DEFAULT_PATH


def find(image: Image, name: str) -> Program:
    return Program(name, image.tree.which(name, search_path(image), image.config.working_dir))


def entrypoint(image: Image) -> Program | None:
    """The first word of ENTRYPOINT, or None where the image has none."""
    words = image.config.entrypoint
    return find(image, words[0]) if words else None


def is_init(image: Image) -> bool:
    words = image.config.entrypoint or [""]
    return PurePosixPath(words[0]).name in INITS


def shell_form(image: Image) -> str | None:
    """The shell, if ENTRYPOINT was written as one string and so runs as ``/bin/sh -c``."""
    words = image.config.entrypoint or []
    shell = PurePosixPath(words[0]).name if words else ""
    return words[0] if shell in SHELLS and len(words) > 1 and words[1] == "-c" else None


def started_by(image: Image, argument: str) -> Program:
    """The program that ``argument`` (``train`` or ``serve``) starts: ENTRYPOINT's, else the one of that name.

    An init program is looked through: it starts the first word after its own options.
    """
    words = [*(image.config.entrypoint or ()), argument]
    if is_init(image):
        words = _after_init(words)
    return find(image, words[0])


def _after_init(words: list[str]) -> list[str]:
    rest = words[1:]
    while len(rest) > 1 and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--":
            break
        if option in _WITH_VALUE and len(rest) > 1:
            rest.pop(0)
    return rest


def refused_by_kernel(image: Image, node: Node) -> str | None:
    """Why execve(2) would fail for an executable file, or None. ``exec format error`` and its like."""
    head = node.entry.head
    if head.startswith("elf:"):
        machine = int(head.removeprefix("elf:"))
        if machine in RUNNABLE:
            return None
        return f"it is a binary for {MACHINES.get(machine, f'machine {machine}')}, not for x86-64"
    if head.startswith("#!"):
        return _script_refused(image, head)
    if head == "bom":
        return "a byte order mark stands before its #! line"
    if head == "sparse":
        return None  # not looked into
    return "it is neither an ELF binary nor does it begin with #!"


def _script_refused(image: Image, head: str) -> str | None:
    if head.endswith("\r"):
        return "its first line ends in a carriage return (Windows line ends)"
    words = head[2:].split()
    if not words:
        return "its #! line names no interpreter"
    if image.tree.which(words[0], search_path(image), image.config.working_dir) is None:
        return f"its interpreter {words[0]} is not in the image, or not executable"
    through_env = PurePosixPath(words[0]).name == "env" and len(words) == 2 and words[1].replace(".", "").isalnum()
    if through_env and find(image, words[1]).node is None:
        return f"its interpreter {words[1]} is not on the image's PATH"
    return None
