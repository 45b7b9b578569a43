"""`python3 -m bootstrap <verb>`."""

import sys

# Python 3.10 and older stop here, before a module that they cannot read.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(f"Slipway needs Python 3.11 or later, and this is {sys.version.split()[0]}. Set PYTHON=... for make.")

from bootstrap.cli import main

sys.exit(main(sys.argv[1:]))
