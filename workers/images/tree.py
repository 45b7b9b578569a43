"""The file tree that a container would see: layers laid over each other, links followed inside the image."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from workers.images.facts import FileEntry, Kind, LayerFacts

#: Linux gives up after this many links (path_resolution(7)).
MAX_LINKS = 40
#: Parts of one path, links followed. Linux has no such limit; each of forty links may be 4,096 bytes long.
MAX_PARTS = 5000
#: Docker's, where an image sets no PATH.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(slots=True)
class Node:
    """``layer`` is the index, from 0, of the layer that the entry comes from."""

    entry: FileEntry
    layer: int
    content: str | None = None
    children: dict[str, Node] = field(default_factory=dict)

    @property
    def is_directory(self) -> bool:
        return self.entry.kind is Kind.DIRECTORY


class Tree:
    def __init__(self) -> None:
        self.root = Node(FileEntry("", Kind.DIRECTORY, 0o755), 0)

    # -- laying layers -------------------------------------------------------------------------------

    def lay(self, facts: LayerFacts, layer: int) -> None:
        """Put a layer on top. What it hides is what was below it, never what it brings itself."""
        for path in facts.emptied:
            hidden = self._exact(path)
            if hidden is not None:
                hidden.children.clear()
        for path in facts.removed:
            parent, _, name = path.rpartition("/")
            holder = self._exact(parent)
            if holder is not None:
                holder.children.pop(name, None)
        for entry in facts.entries:
            self._put(entry, layer, facts.contents.get(entry.path))

    def _exact(self, path: str) -> Node | None:
        node = self.root
        for part in path.split("/") if path else ():
            found = node.children.get(part)
            if found is None:
                return None
            node = found
        return node

    def _put(self, entry: FileEntry, layer: int, content: str | None) -> None:
        if entry.kind is Kind.HARDLINK:
            target = self._exact(entry.target)
            if target is None or target.entry.kind is not Kind.FILE:
                return
            entry, content = replace(target.entry, path=entry.path), target.content
        parent, _, name = entry.path.rpartition("/")
        holder = self._directory(parent, layer)
        before = holder.children.get(name)
        if before is not None and before.is_directory and entry.kind is Kind.DIRECTORY:
            before.entry, before.layer = entry, layer
        else:
            holder.children[name] = Node(entry, layer, content)

    def _directory(self, path: str, layer: int) -> Node:
        """The directory at ``path``; made where the layer names no such entry, over whatever else was there."""
        node, so_far = self.root, ""
        for part in path.split("/") if path else ():
            so_far = f"{so_far}/{part}" if so_far else part
            found = node.children.get(part)
            if found is None or not found.is_directory:
                found = Node(FileEntry(so_far, Kind.DIRECTORY, 0o755), layer)
                node.children[part] = found
            node = found
        return node

    # -- looking -------------------------------------------------------------------------------------

    def resolve(self, path: str, start: str = "/") -> Node | None:
        """What ``path`` leads to with every link followed, or None. Relative paths begin at ``start``."""
        node, trail = self.root, [self.root]
        ahead = deque(_parts(path if path.startswith("/") else f"{start}/{path}"))
        links = parts = 0
        while ahead:
            part = ahead.popleft()
            parts += 1
            if parts > MAX_PARTS:
                return None
            if part == "..":
                trail = trail[:-1] or [self.root]
                node = trail[-1]
                continue
            found = node.children.get(part)
            if found is None:
                return None
            if found.entry.kind is Kind.SYMLINK:
                links += 1
                if links > MAX_LINKS:
                    return None
                target = found.entry.target
                ahead.extendleft(reversed(_parts(target)))
                if target.startswith("/"):
                    node, trail = self.root, [self.root]
                continue
            if ahead and not found.is_directory:
                return None
            node = found
            trail.append(node)
        return node

    def which(self, program: str, search: str, workdir: str) -> Node | None:
        """The executable file that ``program`` names, as a container runtime looks for it.

        A name with a slash is a path (from ``workdir``); any other is looked for along ``search``, a PATH.
        """
        if "/" in program:
            found = self.resolve(program, workdir)
            return found if found is not None and found.entry.executable else None
        for folder in search.split(":"):
            # Runtimes do not start what they find through a relative entry of PATH.
            found = self.resolve(f"{folder}/{program}") if folder.startswith("/") else None
            if found is not None and found.entry.executable:
                return found
        return None

    def candidates(self, program: str, search: str, workdir: str) -> Iterator[tuple[str, Node | None]]:
        """Each place where ``program`` is looked for and what is there, executable or not: for evidence."""
        if "/" in program:
            yield program, self.resolve(program, workdir)
            return
        for folder in search.split(":"):
            yield f"{folder}/{program}", self.resolve(f"{folder}/{program}") if folder.startswith("/") else None

    def link(self, path: str, start: str = "/") -> Node | None:
        """The link that lies at ``path`` itself, or None where something else or nothing does."""
        parent, _, name = (path if path.startswith("/") else f"{start}/{path}").rpartition("/")
        holder = self.resolve(parent or "/")
        found = holder.children.get(name) if holder is not None else None
        return found if found is not None and found.entry.kind is Kind.SYMLINK else None

    def text(self, path: str) -> str | None:
        """The content of one of the wanted files (links followed), or None."""
        found = self.resolve(path)
        return found.content if found is not None else None

    def below(self, path: str) -> Iterator[Node]:
        """Everything that is no directory below ``path``, in no special order."""
        start = self.resolve(path)
        stack = list(start.children.values()) if start is not None else []
        while stack:
            node = stack.pop()
            if node.is_directory:
                stack.extend(node.children.values())
            else:
                yield node

    def files(self) -> Iterator[Node]:
        return self.below("/")


def compose(layers: Iterable[LayerFacts]) -> Tree:
    """The tree of layers given from the lowest to the topmost."""
    tree = Tree()
    for index, facts in enumerate(layers):
        tree.lay(facts, index)
    return tree


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
