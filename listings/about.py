"""What this software is called in its own reports."""

from __future__ import annotations

#: The same as in pyproject.toml, which an installed portal may lack.
VERSION = "0.1.0"
