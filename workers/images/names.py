"""How many names an image holds, and how long they are: what its tree takes in memory, whatever it weighs packed."""

from __future__ import annotations

from workers.images.facts import LayerFacts
from workers.images.limits import Limits
from workers.images.streams import TooMuch


class Names:
    """Counts names as they come, of one layer or of a whole image."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._folders = {""}
        self._count = self._characters = 0

    def add(self, path: str, target: str = "") -> None:
        """Count an entry or a mark of a removed one, and each directory above it that was not counted before: the tree
        holds all of them, whether or not they have an entry. Raises TooMuch."""
        self._grow(len(path) + len(target))
        folder = path.rpartition("/")[0]
        while folder not in self._folders:
            self._folders.add(folder)
            self._grow(len(folder))
            folder = folder.rpartition("/")[0]

    def add_layer(self, facts: LayerFacts) -> None:
        """Count all that a layer names. Raises TooMuch."""
        for entry in facts.entries:
            self.add(entry.path, entry.target)
        for path in (*facts.removed, *facts.emptied):
            self.add(path)

    def _grow(self, characters: int) -> None:
        self._count += 1
        self._characters += characters
        if self._count > self._limits.entries:
            raise TooMuch(f"more than {self._limits.entries} entries and directories in all")
        if self._characters > self._limits.characters:
            raise TooMuch(f"more than {self._limits.characters} characters of paths and link targets in all")
