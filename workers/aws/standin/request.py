"""What a signed HTTP request asks for: service, operation, caller, parameters."""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from workers.aws.standin.faults import Fault

#: Who calls without having assumed a role: Slipway itself.
PLATFORM_ACCOUNT = "123456789012"
_SCOPE = re.compile(r"Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_KEY_OFFSET = 0x8000000000  # access key ids carry their account, shifted by this and halved
_RESOURCE_NAMES = (
    "AlgorithmName",
    "ModelPackageName",
    "ResourceArn",
    "repositoryName",
    "RoleArn",
    "ChangeSetId",
    "EntityId",
)


@dataclass(slots=True)
class Request:
    """One call. ``assumed`` is False for Slipway's own identity, which may only assume roles."""

    service: str
    operation: str
    account: str
    region: str
    assumed: bool
    params: dict[str, Any] = field(default_factory=dict)
    fault: Fault | None = None
    s3_name: str = ""

    @property
    def name(self) -> str:
        """The resource that the call is about, as call counts and fault rules name it."""
        if self.operation == "StartChangeSet":
            changes = self.params.get("ChangeSet") or [{}]
            entity = str((changes[0].get("Entity") or {}).get("Identifier", ""))
            return f"{self.params.get('Intent', 'APPLY')}:{entity}"
        for key in _RESOURCE_NAMES:
            if self.params.get(key):
                return str(self.params[key])
        names = self.params.get("repositoryNames") or []
        return str(names[0]) if names else self.s3_name


def account_of(access_key: str) -> str:
    """The account that a temporary access key id belongs to (its characters 5 to 13 encode it)."""
    if not access_key.startswith(("ASIA", "AKIA")) or len(access_key) != 20:
        return PLATFORM_ACCOUNT
    try:
        number = int.from_bytes(base64.b32decode(access_key[4:12]), "big") - _KEY_OFFSET
    except (binascii.Error, ValueError):
        return PLATFORM_ACCOUNT
    odd = access_key[12] in "QRSTUVWXYZ234567"
    return f"{number * 2 + odd:012d}" if number >= 0 else PLATFORM_ACCOUNT


def read_body(environ: dict[str, Any]) -> bytes:
    """The whole body; it can be read again from ``environ`` afterwards."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _s3_operation(environ: dict[str, Any]) -> tuple[str, str]:
    method = environ["REQUEST_METHOD"]
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    path = unquote(environ.get("PATH_INFO", "")).strip("/")
    if method == "POST" and "uploads" in query:
        return "CreateMultipartUpload", path
    if method == "POST" and "uploadId" in query:
        return "CompleteMultipartUpload", path
    if method == "PUT" and "partNumber" in query:
        return "UploadPart", path
    kind = "Object" if "/" in path else "Bucket"
    return f"{method.capitalize()}{kind}", path


def _catalog_params(environ: dict[str, Any], body: bytes) -> dict[str, Any]:
    """REST-JSON: parameters of GET and PATCH stand in the query, in lower camel case."""
    if body:
        return dict(json.loads(body))
    query = parse_qs(environ.get("QUERY_STRING", ""))
    return {name[:1].upper() + name[1:]: values[0] for name, values in query.items()}


def parse(environ: dict[str, Any]) -> Request:
    """Read what is asked. The body is consumed only where it is small and of a known form."""
    found = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    key, region, service = found.groups() if found else ("", "us-east-1", "s3")
    request = Request(
        service=service, operation="", account=account_of(key), region=region, assumed=key.startswith("ASIA")
    )
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        body = read_body(environ)
        request.operation = target.rpartition(".")[2]
        request.params = dict(json.loads(body)) if body else {}
    elif service == "aws-marketplace":
        request.operation = environ.get("PATH_INFO", "").strip("/")
        request.params = _catalog_params(environ, read_body(environ))
    elif service == "s3":
        request.operation, request.s3_name = _s3_operation(environ)
    else:
        form = {name: values[0] for name, values in parse_qs(read_body(environ).decode()).items()}
        request.operation, request.params = form.get("Action", ""), dict(form)
    return request
