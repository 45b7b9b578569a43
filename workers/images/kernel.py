"""Whether Linux would start an executable file of an image: execve(2), scripts' interpreters and loaders followed."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from workers.images import heads
from workers.images.tree import Node, Tree

#: A script's interpreter may be a script itself, this often (fs/exec.c, ELOOP).
MAX_SCRIPTS = 5
#: Followed through env, where each start counts anew.
MAX_STARTS = 16
_VARIABLE = re.compile(r"[A-Za-z_]\w*=")


@dataclass(frozen=True, slots=True)
class Place:
    """What the search for programs goes by: the image's tree, its PATH, and the working directory."""

    tree: Tree
    path: str
    workdir: str

    def which(self, name: str) -> Node | None:
        return self.tree.which(name, self.path, self.workdir)


@dataclass(frozen=True, slots=True)
class Refusal:
    """``node`` is the file that cannot be started; ``reason`` goes on after its path."""

    node: Node
    reason: str


@dataclass(frozen=True, slots=True)
class _Next:
    """What a file leads to: another file, a reason why not, or neither where it is a program or nobody can tell."""

    node: Node | None = None
    reason: str = ""
    new_start: bool = False
    search: str | None = None


def refusal(place: Place, node: Node, *, by_library: bool = False) -> Refusal | None:
    """Why ``node`` cannot be started, or None.

    ``by_library``: started through execvp(3), which hands what is no program to a shell.
    """
    scripts = 0
    for _ in range(MAX_STARTS):
        following = _follow(place, node, by_library)
        if following.reason:
            return Refusal(node, following.reason)
        if following.node is None:
            return None
        scripts = 0 if following.new_start else scripts + 1
        if scripts > MAX_SCRIPTS:
            return Refusal(node, f"more than {MAX_SCRIPTS} scripts name each other as interpreters")
        by_library = following.new_start
        node = following.node
        if following.search is not None:
            place = Place(place.tree, following.search, place.workdir)
    return None


def _follow(place: Place, node: Node, by_library: bool) -> _Next:
    head = node.entry.head
    elf = heads.program(head)
    if elf is not None:
        return _Next(reason=_program_refused(place, elf))
    if head.startswith("#!"):
        return _script(place, head)
    if head.startswith("cut:"):
        return _cut_script(place, head.removeprefix("cut:"))
    if head == "bom":
        return _Next(reason="a byte order mark stands before its #! line")
    if head == "sparse" or by_library:
        return _Next()  # not looked into; or a shell takes it
    if not node.entry.size:
        return _Next(reason="it is empty")
    return _Next(reason="it is neither an ELF binary nor does it begin with #!")


def _program_refused(place: Place, elf: heads.Program) -> str:
    if elf.machine not in heads.RUNNABLE:
        return f"it is a binary for {heads.MACHINES.get(elf.machine, f'machine {elf.machine}')}, not for x86-64"
    if elf.reason or not elf.loader:
        return elf.reason
    found = place.tree.resolve(elf.loader, place.workdir)
    if found is not None and found.entry.executable:
        return ""
    kind = ""
    if "ld-musl" in elf.loader:
        kind = ": it was built for musl, as in Alpine, and this image has another C library"
    elif "ld-linux" in elf.loader:
        kind = ": it was built for glibc, as in Debian, and this image has another C library or none"
    return f"its loader {elf.loader} is not in the image, or not executable{kind}"


def _script(place: Place, head: str) -> _Next:
    if head.endswith("\r"):
        return _Next(reason="its first line ends in a carriage return (Windows line ends)")
    interpreter, argument = _split(head)
    if not interpreter:
        return _Next(reason="its #! line names no interpreter")
    # A path as it stands: neither Linux nor the shell looks along PATH for it.
    found = place.tree.resolve(interpreter, place.workdir)
    if found is None or not found.entry.executable:
        return _Next(reason=f"its interpreter {interpreter} is not in the image, or not executable")
    if PurePosixPath(interpreter).name == "env":
        return _through_env(place, found, argument)
    return _Next(found)


def _cut_script(place: Place, head: str) -> _Next:
    """A first line longer than Linux reads: refused where the interpreter's own name is cut, else its options are."""
    interpreter, argument = _split(head)
    if not argument and not head.endswith((" ", "\t")):
        return _Next(reason=f"its first line is longer than the {heads.SCRIPT_BYTES} bytes that Linux reads")
    found = place.tree.resolve(interpreter, place.workdir)
    if found is None or not found.entry.executable:
        return _Next(reason=f"its interpreter {interpreter} is not in the image, or not executable")
    return _Next()


def _split(head: str) -> tuple[str, str]:
    """Interpreter and the rest of the line, which is handed over as one argument."""
    words = re.split(r"[ \t]+", head[2:].strip(" \t"), maxsplit=1)
    return words[0], words[1] if len(words) > 1 else ""


def _through_env(place: Place, env: Node, argument: str) -> _Next:
    """``#!/usr/bin/env``: the whole rest of the line reaches env as one argument, unless -S splits it."""
    busybox = PurePosixPath(env.entry.path).name.startswith("busybox")
    split = re.match(r"-[iv0]*S(.*)|--split-string[= ](.*)", argument)
    if split and busybox:
        return _Next(reason="its first line gives env the option -S, which BusyBox's env does not know")
    if split:
        return _split_by_env(place, split[1] if split[1] is not None else split[2])
    if not argument or argument.startswith("-") or _VARIABLE.match(argument):
        return _Next(reason="its first line starts env without a program")
    found = place.which(argument)
    if found is not None:
        return _Next(found, new_start=True)
    if " " in argument or "\t" in argument:
        program = f"“{argument}”, blanks included; “env -S” would split it"
        return _Next(reason=f"its first line makes env look for a program called {program}")
    return _Next(reason=f"its interpreter {argument} is not on the image's PATH")


def _split_by_env(place: Place, text: str) -> _Next:
    try:
        words = shlex.split(text)
    except ValueError:
        return _Next(reason="the quotes in its first line do not match")
    if "$" in text or "\\" in text:
        return _Next()  # env's own escapes and variables: not judged
    search: str | None = None
    while words:
        word = words.pop(0)
        if word in ("-u", "--unset", "-C", "--chdir") and words:
            words.pop(0)
        elif word.startswith("PATH="):
            search = word.removeprefix("PATH=")
        elif word in ("-i", "-", "--ignore-environment"):
            search = "/bin:/usr/bin"
        elif not word.startswith("-") and not _VARIABLE.match(word):
            within = place if search is None else Place(place.tree, search, place.workdir)
            found = within.which(word)
            if found is None:
                return _Next(reason=f"its interpreter {word} is not on the image's PATH")
            return _Next(found, new_start=True, search=search)
    return _Next(reason="its first line starts env without a program")
