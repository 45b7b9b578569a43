"""The team's bucket. Objects are placed under their SHA-256, so nothing is sent twice and nothing is overwritten."""

from __future__ import annotations

from typing import IO

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from listings.problems import ProblemError
from workers.aws.errors import aws_errors, code_of
from workers.aws.sessions import Clients

#: Parts of 16 MB, four at a time: steady on a small host, and far below the 10,000-part limit for 100 GB.
_TRANSFER = TransferConfig(multipart_chunksize=16 * 1024 * 1024, max_concurrency=4)


def uri(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"


def key_for(prefix: str, sha256: str, name: str) -> str:
    """Where bytes with this digest live. ``name`` stays the last part: SageMaker reads suffixes."""
    return f"{prefix.strip('/')}/sha256/{sha256}/{name}".lstrip("/")


def exists(clients: Clients, bucket: str, key: str, size: int) -> bool:
    """Whether the object is there in full. ``size`` in bytes. Raises ProblemError."""
    with aws_errors(f"look for {uri(bucket, key)}"):
        try:
            head = clients.client("s3").head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if code_of(error) in {"404", "NoSuchKey", "NotFound"}:
                return False
            raise
    return int(head["ContentLength"]) == size


def put_by_digest(
    clients: Clients, bucket: str, prefix: str, name: str, body: IO[bytes], *, sha256: str, size: int
) -> str:
    """Place ``body`` in the bucket unless it is there; returns its ``s3://`` address.

    ``body`` is read from its start; ``sha256`` (hex) and ``size`` (bytes) are what it must hold.
    Raises ProblemError AWS-BUCKET-MISSING and what AWS answers.
    """
    return put(clients, bucket, key_for(prefix, sha256, name), body, sha256=sha256, size=size)


def put(clients: Clients, bucket: str, key: str, body: IO[bytes], *, sha256: str, size: int) -> str:
    """Like ``put_by_digest``, under a key whose caller made it unique to the content (a set's digest, say)."""
    if exists(clients, bucket, key, size):
        return uri(bucket, key)
    body.seek(0)
    with aws_errors(f"upload {uri(bucket, key)}"):
        try:
            clients.client("s3").upload_fileobj(
                body, bucket, key, ExtraArgs={"Metadata": {"sha256": sha256}}, Config=_TRANSFER
            )
        except ClientError as error:
            if code_of(error) == "NoSuchBucket":
                raise ProblemError("AWS-BUCKET-MISSING", bucket=bucket) from error
            raise
    return uri(bucket, key)


def ensure_bucket(clients: Clients, bucket: str) -> None:
    """Check that the team's bucket exists in the connection's Region.

    Raises ProblemError AWS-BUCKET-MISSING, AWS-BUCKET-REGION.
    """
    with aws_errors(f"look for the bucket {bucket}"):
        try:
            head = clients.client("s3").head_bucket(Bucket=bucket)
        except ClientError as error:
            if code_of(error) in {"404", "NoSuchBucket", "NotFound"}:
                raise ProblemError("AWS-BUCKET-MISSING", bucket=bucket) from error
            raise
    region = head.get("BucketRegion") or head["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", "")
    if region and region != clients.region:
        raise ProblemError("AWS-BUCKET-REGION", bucket=bucket, actual=region, expected=clients.region)
