"""Writes what is generated of the documentation: ``python -m tests.docs [--check]``."""

from __future__ import annotations

import os
import sys

import django


def main(words: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    from tests import marks, problems_doc, twin_doc

    found = marks.collect("provokes", "detects")
    pages = (
        (problems_doc.PAGE, problems_doc.page(found["provokes"])),
        (twin_doc.PAGE, twin_doc.page(found["detects"])),
        (twin_doc.DIFFERENCES, twin_doc.differences()),
    )
    stale = [path for path, text in pages if not path.exists() or path.read_text() != text]
    if "--check" not in words:
        for path, text in pages:
            path.write_text(text)
        return 0
    for path in stale:
        print(f"{path.name} is not what it is made from: run `make docs`.", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
