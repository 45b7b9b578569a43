"""From the programs that ``train`` and ``serve`` start to the seller's own files behind them.

A start script names what it goes on with: ``exec python /opt/program/main.py``, ``-m package.module``,
``predictor:app`` for gunicorn, ``import helpers``. Those are followed, a few steps deep, as far as their text was kept.
"""

from __future__ import annotations

import posixpath
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from workers.images.programs import SHELLS, Program, file_to_run, run_file, shell_form
from workers.images.reader import Image
from workers.images.tree import Node

#: Bounds for what a hostile script can make of this.
MOST_SCRIPTS, MOST_STEPS, MOST_NAMES, MOST_FOLDERS, MOST_TEXT = 40, 3, 200, 12, 1 << 20
_FILE = re.compile(r"(?<![\w./-])[\w./-]{1,200}\.(?:py|sh|bash|R|pl|rb|js)\b")
_MODULE_OPTION = re.compile(r"""-m["',\s]{1,4}([A-Za-z_][\w.]{0,200})""")
_APPLICATION = re.compile(r"(?<![\w.])([A-Za-z_][\w.]{0,200}):[A-Za-z_]\w*")
_IMPORT = re.compile(r"^[ \t]*import[ \t]{1,9}([\w., \t]{1,300})", re.MULTILINE)
_FROM = re.compile(
    r"^[ \t]*from[ \t]{1,9}(\.{0,3})([\w.]{0,200})[ \t]{1,9}import[ \t]{1,9}\(?([\w, \t]{0,300})", re.MULTILINE
)
_FOLDER = re.compile(r"(?<![\w.:/])/[\w./-]{1,200}")


@dataclass(frozen=True, slots=True)
class Script:
    """``path`` in the image, with every link followed."""

    path: str
    node: Node
    text: str

    @property
    def is_shell(self) -> bool:
        if self.path.endswith((".sh", ".bash")):
            return True
        return _interpreter(self.text) in SHELLS

    @property
    def is_python(self) -> bool:
        return self.path.endswith(".py") or _interpreter(self.text).startswith(("python", "pypy"))


def _interpreter(text: str) -> str:
    """The name of the program behind ``#!``, looked for behind env."""
    line = text.lstrip("\ufeff")[:300].partition("\n")[0]
    if not line.startswith("#!"):
        return ""
    words = [PurePosixPath(word).name for word in line[2:].split() if not word.startswith("-")]
    return next((word for word in words if word != "env" and "=" not in word), "")


def start_scripts(image: Image, programs: list[Program]) -> list[Script]:
    """The start scripts of ``programs`` and the files that they lead to, each once, nearest first."""
    found: dict[str, Script] = {}
    waiting = deque((node, 0) for node in _beginnings(image, programs))
    text = 0
    while waiting and len(found) < MOST_SCRIPTS and text < MOST_TEXT:
        node, steps = waiting.popleft()
        path = f"/{node.entry.path}"
        if path in found or node.content is None:
            continue
        text += len(node.content)
        script = found[path] = Script(path, node, node.content)
        if steps < MOST_STEPS:
            waiting.extend((following, steps + 1) for following in _following(image, script))
    return list(found.values())


def _beginnings(image: Image, programs: list[Program]) -> Iterator[Node]:
    folder = image.config.working_dir
    for program in programs:
        if program.node is not None:
            yield program.node
        name = file_to_run(program)
        node = run_file(image, program, name) if name else None
        if node is not None:
            yield node
        words = program.arguments if program.node is not None else ()
        yield from _named(image, " ".join(words)[:4000], [folder, *_python_path(image)])
    if shell_form(image) is not None:
        yield from _named(image, " ".join(image.config.entrypoint or ())[:4000], [folder, *_python_path(image)])


def _python_path(image: Image) -> list[str]:
    return [folder for folder in image.config.env.get("PYTHONPATH", "").split(":") if folder.startswith("/")][:4]


def _following(image: Image, script: Script) -> Iterator[Node]:
    home = posixpath.dirname(script.path)
    folders = [home, image.config.working_dir, *_python_path(image), *_folders_in(image, script.text)]
    yield from _named(image, script.text, folders)
    if script.is_python:
        yield from _imported(image, script.text, home, folders)


def _folders_in(image: Image, text: str) -> list[str]:
    """Directories that the text names: it may change to one of them, or import from it."""
    found: dict[str, None] = {}
    for number, hit in enumerate(_FOLDER.finditer(text)):
        if number >= MOST_NAMES or len(found) >= MOST_FOLDERS:
            break
        path = hit[0].rstrip("/.") or "/"
        if path not in found and path.count("/") > 1:
            node = image.tree.resolve(path)
            if node is not None and node.is_directory:
                found[path] = None
    return list(found)


def _named(image: Image, text: str, folders: list[str]) -> Iterator[Node]:
    names: dict[str, None] = {}
    for pattern in (_FILE, _MODULE_OPTION, _APPLICATION):
        for number, hit in enumerate(pattern.finditer(text)):
            if number >= MOST_NAMES:
                break
            if pattern is _FILE:
                names[hit[0]] = None
            else:
                names.update(dict.fromkeys(_module_files(hit[1])))
    yield from _found(image, list(names), folders)


def _imported(image: Image, text: str, home: str, folders: list[str]) -> Iterator[Node]:
    names: dict[str, None] = {}
    for number, hit in enumerate(_IMPORT.finditer(text)):
        if number >= MOST_NAMES:
            break
        for part in hit[1].split(","):
            names.update(dict.fromkeys(_module_files(part.split()[0]) if part.split() else ()))
    for number, hit in enumerate(_FROM.finditer(text)):
        if number >= MOST_NAMES:
            break
        if hit[1]:
            base = posixpath.normpath(posixpath.join(home, *[".."] * (len(hit[1]) - 1), hit[2].replace(".", "/")))
        else:
            base = hit[2].replace(".", "/")
        inner = [part.split()[0] for part in hit[3].split(",") if part.split()]
        names.update(dict.fromkeys([f"{base}.py", f"{base}/__init__.py", *(f"{base}/{name}.py" for name in inner)]))
    yield from _found(image, list(names), folders)


def _module_files(module: str) -> list[str]:
    path = module.strip(".").replace(".", "/")
    return [f"{path}.py", f"{path}/__main__.py", f"{path}/__init__.py"]


def _found(image: Image, names: list[str], folders: list[str]) -> Iterator[Node]:
    # Each folder's own links are followed once, not again for every name.
    places = [node for folder in dict.fromkeys(folders) if (node := image.tree.resolve(folder)) is not None]
    for name in names[:MOST_NAMES]:
        for place in places:
            node = image.tree.resolve(name, f"/{place.entry.path}")
            if node is not None and node.content is not None:
                yield node
                break
