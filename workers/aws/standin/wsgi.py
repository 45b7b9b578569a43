"""One WSGI application: control routes, the stand-in's own operations, and moto for the rest."""

from __future__ import annotations

import json
import logging
import re
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from workers.aws.standin import buckets
from workers.aws.standin.catalog import Catalog
from workers.aws.standin.errors import AwsError
from workers.aws.standin.faults import Fault, Faults
from workers.aws.standin.images import Images
from workers.aws.standin.registry import Registry
from workers.aws.standin.request import Request, parse, read_body
from workers.aws.standin.sagemaker import SageMaker
from workers.aws.standin.shapes import check_input, status_of
from workers.aws.standin.store import Store

StartResponse = Callable[..., Any]
Answer = tuple[int, dict[str, str], bytes]
log = logging.getLogger("standin")

_PHRASES = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    422: "Unprocessable Entity",
    423: "Locked",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Standin:
    """AWS on one port. ``seconds`` is how long a validation or a change set takes."""

    def __init__(self, registry: Registry, *, seconds: float = 2.0, state: Path | None = None) -> None:
        store, images = Store(state), Images(registry)
        self.faults = Faults()
        self.shelf = buckets.Shelf(state.with_name(f"{state.name}.objects") if state else None)
        self.shelf.restore()
        sagemaker = SageMaker(store, images, seconds)
        self.own: dict[str, Any] = {
            "ecr": images,
            "sagemaker": sagemaker,
            "aws-marketplace": Catalog(store, sagemaker, seconds),
        }
        self.moto = DomainDispatcherApplication(create_backend_app)

    def add_bucket(self, account: str, region: str, name: str) -> None:
        buckets.create(account, region, name)
        self.shelf.keep_bucket(account, region, name)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith("/_standin/"):
            return _send(start_response, self._control(environ))
        request = parse(environ)
        request.fault = self.faults.take(request.operation, request.name)
        if request.fault and request.fault.error:
            read_body(environ)
            return _send(start_response, _refusal(request, _told(request.fault.error)))
        if request.operation in getattr(self.own.get(request.service), "operations", ()):
            status, headers, body = self._own(request)
            chunks: Iterable[bytes] = [body]
        else:
            status, headers, chunks = self._moto(environ, request)
        if request.fault and request.fault.hold:
            time.sleep(request.fault.hold)
        if request.fault and request.fault.drop:
            _hang_up(environ)
        return _send(start_response, (status, headers, b"".join(chunks)))

    def _own(self, request: Request) -> Answer:
        try:
            if not request.assumed:
                raise AwsError("AccessDeniedException", f"Slipway itself may not call {request.operation}.", 403)
            check_input(request.service, request.operation, request.params)
            answer = self.own[request.service].handle(request)
        except AwsError as error:
            return _refusal(request, error)
        except requests.RequestException as error:
            log.exception("the local registry did not answer")
            return _refusal(request, AwsError("InternalFailure", f"Registry: {error}", 500))
        content_type = "application/json" if request.service == "aws-marketplace" else "application/x-amz-json-1.1"
        return 200, {"Content-Type": content_type, "x-amzn-RequestId": str(uuid4())}, json.dumps(answer).encode()

    def _moto(self, environ: dict[str, Any], request: Request) -> tuple[int, dict[str, str], Iterable[bytes]]:
        if request.service == "ecr" and not request.assumed:
            refused = _refusal(request, AwsError("AccessDeniedException", "Assume a team's role first.", 403))
            return refused[0], refused[1], [refused[2]]
        # Key ids outlive a restart of moto, which would then take them for its default account's.
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = request.account
        caught: dict[str, Any] = {}

        def start(status: str, headers: list[tuple[str, str]], _info: object = None) -> None:
            caught["status"], caught["headers"] = int(status.split()[0]), dict(headers)

        application: Any = self.moto.get_application(environ)
        chunks = list(application(environ, start))
        if caught["status"] < 300 and request.operation in ("PutObject", "CompleteMultipartUpload", "PutBucket"):
            self._keep(request)
        return caught["status"], caught["headers"], chunks

    def _keep(self, request: Request) -> None:
        bucket, _, key = request.s3_name.partition("/")
        if key:
            self.shelf.keep_object(request.account, bucket, key)
        else:
            self.shelf.keep_bucket(request.account, request.region, bucket)

    def _control(self, environ: dict[str, Any]) -> Answer:
        route = (environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix("/_standin/"))
        body = read_body(environ)
        try:
            given = json.loads(body) if body else {}
            if route == ("GET", "health"):
                return _json({"ok": True})
            if route == ("GET", "calls"):
                return _json({"calls": self.faults.calls()})
            if route == ("DELETE", "calls"):
                self.faults.reset_calls()
            elif route == ("POST", "faults"):
                self.faults.add(Fault(**given))
            elif route == ("DELETE", "faults"):
                self.faults.clear()
            elif route == ("POST", "buckets"):
                self.add_bucket(given["account"], given["region"], given["name"])
            else:
                return _json({"error": "no such route"}, 404)
        except (TypeError, KeyError, ValueError, re.error) as error:
            return _json({"error": str(error)}, 400)
        return _json({"ok": True})


def _json(value: dict[str, Any], status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


def _told(error: dict[str, Any]) -> AwsError:
    return AwsError(str(error["code"]), str(error.get("message", "")), int(error.get("status", 400)))


def _refusal(request: Request, error: AwsError) -> Answer:
    """The error as the service's protocol writes it: JSON for most, XML for STS, IAM and S3."""
    headers = {"x-amzn-RequestId": str(uuid4()), "x-amzn-ErrorType": error.code}
    if request.service in ("sts", "iam", "s3"):
        inner = f"<Code>{error.code}</Code><Message>{error.message}</Message>"
        text = (
            f"<Error>{inner}</Error>"
            if request.service == "s3"
            else (f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error></ErrorResponse>")
        )
        return error.status, {**headers, "Content-Type": "text/xml"}, text.encode()
    status = error.status
    if status == 400 and request.service == "aws-marketplace":
        status = status_of(request.service, request.operation, error.code)
    body = {"__type": error.code, "message": error.message, "Message": error.message}
    return status, {**headers, "Content-Type": "application/x-amz-json-1.1"}, json.dumps(body).encode()


def _send(start_response: StartResponse, answer: Answer) -> list[bytes]:
    status, headers, body = answer
    start_response(f"{status} {_PHRASES.get(status, 'Status')}", list(headers.items()))
    return [body]


def _hang_up(environ: dict[str, Any]) -> None:
    """Close the connection without an answer; raises ConnectionError, which the server expects."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("told to drop the connection")
