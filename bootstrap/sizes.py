"""The house's size limits: files of at most 400 lines, functions of at most 50 (docs/architecture.md)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 400
FUNCTION_LINES = 50
PACKAGES = ("portal", "listings", "workers", "bootstrap", "tests")
NOT_OURS = ("migrations", "starter_files", "images")


def sources(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            if not set(path.relative_to(root).parts) & set(NOT_OURS):
                yield path


def too_large(path: Path) -> Iterator[str]:
    """What in one file is over a limit, in words."""
    text = path.read_text()
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield f"{lines} lines, at most {FILE_LINES}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"line {node.lineno}: {node.name} has {length} lines, at most {FUNCTION_LINES}"


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    found = [f"{path.relative_to(root)}: {what}" for path in sources(root) for what in too_large(path)]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
