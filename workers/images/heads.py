"""What an executable file is, told from its first bytes: as much of it as execve(2) looks at.

The answer is one short text, which is kept with the file (``FileEntry.head``):

- ``elf:<machine>:<loader>`` a program; the loader (PT_INTERP) is empty where it needs none or names it too far behind
- ``elf:<machine>:!<reason>`` a file of that format which is no program
- ``#!…`` the first line of a script, a carriage return kept
- ``cut:#!…`` such a line that does not end within the bytes that Linux reads
- ``bom`` a script behind a byte order mark; ``sparse``; or empty for anything else
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workers.images.text import printable

#: Linux reads this much of a file to tell what it is (BINPRM_BUF_SIZE). The last byte is the string's end.
SCRIPT_BYTES = 256
#: A linker puts the program headers and the loader's name right behind the ELF header.
HEAD_BYTES = 4096
X86_64 = 62
#: e_machine of ELF files (elf(5)) by the name that people know; x86-64 machines run the first two.
MACHINES = {
    X86_64: "x86-64", 3: "32-bit x86", 183: "ARM64", 40: "32-bit ARM", 21: "POWER", 22: "S/390", 243: "RISC-V",
    8: "MIPS",
}  # fmt: skip
RUNNABLE = frozenset({X86_64, 3})
_PT_INTERP = 3
_LONGEST_LOADER = 4096


@dataclass(frozen=True, slots=True)
class Program:
    """An ELF file. ``reason`` says why it is no program; ``loader`` is the file that Linux starts in its stead."""

    machine: int
    loader: str = ""
    reason: str = ""


def describe_head(start: bytes) -> str:
    """What a file that begins with ``start`` (HEAD_BYTES, or all of it) is."""
    if start.startswith(b"\x7fELF") and len(start) >= 20:
        found = _elf(start)
        return f"elf:{found.machine}:{'!' + found.reason if found.reason else found.loader}"
    if start.startswith(b"#!"):
        line, end, _ = start[:SCRIPT_BYTES].partition(b"\n")
        cut = not end and len(start) >= SCRIPT_BYTES
        text = line[: SCRIPT_BYTES - 1].partition(b"\0")[0].decode("utf-8", "replace")
        return printable(f"cut:{text}" if cut else text)
    return "bom" if start.startswith(b"\xef\xbb\xbf#!") else ""


def program(head: str) -> Program | None:
    """The ELF file that ``head`` describes, or None where it is none."""
    kind, _, rest = head.partition(":")
    if kind != "elf":
        return None
    machine, _, loader = rest.partition(":")
    return Program(int(machine), reason=loader[1:]) if loader.startswith("!") else Program(int(machine), loader)


def _elf(start: bytes) -> Program:
    wide, order = start[4] == 2, _order(start)
    machine = int.from_bytes(start[18:20], order)
    if machine not in RUNNABLE or order == "big":
        return Program(machine)
    kind = int.from_bytes(start[16:18], "little")
    if kind not in (2, 3):
        return Program(machine, reason="it is an object file, not a program" if kind == 1 else "it is no program")
    if wide is not (machine == X86_64):
        return Program(machine, reason="its word size is not the one of its machine")
    if len(start) < (64 if wide else 52):
        return Program(machine, reason="it is cut off")
    return _with_loader(start, machine, wide)


def _order(start: bytes) -> Literal["big", "little"]:
    return "big" if start[5] == 2 else "little"


def _with_loader(start: bytes, machine: int, wide: bool) -> Program:
    def number(place: int, size: int) -> int:
        return int.from_bytes(start[place : place + size], "little")

    word = 8 if wide else 4
    table = number(32 if wide else 28, word)
    entry_size, count = (number(54, 2), number(56, 2)) if wide else (number(42, 2), number(44, 2))
    if entry_size != (56 if wide else 32) or not 0 < count * entry_size <= 65536:
        return Program(machine, reason="its program headers are damaged")
    for place in range(table, min(table + count * entry_size, len(start) - entry_size + 1), entry_size):
        if number(place, 4) == _PT_INTERP:
            offset, size = number(place + word, word), number(place + (32 if wide else 16), word)
            name = start[offset : offset + size]
            if len(name) < size or not 2 <= size <= _LONGEST_LOADER:
                break
            return Program(machine, printable(name.partition(b"\0")[0].decode("utf-8", "replace")))
    return Program(machine)
