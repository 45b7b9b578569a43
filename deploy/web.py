"""The portal's process: uvicorn, told whose forwarding headers to believe.

``TRUSTED_PROXIES`` lists the addresses or networks of the TLS proxies in front. Empty means: this container's own
gateway, as which only connections from the engine's host appear. Whoever reaches the published port from elsewhere
keeps an address of his own, and is not believed.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

ROUTES = Path("/proc/net/route")


def gateway(routes: str) -> str:
    """The default gateway in the kernel's table of IPv4 routes; empty if there is none."""
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000" and fields[2] != "00000000":
            return socket.inet_ntoa(struct.pack("<L", int(fields[2], 16)))
    return ""


def command(trusted: str) -> list[str]:
    """uvicorn's command line; ``trusted`` is a comma-separated list, empty for nobody."""
    argv = ["uvicorn", "portal.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--no-access-log"]
    # Open event streams would otherwise hold a stopping portal for as long as their readers stay.
    argv += ["--timeout-graceful-shutdown", "3", "--lifespan", "auto"]
    return [*argv, "--proxy-headers", "--forwarded-allow-ips", trusted] if trusted else [*argv, "--no-proxy-headers"]


def main() -> None:
    argv = command(os.environ.get("TRUSTED_PROXIES", "").strip() or gateway(ROUTES.read_text()))
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main()
