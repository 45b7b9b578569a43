"""``python -m workers.aws.standin``: serve the stand-in until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from workers.aws.standin.registry import Registry
from workers.aws.standin.wsgi import Standin


class _Handler(MotoRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Quiet: calls are counted at /_standin/calls."""


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m workers.aws.standin", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one and prints it")
    parser.add_argument("--registry", required=True, help="address of the registry that plays ECR's, with scheme")
    parser.add_argument("--registry-username", required=True)
    parser.add_argument("--registry-password-file", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a validation or a change set takes")
    parser.add_argument("--state", type=Path, help="file that keeps resources over a restart")
    parser.add_argument(
        "--bucket", action="append", default=[], metavar="ACCOUNT:REGION:NAME", help="bucket to have from the start"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    given = arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="standin: %(message)s")
    registry = Registry(
        given.registry, given.registry_username, given.registry_password_file.read_text(encoding="utf-8").strip()
    )
    standin = Standin(registry, seconds=given.seconds, state=given.state)
    for bucket in given.bucket:
        account, region, name = bucket.split(":")
        standin.add_bucket(account, region, name)
    server = make_server(given.host, given.port, standin, threaded=True, request_handler=_Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.stdout.write(f"stand-in for AWS on http://{given.host}:{server.server_port}\n")
    sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
